"""Say what to do next in the demo: accounts, the review that waits, the command that scores."""

from __future__ import annotations

from argparse import ArgumentParser
from typing import Any

from django.conf import settings
from django.core.management.base import BaseCommand

from apps.models.models import Review
from portal.demo.setup import ENDPOINT, demo_passwords, write_example_request


class Command(BaseCommand):
    help = __doc__

    def add_arguments(self, parser: ArgumentParser) -> None:
        parser.add_argument("--portal-url", required=True)

    def handle(self, *args: Any, **options: Any) -> None:
        url, passwords = options["portal_url"], demo_passwords()
        request = settings.GIJUN_HOME / "demo_request.json"
        write_example_request(request)
        review = Review.objects.filter(status=Review.Status.PENDING).order_by("id").last()
        lines = [
            "",
            "Demo accounts (on this machine only):",
            f"  data scientist  minseo / {passwords['minseo']}   made the versions, so may not approve them",
            f"  reviewer        jihye  / {passwords['jihye']}   may approve",
            f"  operator        ops    / {passwords['ops']}",
            f"  administrator   admin  / {passwords['admin']}",
            "",
            "What to do next:",
        ]
        if review is not None:
            lines.append(f"  1. log in as jihye and open the review: {url}{review.get_absolute_url()}")
            lines.append(f"  2. look at the charts and press Approve and deploy v{review.version.number}")
        else:
            lines.append(f"  1. log in and look at the model: {url}/models/loan_needs/")
            lines.append("  2. nothing waits for approval now")
        lines.append("  3. ask for a score; the answer names the version:")
        lines.append(
            f"     curl -s {settings.SERVING_URL}/v1/endpoints/{ENDPOINT}/score"
            f" -H 'Content-Type: application/json' -d @{request}"
        )
        self.stdout.write("\n".join(lines))
