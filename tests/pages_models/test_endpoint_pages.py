"""Endpoints: what answers, on which workers, and going back."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest
from django.utils import timezone

from apps.serving.example import example_of
from apps.serving.models import Deployment, Endpoint
from mlopslib.artifacts import ArtifactStore
from mlopslib.scoring.contract import RequestContract
from tests import factories


@pytest.fixture
def package(bank, settings):
    """A package with a contract and frozen references for the version in service."""
    store = ArtifactStore(settings.ARTIFACT_ROOT)
    contract = {
        "inputs": [
            {"name": "bal_avg_3m", "type": "number", "nullable": True, "categories": None},
            {"name": "grade", "type": "category", "nullable": False, "categories": ["it's", "B"]},
        ]
    }
    reference = {"inputs": {"bal_avg_3m": {"kind": "numeric", "edges": [10.0, 52_300.5, 90_000.0]}}}
    files = {
        "contract.json": store.put_json(contract).to_dict(),
        "reference.json": store.put_json(reference).to_dict(),
    }
    bank.champion.package_sha256 = store.put_json({"files": files}).sha256
    bank.champion.save()
    return contract


def test_the_example_is_a_request_that_the_contract_takes(bank, package):
    example = example_of(bank.endpoint, bank.champion)
    assert example is not None
    row = json.loads(example.request)["requests"][0]
    assert row["bal_avg_3m"] == 52_300.5 and row["grade"] == "it's"
    rows = RequestContract(package, identifiers=bank.endpoint.identifiers).decode(example.request.encode())
    assert rows[0]["affiNo"] == row["affiNo"]
    assert "'it'\\''s" not in example.request and "it'\\''s" in example.curl


def test_the_page_shows_the_command_and_the_fields(bank, package, client_as):
    page = client_as("viewer").get("/serving/loan-needs/").content.decode()
    assert "/v1/endpoints/loan-needs/score" in page
    assert "bal_avg_3m" in page and "required" in page


def test_a_silent_worker_is_not_counted(bank, client_as):
    worker = bank.endpoint.workers.get()
    client = client_as("viewer")
    assert "1/1" in client.get("/serving/loan-needs/").content.decode()
    worker.seen_at = timezone.now() - timedelta(seconds=30)
    worker.save()
    page = client.get("/serving/loan-needs/status/").content.decode()
    assert "Not heard from" in page and "0/1" in page


def test_a_refusal_is_shown_with_its_reason_and_what_keeps_answering(bank, client_as):
    factories.make_deployment(
        bank.endpoint,
        version=bank.challenger,
        review=factories.make_review(bank.challenger, status="APPROVED"),
        state="REFUSED",
        reason="score-01: model.txt does not match its hash",
    )
    page = client_as("viewer").get("/serving/loan-needs/").content.decode()
    assert "The workers refuse v2" in page
    assert "model.txt does not match its hash" in page
    assert "v1 keeps answering" in page


def test_rolling_back_names_the_version_and_makes_a_new_deployment(bank, client_as):
    earlier = factories.make_version(bank.model, stage="archived", number=7)
    client = client_as("operator")
    page = client.get("/serving/loan-needs/").content.decode()
    assert "v7</button>" in page and "v1</button>" not in page
    response = client.post("/serving/loan-needs/roll-back/", {"version": "v7"}, follow=True)
    assert b"asked to go back to v7" in response.content
    newest = Deployment.objects.order_by("-seq").first()
    assert (newest.version, newest.is_rollback, newest.seq) == (earlier, True, 2)


@pytest.mark.parametrize(
    ("version", "status"), [("v2", 409), ("v1", 409), ("v99", 404), ("", 422), ("v1; drop", 422)]
)
def test_only_an_approved_version_is_gone_back_to(version, status, bank, client_as):
    response = client_as("operator").post("/serving/loan-needs/roll-back/", {"version": version})
    assert response.status_code == status
    assert Deployment.objects.count() == 1


def test_a_viewer_cannot_roll_back(bank, client_as):
    client = client_as("viewer")
    assert "A reviewer or an operator may roll back" in client.get("/serving/loan-needs/").content.decode()
    assert client.post("/serving/loan-needs/roll-back/", {"version": "v1"}).status_code == 403


def test_an_endpoint_is_opened_on_its_page(bank, client_as):
    client = client_as("operator")
    form = {
        "name": "loan-offers",
        "registered_model": "loan_needs",
        "identifiers": "customId, affiNo",
        "echo": "affiNo",
    }
    assert client.get("/serving/new/?model=loan_needs").status_code == 200
    response = client.post("/serving/new/", form)
    assert response["Location"] == "/serving/loan-offers/"
    endpoint = Endpoint.objects.get(name="loan-offers")
    assert (endpoint.identifiers, endpoint.echo) == (["customId", "affiNo"], ["affiNo"])


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"name": "Loan"}, "is not a name for an endpoint"),
        ({"name": "loan-needs"}, "there is an endpoint loan-needs already"),
        ({"echo": "other"}, "not among the identifiers"),
        ({"identifiers": "grade", "echo": ""}, "an input of loan_needs already"),
        ({"registered_model": "none"}, "Select a valid choice"),
    ],
)
def test_a_wrong_endpoint_is_refused_beside_its_field(change, words, bank, client_as):
    form = {"name": "new-one", "registered_model": "loan_needs", "identifiers": "customId", "echo": ""}
    response = client_as("operator").post("/serving/new/", form | change)
    assert response.status_code == 422
    assert words in response.content.decode().replace("&#x27;", "'")
    assert Endpoint.objects.count() == 1


def test_opening_needs_a_role(bank, client_as):
    client = client_as("viewer")
    assert client.get("/serving/new/").status_code == 403
    assert client.post("/serving/new/", {"name": "x"}).status_code == 403
