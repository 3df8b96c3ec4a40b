"""The Celery app. Celery is the bell and the pool; the rows of `apps.pipelines` are the queue."""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("gijun")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()
