"""Whether the offline store can be used: ``manage.py check_offline [URL]``."""

from __future__ import annotations

from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand, CommandError, CommandParser

from mlopslib.offline.connection import check_connection


class Command(BaseCommand):
    help = "Try an offline store step by step: address, port, handshake, database, read, write."
    requires_system_checks: list[str] = []

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("url", nargs="?", help="an address instead of OFFLINE_URL")

    def handle(self, *args: Any, url: str | None, **options: Any) -> None:
        report = check_connection(url or settings.OFFLINE_URL)
        for step in report.steps:
            mark = "ok  " if step.ok else "FAIL"
            self.stdout.write(f"{mark}  {step.name:<10} {step.seconds:6.2f} s  {step.message}")
        for name in report.untried:
            self.stdout.write(f" -    {name:<10}           not tried")
        if not report.ok:
            raise CommandError("the offline store cannot be used", returncode=1)
