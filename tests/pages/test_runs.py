"""The pages of a run: list, live steps, log, cancel, resume, start."""

from __future__ import annotations

import re

import pytest

from apps.pipelines.models import Pipeline, PipelineRun, StepLog
from portal.models import AuditEvent
from tests import factories


def numbers(page: str) -> list[int]:
    return [int(number) for number in re.findall(r'/runs/(\d+)/">#', page)]


def test_the_newest_run_comes_first(bank, client_as):
    found = numbers(client_as("viewer").get("/runs/").content.decode())
    assert found == sorted(found, reverse=True)
    assert len(found) == 4


def test_filters_keep_what_they_say(bank, client_as):
    client = client_as("viewer")
    assert numbers(client.get("/runs/?status=FAILED").content.decode()) == [bank.failed.pk]
    assert len(numbers(client.get("/runs/?template=materialise").content.decode())) == 1
    assert len(numbers(client.get("/runs/?model=loan_needs").content.decode())) == 3
    assert numbers(client.get(f"/runs/?q={bank.done.pk}&status=SUCCEEDED").content.decode()) == [bank.done.pk]
    page = client.get("/runs/?model=loan_needs").content.decode()
    assert re.search(r"All <span class=\"count\">3<", page)


def test_the_list_refreshes_itself_only_while_something_runs(bank, client_as):
    client = client_as("viewer")
    assert 'hx-trigger="every 5s"' in client.get("/runs/").content.decode()
    assert 'hx-trigger="every 5s"' not in client.get("/runs/?status=FAILED").content.decode()


def test_a_running_run_polls_and_shows_its_progress(bank, client_as):
    client = client_as("viewer")
    page = client.get(f"/runs/{bank.running.pk}/").content.decode()
    assert f'hx-get="/runs/{bank.running.pk}/progress/"' in page
    assert 'hx-trigger="every 2s"' in page
    assert re.search(r'<progress max="1\.0+" value="0\.40+"', page)
    assert "month 2 of 4" in page
    part = client.get(f"/runs/{bank.running.pk}/progress/", HTTP_HX_REQUEST="true")
    assert part.status_code == 200
    assert b"<html" not in part.content
    assert b'hx-swap-oob="true"' in part.content


@pytest.mark.parametrize("which", ["done", "failed"])
def test_polling_ends_with_286(which, bank, client_as):
    client = client_as("viewer")
    run = getattr(bank, which)
    part = client.get(f"/runs/{run.pk}/progress/")
    assert part.status_code == 286
    assert b"hx-trigger" not in part.content
    assert b"hx-trigger" not in client.get(f"/runs/{run.pk}/").content


def test_a_failed_run_says_where_and_why(bank, client_as):
    page = client_as("operator").get(f"/runs/{bank.failed.pk}/").content.decode()
    assert "Failed in prepare" in page
    assert "cust_balance has no rows for 202604" in page
    assert "<code>base_ym</code>" in page
    assert f"Resume run {bank.failed.pk}" in page


def test_files_stand_with_size_and_hash(bank, client_as):
    page = client_as("viewer").get(f"/runs/{bank.done.pk}/").content.decode()
    assert "dataset.parquet" in page
    assert "4.5 MB" in page
    assert factories.sha256("d") in page


def test_the_log_of_a_step_is_plain_text_and_whole(bank, client_as):
    step = bank.done.steps.get(position=2)
    StepLog.objects.bulk_create(StepLog(step=step, attempt=1, text=f"line {i} <b>") for i in range(300))
    client = client_as("viewer")
    response = client.get(f"/runs/{bank.done.pk}/steps/2/log")
    text = b"".join(response.streaming_content).decode()
    assert response["Content-Type"].startswith("text/plain")
    assert text.endswith("line 299 <b>\n")
    assert text.count("\n") == 302
    saved = client.get(f"/runs/{bank.done.pk}/steps/2/log?download")
    assert "attachment" in saved["Content-Disposition"]
    page = client.get(f"/runs/{bank.done.pk}/?step=2").content.decode()
    assert "line 299 &lt;b&gt;" in page
    assert "line 0 " not in page
    assert client.get(f"/runs/{bank.done.pk}/steps/99/log").status_code == 404


def test_cancel_asks_the_run_to_stop(bank, client_as):
    client = client_as("operator")
    response = client.post(f"/runs/{bank.running.pk}/cancel/", follow=True)
    bank.running.refresh_from_db()
    assert bank.running.cancel_requested_at
    page = response.content.decode()
    assert "stopping" in page
    assert f"Cancel run {bank.running.pk}" not in page


def test_an_ended_run_cannot_be_cancelled_and_the_page_says_so(bank, client_as):
    response = client_as("operator").post(f"/runs/{bank.done.pk}/cancel/")
    assert response.status_code == 409
    assert "The state has changed" in response.content.decode()


def test_resume_goes_on_where_it_stopped(bank, client_as):
    client = client_as("operator")
    client.post(f"/runs/{bank.failed.pk}/resume/")
    bank.failed.refresh_from_db()
    assert bank.failed.status == PipelineRun.Status.PENDING
    assert bank.failed.steps.get(position=3).state == "READY"


def test_a_viewer_sees_no_buttons_and_cannot_press_them(bank, client_as):
    client = client_as("viewer")
    page = client.get(f"/runs/{bank.running.pk}/").content.decode()
    assert "/cancel/" not in page
    assert client.post(f"/runs/{bank.running.pk}/cancel/").status_code == 403
    assert client.post(f"/runs/{bank.failed.pk}/resume/").status_code == 403
    assert client.post("/runs/start/", {}).status_code == 403


def test_nothing_is_done_by_looking(bank, client_as):
    client = client_as("operator")
    assert client.get(f"/runs/{bank.running.pk}/cancel/").status_code == 405
    assert client.get(f"/runs/{bank.failed.pk}/resume/").status_code == 405


def hidden_key(page: str) -> str:
    return re.search(r'name="idempotency_key" value="([^"]+)"', page).group(1)


def test_a_form_sent_twice_starts_one_run(bank, client_as):
    client = client_as("data_scientist")
    pipeline = Pipeline.objects.get(template="materialise")
    page = client.get(f"/runs/start/?pipeline={pipeline.pk}").content.decode()
    assert 'name="first_ym"' in page
    data = {"pipeline": pipeline.pk, "base_ym": "2026-06", "first_ym": "2026-04"}
    data["idempotency_key"] = hidden_key(page)
    before = PipelineRun.objects.count()
    first = client.post("/runs/start/", data)
    second = client.post("/runs/start/", data)
    assert first.status_code == 302
    assert first["Location"] == second["Location"]
    assert PipelineRun.objects.count() == before + 1
    run = PipelineRun.objects.first()
    assert (run.params["first_ym"], run.params["last_ym"], run.trigger) == ("202604", "202606", "MANUAL")


@pytest.mark.parametrize(("base_ym", "field"), [("202613", "base_ym"), ("", "base_ym"), ("20260", "base_ym")])
def test_a_wrong_month_is_said_at_its_field(base_ym, field, bank, client_as):
    data = {"pipeline": Pipeline.objects.first().pk, "base_ym": base_ym, "idempotency_key": "k"}
    before = PipelineRun.objects.count()
    response = client_as("data_scientist").post("/runs/start/", data)
    assert response.status_code == 422
    assert f'id="id_{field}_error"' in response.content.decode()
    assert PipelineRun.objects.count() == before


def test_a_set_without_a_pipeline_gets_one_with_its_first_run(bank, client_as):
    client = client_as("data_scientist")
    page = client.get("/runs/start/?feature_set=cust_txn").content.decode()
    assert 'value="new/materialise/cust_txn" selected' in page
    data = {"pipeline": "new/materialise/cust_txn", "base_ym": "202606", "idempotency_key": hidden_key(page)}
    assert client.post("/runs/start/", data).status_code == 302
    assert Pipeline.objects.get(feature_set__name="cust_txn").runs.count() == 1


def test_a_refused_start_leaves_no_new_pipeline(bank, client_as):
    data = {"pipeline": "new/materialise/cust_txn", "base_ym": "202699", "idempotency_key": "k"}
    assert client_as("data_scientist").post("/runs/start/", data).status_code == 422
    assert not Pipeline.objects.filter(feature_set__name="cust_txn").exists()
    assert not AuditEvent.objects.filter(action="pipeline.defined").exists()


def test_an_operator_runs_feature_sets_but_makes_no_pipeline_of_a_model(bank, client_as):
    page = client_as("operator").get("/runs/start/").content.decode()
    assert "new/training" not in page and "new/monitoring" not in page
    data = {"base_ym": "202606", "idempotency_key": "k"}
    refused = client_as("operator").post("/runs/start/", {"pipeline": "new/training/loan_needs", **data})
    assert refused.status_code == 422
    response = client_as("operator").post("/runs/start/", {"pipeline": "new/materialise/cust_txn", **data})
    assert response.status_code == 302
    assert PipelineRun.objects.latest("id").pipeline.name == "cust_txn v1 materialise"
