"""The OpenAPI schema and the page that shows it."""

from __future__ import annotations

from collections.abc import Callable
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import yaml
from django.core.management import call_command
from django.db import OperationalError
from django.test import Client
from rest_framework.test import APIClient

from apps.pipelines import services
from tests.api.test_read import LISTS
from tests.factories import make_pipeline
from tests.parts import chromium


@pytest.mark.django_db
def test_schema_has_no_warnings_and_is_valid(tmp_path: Path) -> None:
    path = tmp_path / "schema.yaml"
    call_command("spectacular", "--fail-on-warn", "--validate", "--file", str(path), stderr=StringIO())
    schema = yaml.safe_load(path.read_text())
    for name in [*LISTS, "audit"]:
        assert {f"/api/{name}/", f"/api/{name}/{{id}}/"} <= set(schema["paths"]), name
    for path, operations in schema["paths"].items():
        for method, operation in operations.items():
            assert operation["summary"], (method, path)
            assert "application/problem+json" in operation["responses"]["default"]["content"], path
    approve = schema["paths"]["/api/reviews/{id}/approve/"]["post"]
    assert {"200", "403", "409", "422"} <= set(approve["responses"])


@pytest.mark.django_db
def test_schema_is_served_to_whoever_holds_a_role(client_as: Callable[..., Client]) -> None:
    answer = client_as().get("/api/schema/")
    assert (answer.status_code, answer["content-type"][:31]) == (200, "application/vnd.oai.openapi; ch")
    refused = client_as([]).get("/api/schema/")
    assert (refused.status_code, refused["content-type"]) == (403, "application/problem+json")


@pytest.mark.django_db
def test_docs_page_loosens_styles_and_nothing_else(client_as: Callable[..., Client]) -> None:
    client = client_as()
    docs = client.get("/api/docs/")["content-security-policy"]
    assert "style-src 'self' 'unsafe-inline'" in docs
    assert "script-src 'self';" in docs
    assert "unsafe-inline" not in client.get("/api/runs/")["content-security-policy"]


@pytest.mark.django_db
def test_a_database_that_does_not_answer_is_a_503(
    api_as: Callable[..., APIClient], monkeypatch: pytest.MonkeyPatch
) -> None:
    def busy(**_: Any) -> None:
        raise OperationalError("database is locked")

    monkeypatch.setattr(services, "start_run", busy)
    answer = api_as("operator").post("/api/runs/", {"pipeline": make_pipeline().name, "base_ym": "202606"})
    assert (answer.status_code, answer["retry-after"], answer.json()["type"]) == (503, "5", "database-busy")
    assert "locked" not in answer.content.decode()


@pytest.mark.browser
@pytest.mark.django_db(transaction=True)
def test_docs_page_works_in_a_browser(live_server: Any, client_as: Callable[..., Client]) -> None:
    executable = chromium()
    from playwright.sync_api import sync_playwright

    session = client_as().cookies["sessionid"].value
    problems: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=executable, args=["--no-sandbox"])
        context = browser.new_context()
        context.add_cookies([{"name": "sessionid", "value": session, "url": live_server.url}])
        page = context.new_page()
        page.on("console", lambda message: message.type == "error" and problems.append(message.text))
        page.on("pageerror", lambda error: problems.append(str(error)))
        page.on("request", lambda r: r.url.startswith((live_server.url, "data:")) or problems.append(r.url))
        page.goto(f"{live_server.url}/api/docs/")
        page.wait_for_selector(".opblock")
        found = page.locator(".opblock").count()
        page.locator("#operations-runs-runs_create .opblock-summary-control").click()
        page.wait_for_selector("text=Idempotency-Key")
        browser.close()
    assert problems == []
    assert found >= 30
