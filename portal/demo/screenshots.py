"""Pictures of the demo by headless Chromium: those of the README in docs/img, every page in var/screenshots.

    make screenshots            starts a demo of its own in a temporary home, or
    GIJUN_HOME=var make screenshots    uses the one that runs there

Needs Chromium on the machine (CHROMIUM names it where it is not on the PATH).
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from playwright.sync_api import Page, sync_playwright

ROOT = Path(__file__).resolve().parent.parent.parent
TARGET = ROOT / "docs" / "img"
EVERY_PAGE = ROOT / "var" / "screenshots"
#: one screen of each, as a person sees it first
README = ("review-1440-light", "home-1440-light", "model-1440-dark", "review-390-light")
WIDTHS = {1440: 900, 390: 844}
THEMES = ("light", "dark")
#: picture -> address; a name in braces is found on the list page
PAGES = {
    "home": "/",
    "features": "/features/",
    "feature-set": "/features/sets/cust_txn/",
    "feature": "/features/cust_app/{feature}/",
    "model": "/models/loan_needs/",
    "runs": "/runs/",
    "run": "{run}",
    "reviews": "/reviews/",
    "review": "{review}",
    "serving": "/serving/loan-needs/",
    "audit": "/audit/",
}
_FLAGS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--disable-dev-shm-usage"]


@contextmanager
def running_demo() -> Iterator[tuple[Path, str]]:
    """Home and address of a demo: the one of GIJUN_HOME where it runs, else one started for the while."""
    home = Path(os.environ["GIJUN_HOME"]).resolve() if "GIJUN_HOME" in os.environ else None
    if home and (home / "run.json").exists():
        yield home, json.loads((home / "run.json").read_text())["portal_url"]
        return
    temporary = Path(tempfile.mkdtemp(prefix="gijun-screenshots-"))
    process = subprocess.Popen(
        [sys.executable, "-m", "portal.supervisor", "--demo"],
        cwd=ROOT,
        env={**os.environ, "GIJUN_HOME": str(temporary)},
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        for line in process.stdout or ():
            print(line, end="")
            if line.startswith("Gijun is ready: "):
                break
        else:
            raise SystemExit("the demo did not start")
        yield temporary, line.split(": ", 1)[1].strip()
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(timeout=60)
        shutil.rmtree(temporary, ignore_errors=True)


def log_in(page: Page, username: str, password: str) -> None:
    page.goto("/login/")
    page.fill("input[name=username]", username)
    page.fill("input[name=password]", password)
    page.press("input[name=password]", "Enter")
    page.wait_for_url(lambda url: "/login/" not in url)


def find_addresses(page: Page) -> dict[str, str]:
    """Addresses that hold a number of this demo."""
    found = {}
    for name, path, prefix in (("run", "/runs/", "/runs/"), ("review", "/reviews/", "/reviews/")):
        page.goto(path)
        links = page.locator("main a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
        numbered = [link for link in links if link.removeprefix(prefix).strip("/").isdigit()]
        found[name] = numbered[0]
    page.goto("/features/sets/cust_app/")
    links = page.locator("main a").evaluate_all("links => links.map(a => a.getAttribute('href'))")
    found["feature"] = next(x.strip("/").split("/")[-1] for x in links if x.startswith("/features/cust_app/"))
    return found


def take(page: Page, name: str, address: str) -> None:
    page.goto(address)
    page.wait_for_load_state("networkidle")
    if page.locator(".js-chart, [data-chart]").count():
        page.locator("body[data-charts=ready]").wait_for(timeout=20_000)
    page.screenshot(path=EVERY_PAGE / f"{name}.png", full_page=True)
    if name in README:
        page.screenshot(path=TARGET / f"{name}.png")
    print(f"  {name}.png")


def main() -> None:
    chromium = os.environ.get("CHROMIUM") or shutil.which("chromium") or shutil.which("google-chrome")
    if not chromium:
        raise SystemExit("make screenshots needs Chromium: apt-get install chromium, or set CHROMIUM")
    for folder in (TARGET, EVERY_PAGE):
        folder.mkdir(parents=True, exist_ok=True)
    with running_demo() as (home, url), sync_playwright() as playwright:
        password = json.loads((home / "demo_passwords.json").read_text())["jihye"]
        browser = playwright.chromium.launch(executable_path=chromium, args=_FLAGS)
        for width, height in WIDTHS.items():
            for theme in THEMES:
                context = browser.new_context(
                    base_url=url,
                    color_scheme=theme,  # type: ignore[arg-type]
                    viewport={"width": width, "height": height},
                    timezone_id="Asia/Seoul",
                    locale="en-GB",
                    reduced_motion="reduce",
                )
                page = context.new_page()
                log_in(page, "jihye", password)
                addresses = find_addresses(page)
                for name, address in PAGES.items():
                    take(page, f"{name}-{width}-{theme}", address.format(**addresses))
                context.close()
        browser.close()


if __name__ == "__main__":
    main()
