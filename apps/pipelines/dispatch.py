"""The bell: a message that says "look at this step". The row is the queue, so a lost bell only delays."""

from __future__ import annotations

import logging
from functools import partial

from celery import current_app
from django.db import transaction
from django.db.models.functions import Now

from apps.pipelines.models import StepRun

logger = logging.getLogger(__name__)

EXECUTE_STEP = "apps.pipelines.tasks.execute_step"
#: a due step that nobody took for so long gets another bell
_UNHEARD_SECONDS = 15
#: kombu would try for six seconds; the person who pressed the button should not wait for a bell
_ONE_TRY = {"max_retries": 0, "connect_retries_timeout": 1, "interval_start": 0, "socket_timeout": 2}


def ring(step_id: int) -> bool:
    """Tell the workers of a step. False where the broker is away: the caller's work stands all the same."""
    try:
        with current_app.connection_for_write(transport_options=_ONE_TRY) as connection:
            current_app.send_task(
                EXECUTE_STEP, args=[step_id], connection=connection, ignore_result=True, retry=False
            )
    except Exception as error:  # whatever a broker can raise, a bell never fails its caller
        logger.warning("no bell for step %s: %s", step_id, error)
        return False
    StepRun.objects.filter(pk=step_id).update(rung_at=Now())
    return True


def ring_on_commit(step_id: int) -> None:
    transaction.on_commit(partial(ring, step_id), robust=True)


def dispatch_ready() -> int:
    """Ring for due steps that nobody took, or nobody was told of; returns how many bells rang."""
    rung = 0
    for step_id in StepRun.objects.unheard(seconds=_UNHEARD_SECONDS).values_list("pk", flat=True)[:100]:
        if not ring(step_id):
            break  # the broker is away: the next beat tries again
        rung += 1
    return rung
