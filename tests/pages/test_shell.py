"""Log-in, menu, search, audit log, language."""

from __future__ import annotations

import re

import pytest

from apps.common.audit import record
from portal.models import AuditEvent
from portal.trail import page_of
from tests.factories import PASSWORD, make_user


def log_in(client, password: str = PASSWORD, **more: str):
    return client.post("/login/", {"username": "jihye", "password": password, **more})


def test_a_person_logs_in_and_out(client, db):
    make_user("reviewer", username="jihye", first_name="Jihye", last_name="Han")
    assert log_in(client, next="/runs/")["Location"] == "/runs/"
    page = client.get("/").content.decode()
    assert "JH" in page
    assert client.post("/logout/")["Location"] == "/login/"
    assert client.get("/").status_code == 302


def test_a_wrong_password_says_so_and_five_lock(client, db):
    make_user("reviewer", username="jihye")
    response = log_in(client, "wrong")
    assert 'role="alert"' in response.content.decode()
    for _ in range(4):
        response = log_in(client, "wrong")
    assert response.status_code == 429
    assert "Too many failed log-ins" in response.content.decode()
    assert log_in(client).status_code == 429


def test_log_in_never_leads_to_another_site(client, db):
    make_user("reviewer", username="jihye")
    assert log_in(client, next="https://evil.example/")["Location"] == "/"


def counts(page: str) -> dict[str, str]:
    return dict(re.findall(r"</svg>(\w+)<span class=\"count[^>]*>(\d+)", page))


def test_the_menu_counts_what_there_is(bank, client_as):
    reviewer = counts(client_as("reviewer").get("/search/").content.decode())
    assert reviewer == {"Features": "5", "Models": "1", "Runs": "2", "Reviews": "1"}
    both = make_user(["data_scientist", "reviewer"])
    type(bank.review).objects.update(requested_by=both)
    assert "Reviews" not in counts(client_as(both).get("/search/").content.decode())


def test_the_menu_shows_the_audit_log_to_those_who_may(bank, client_as):
    assert 'href="/audit/"' in client_as("operator").get("/search/").content.decode()
    assert 'href="/audit/"' not in client_as("viewer").get("/search/").content.decode()


def test_search_finds_across_the_catalog_best_name_first(bank, client_as):
    client = client_as("viewer")
    page = client.get("/search/?q=loan").content.decode()
    assert "/models/loan_needs/" in page
    assert "/serving/loan-needs/" in page
    page = client.get("/search/?q=bal_").content.decode()
    assert page.index("bal_avg_3m/") < page.index("bal_min_1m/")
    assert f"/runs/{bank.done.pk}/" in client.get(f"/search/?q={bank.done.pk}").content.decode()
    assert client.get("/search/?q=" + "9" * 80).status_code == 200
    assert client.get("/search/?q=%25_%27").status_code == 200


def test_the_trail_is_filtered_by_person_action_and_day(bank, client_as):
    record(bank.scientist, "run.started", bank.done, base_ym="202605")
    record(None, "run.succeeded", bank.done, note="<script>alert(1)</script>")
    client = client_as("reviewer")
    page = client.get("/audit/").content.decode()
    assert "<script>alert" not in page
    assert f'href="/runs/{bank.done.pk}/"' in page
    assert "base_ym" in page
    only = client.get("/audit/?action=run.started").content.decode()
    assert only.count("<tr>") == 2
    assert "No event matches" in client.get("/audit/?until=2001-01-01").content.decode()
    assert client.get("/audit/?q=minseo&since=2001-01-01").content.decode().count("<tr>") == 2
    assert client.get("/audit/?since=yesterday").status_code == 200


def test_an_event_leads_to_its_page_from_its_own_columns(bank):
    for row in (bank.done, bank.review, bank.feature_set, bank.champion, bank.champion.registered_model):
        assert page_of(row._meta.label_lower, str(row.pk), str(row)) == row.get_absolute_url()
    deployment = bank.champion.deployments.get()
    assert page_of("serving.deployment", str(deployment.pk), str(deployment)) == "/serving/loan-needs/"
    assert page_of("portal.user", "1", "minseo") == ""
    assert page_of("registry.modelversion", "1", "no label") == ""
    assert page_of("features.featureset", "1", "not/a name") == ""


def test_every_action_of_the_trail_has_words(bank, client_as):
    from portal.trail import WORDS

    for action in WORDS:
        record(bank.scientist, action, bank.done)
    assert AuditEvent.objects.count() >= len(WORDS)
    assert client_as("reviewer").get("/audit/").status_code == 200


@pytest.mark.parametrize("path", ["/login/", "/features/"])
def test_the_language_can_be_switched(path, bank, client_as, client):
    who = client if path == "/login/" else client_as("viewer")
    response = who.post("/i18n/", {"language": "ko", "next": path})
    assert response["Location"] == path
    page = who.get(path).content.decode()
    assert '<html lang="ko">' in page
    assert {"/login/": "로그인", "/features/": "피처"}[path] in page
