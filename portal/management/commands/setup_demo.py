"""Make the demo bank and run its main job; needs the workers of `portal.supervisor`."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.core.management.base import BaseCommand, CommandError

from portal.demo.setup import DemoFailed, set_up


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--customers", type=int, default=20_000)
        parser.add_argument("--last-ym", help="last month of data (the month before this one)")

    def handle(self, *args: Any, **options: Any) -> None:
        try:
            set_up(customers=options["customers"], last_ym=options["last_ym"])
        except DemoFailed as error:
            raise CommandError(str(error)) from error
