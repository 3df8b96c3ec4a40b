"""The Celery app. Celery is the bell and the pool; the rows of `apps.pipelines` are the queue.

    celery -A portal worker --pool=threads --concurrency=8
    celery -A portal beat

The pool is threads: a task here only waits for a process of its own (a step) or makes a few queries, so
nothing is gained by forking, and on SIGTERM every supervisor sees the same event and hands its step back
instead of being killed with it. At most STEP_SLOTS steps run in a worker; the threads beyond them keep
the short tasks below from waiting behind a training that takes hours.
"""

from __future__ import annotations

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")

app = Celery("gijun")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks()

#: a tick that found no worker in time is dropped: the next one does the same work
app.conf.beat_schedule = {
    "pipelines-tick": {
        "task": "apps.pipelines.tasks.tick",
        "schedule": 5.0,
        "options": {"expires": 5},
    },
    "pipelines-fire-schedules": {
        "task": "apps.pipelines.tasks.fire_schedules",
        "schedule": 60.0,
        "options": {"expires": 60},
    },
    "serving-reconcile": {
        "task": "apps.serving.tasks.reconcile",
        "schedule": 2.0,
        "options": {"expires": 2},
    },
}
