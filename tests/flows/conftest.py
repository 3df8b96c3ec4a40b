"""Whole installations: the supervisor's own processes in a home of their own, and a browser."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright

from portal.init_home import init_home
from portal.supervisor import Supervisor
from tests.parts import ROOT, chromium

_CHROMIUM_FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-dev-shm-usage",
]


class Installation:
    """A running Gijun, as `make run` starts it."""

    def __init__(self, supervisor: Supervisor) -> None:
        self.supervisor = supervisor
        self.portal_url = supervisor.portal_url
        self.serving_url = supervisor.serving_url
        self.home = supervisor.home

    def manage(self, *arguments: str, check: bool = True) -> subprocess.CompletedProcess[str]:
        return self._run([sys.executable, "manage.py", *arguments], check=check)

    def python(self, module: str, *arguments: str) -> str:
        """Run a module of the tests inside the installation's environment; its last line of output."""
        return (
            self._run([sys.executable, "-m", module, *arguments], check=True).stdout.strip().splitlines()[-1]
        )

    def passwords(self) -> dict[str, str]:
        return json.loads((self.home / "demo_passwords.json").read_text())

    def _run(self, command: list[str], *, check: bool) -> subprocess.CompletedProcess[str]:
        done = subprocess.run(
            command, cwd=ROOT, env=self.supervisor.env, capture_output=True, text=True, timeout=600
        )
        if check and done.returncode:
            logs = "\n".join(f"== {s.name}\n{s.log_tail(25)}" for s in self.supervisor.services)
            pytest.fail(f"{command} ended with {done.returncode}\n{done.stdout}\n{done.stderr}\n{logs}")
        return done


@pytest.fixture(scope="module")
def installation(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installation]:
    home = tmp_path_factory.mktemp("home")
    kept = {name: os.environ.pop(name, None) for name in ("SECRET_KEY", "DATABASE_URL", "REDIS_URL")}
    os.environ["DJANGO_SETTINGS_MODULE"] = "portal.settings"
    try:
        init_home(home)
        supervisor = Supervisor(home)
        try:
            supervisor.start_redis()
            supervisor.manage("migrate", "--verbosity", "0")
            supervisor.manage("collectstatic", "--noinput", "--verbosity", "0")
            supervisor.start_workers()
            supervisor.start_portal()
            yield Installation(supervisor)
        finally:
            supervisor.stop()
    finally:
        os.environ.update({name: value for name, value in kept.items() if value is not None})
        os.environ["DJANGO_SETTINGS_MODULE"] = "tests.settings"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        instance = playwright.chromium.launch(executable_path=chromium(), args=_CHROMIUM_FLAGS)
        yield instance
        instance.close()


@pytest.fixture
def visit(browser: Browser, installation: Installation) -> Iterator[Callable[..., Page]]:
    """Open a page as somebody. Errors in the console and requests to other hosts fail the test."""
    contexts: list[Any] = []
    problems: list[str] = []

    def as_user(username: str, password: str, *, width: int = 1440, height: int = 900) -> Page:
        context = browser.new_context(
            base_url=installation.portal_url,
            timezone_id="Asia/Seoul",
            locale="en-GB",
            reduced_motion="reduce",
            viewport={"width": width, "height": height},
        )
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda m: m.type == "error" and problems.append(m.text))
        page.on("pageerror", lambda e: problems.append(str(e)))
        page.on("request", lambda r: _note_foreign(r.url, installation.portal_url, problems))
        page.goto("/login/")
        page.fill("input[name=username]", username)
        page.fill("input[name=password]", password)
        page.press("input[name=password]", "Enter")
        page.wait_for_url(lambda url: "/login/" not in url)
        return page

    yield as_user
    for context in contexts:
        context.close()
    assert problems == []


def _note_foreign(url: str, own: str, problems: list[str]) -> None:
    if not url.startswith((own, "data:", "blob:")):
        problems.append(f"request to {url}")
