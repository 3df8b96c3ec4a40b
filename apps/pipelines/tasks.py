"""What Celery calls: ids in, one call, done. A message that comes twice or late does no harm."""

from __future__ import annotations

from celery import shared_task
from celery.signals import worker_shutting_down
from django.utils import timezone

from apps.pipelines import dispatch, executor, schedules


@shared_task
def execute_step(step_id: int) -> None:
    executor.work(step_id)


@shared_task
def tick() -> None:
    executor.reap()
    dispatch.dispatch_ready()


@shared_task
def fire_schedules() -> None:
    schedules.fire_schedules(timezone.now())


@worker_shutting_down.connect
def _leave(**kwargs: object) -> None:
    # the pool is threads: this process runs the supervisors, so they see it and hand their steps back
    executor.stopping.set()
