"""The page of the offline engine: test the connection, see what is in force, stop a query."""

from __future__ import annotations

from apps.features.models import EngineQuery
from tests.conftest import free_port
from tests.factories import make_user


def test_the_page_shows_the_address_without_its_password(client_as, settings):
    settings.OFFLINE_URL = "impala://ada:hunter2@impala.bank:21050/risk?auth=LDAP"
    page = client_as("operator").get("/features/engine/").content.decode()
    assert "impala://ada:***@impala.bank:21050/risk?auth=LDAP" in page
    assert "hunter2" not in page
    assert "No query runs now." in page


def test_a_test_that_passes_ticks_every_step(client_as, settings, tmp_path):
    settings.OFFLINE_URL = f"delta://{tmp_path}/offline"
    page = client_as("data_scientist").post("/features/engine/check/").content.decode()
    assert page.count('<li class="succeeded">') == 6
    assert "The offline store can be used." in page


def test_a_test_that_fails_names_the_fault_and_what_was_not_tried(client_as, settings):
    port = free_port()
    settings.OFFLINE_URL = f"impala://ada:hunter2@127.0.0.1:{port}/risk?auth=LDAP"
    client = client_as("operator")
    page = client.post("/features/engine/check/", headers={"HX-Request": "true"}).content.decode()
    assert f"127.0.0.1:{port} refused the connection" in page
    assert page.count('<li class="failed">') == 1
    assert page.count('<li class="pending">') == 4
    assert "hunter2" not in page
    assert "<html" not in page


def test_an_address_that_is_wrong_is_told_on_the_page(client_as, settings):
    settings.OFFLINE_URL = "impala://ada:hunter2@h/risk?auth=magic"
    page = client_as("operator").get("/features/engine/").content.decode()
    assert "auth=MAGIC is not known" in page
    assert "hunter2" not in page


def test_an_operator_stops_a_query_that_somebody_else_started(client_as, db):
    row = EngineQuery.objects.create(kind="preview", sql="select 1", requested_by=make_user("data_scientist"))
    client = client_as("operator")
    assert f"/features/engine/queries/{row.pk}/stop/" in client.get("/features/engine/").content.decode()
    answer = client.post(f"/features/engine/queries/{row.pk}/stop/", follow=True).content.decode()
    row.refresh_from_db()
    assert row.cancel_requested_at is not None
    assert "being stopped" in answer


def test_a_query_is_shown_as_text(client_as, db):
    EngineQuery.objects.create(
        kind="preview", sql="select '<script>alert(1)</script>'", requested_by=make_user("data_scientist")
    )
    page = client_as("operator").get("/features/engine/").content.decode()
    assert "<script>alert(1)" not in page
    assert "&lt;script&gt;alert(1)" in page


def test_a_viewer_neither_sees_nor_tests_the_engine(client_as):
    client = client_as("viewer")
    assert client.get("/features/engine/").status_code == 403
    assert client.post("/features/engine/check/").status_code == 403
    assert "/features/engine/" not in client.get("/features/sets/").content.decode()
