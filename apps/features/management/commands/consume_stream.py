"""Read a stream into the online store: ``manage.py consume_stream --feature-set NAME --source URL``."""

from __future__ import annotations

import os
import signal
import socket
import time
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser
from django.db import connection

from apps.features.models import FeatureSet
from mlopslib.errors import GijunError
from mlopslib.online import open_online
from mlopslib.online.stream import consume, open_source


class Command(BaseCommand):
    help = (
        "Read events from a Redis stream or a Kafka topic into the online store. Each event is written at "
        "least once and counts once; SIGTERM finishes the batch in hand."
    )

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--feature-set", required=True, help="name of a published feature set")
        parser.add_argument("--set-version", type=int, help="its version; the current one where left out")
        parser.add_argument(
            "--source",
            required=True,
            help="redis://host:6379/0/stream?group=g or kafka://broker:9092/topic?group=g",
        )
        parser.add_argument("--batch", type=int, default=500, help="messages at a time (500)")
        parser.add_argument("--once", action="store_true", help="stop when nothing is left to read")

    def handle(self, *args: Any, **options: Any) -> None:
        if not 1 <= options["batch"] <= 10_000:
            raise CommandError("--batch is a number from 1 to 10000")
        row = self._feature_set(options["feature_set"], options["set_version"])
        spec = row.to_spec()
        # the rows are read: nothing here needs the database any more
        connection.close()
        stopping = _Stop()
        consumer = f"{socket.gethostname()}-{os.getpid()}"
        try:
            source = open_source(options["source"], consumer=consumer)
            self._say(f"{row}: reading {source.name} as {consumer}")
            try:
                counts = consume(
                    source,
                    open_online(settings.ONLINE_URL, settings.REDIS_PREFIX),
                    spec,
                    consumer=consumer,
                    batch=options["batch"],
                    once=options["once"],
                    should_stop=stopping,
                    on_log=self._say,
                )
            finally:
                source.close()
        except GijunError as error:
            raise CommandError(error.message) from error
        self._say(f"{'stopped' if stopping() else 'nothing is left'}: {counts}")

    def _feature_set(self, name: str, version: int | None) -> FeatureSet:
        rows = FeatureSet.objects.visible().exclude(status=FeatureSet.Status.DRAFT).filter(name=name)
        row = rows.current().first() if version is None else rows.filter(version=version).first()
        if row is None:
            raise CommandError(f"there is no published feature set {name} {version or ''}".strip())
        return row

    def _say(self, text: str) -> None:
        self.stdout.write(f"{time.strftime('%H:%M:%S')} {text}")
        self.stdout.flush()


class _Stop:
    """True after SIGTERM or Ctrl-C."""

    def __init__(self) -> None:
        self._is_asked = False
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, self._ask)

    def __call__(self) -> bool:
        return self._is_asked

    def _ask(self, number: int, frame: FrameType | None) -> None:
        self._is_asked = True
