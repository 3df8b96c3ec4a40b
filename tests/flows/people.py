"""A data scientist for a running installation: python -m tests.flows.people PASSWORD"""

from __future__ import annotations

import os
import sys

import django

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
django.setup()

from django.contrib.auth.models import Group  # noqa: E402

from portal.models import User  # noqa: E402

if __name__ == "__main__":
    user = User.objects.create_user("minseo", password=sys.argv[1])
    user.groups.set(Group.objects.filter(name="data_scientist"))
    print(user.username)
