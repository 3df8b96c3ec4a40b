"""Settings of the test run: a home of its own, quick password hashes, no manifest for static files."""

import os
import tempfile

os.environ.setdefault("GIJUN_HOME", tempfile.mkdtemp(prefix="gijun-test-"))
os.environ.setdefault("SECRET_KEY", "only-for-tests")

from portal.settings import *  # noqa: F403
from portal.settings import DATABASES, GIJUN_HOME, STORAGES

PASSWORD_HASHERS = ["django.contrib.auth.hashers.MD5PasswordHasher"]
STORAGES = {**STORAGES, "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"}}

#: no bell leaves a test; the rows are the queue all the same. A test with a real broker names it here.
CELERY_BROKER_URL = os.environ.get("TEST_BROKER_URL", "memory://")

#: nobody listens there: a test that wants a Redis starts its own (the fixture `shelf`)
REDIS_URL = "redis://127.0.0.1:1/0"
ONLINE_URL = REDIS_URL

if DATABASES["default"]["ENGINE"] == "django.db.backends.sqlite3":
    # a file, so that the processes that a test starts see the same rows
    DATABASES["default"]["TEST"] = {"NAME": str(GIJUN_HOME / "test.sqlite3")}
    DATABASES["default"]["OPTIONS"]["init_command"] = "PRAGMA journal_mode=WAL; PRAGMA synchronous=OFF;"
