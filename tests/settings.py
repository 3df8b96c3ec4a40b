"""Settings of the test run: a home of its own, quick password hashes, no manifest for static files."""

import os
import tempfile

os.environ.setdefault("GIJUN_HOME", tempfile.mkdtemp(prefix="gijun-test-"))
os.environ.setdefault("SECRET_KEY", "only-for-tests")

from portal.settings import *  # noqa: F403
from portal.settings import STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}
