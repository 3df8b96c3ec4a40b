"""The page on which somebody decides."""

from __future__ import annotations

import pytest

from apps.models.models import FeatureDrift, ModelVersion, Review
from apps.serving.models import Deployment
from tests import factories

APPROVE = "Approve and deploy v2"


def page_of(client, bank) -> str:
    return client.get(f"/reviews/{bank.review.pk}/").content.decode()


def test_a_reviewer_finds_the_whole_decision_without_a_script(bank, client_as):
    page = page_of(client_as(bank.reviewer), bank)
    assert "Promote v2 to champion" in page
    assert "Awaiting you" in page
    assert bank.comparison.sentence in page
    for title in ("OOT AUC", "Lift, top decile", "Score PSI", "Worst feature PSI"):
        assert title in page
    for title in ("Out-of-time AUC", "Score PSI", "Lift by decile"):
        assert f">{title}</h3>" in page
    assert page.count("data-chart=") == 3
    assert "3 of 4</strong> gates pass" in page
    assert "the worst feature PSI 0.120 is below 0.250" in page  # the gate that needs a note says its figure
    assert "the labels are not mature" in page
    assert "Who is swapped" in page and "+21" in page
    assert APPROVE in page and "Request changes" in page and "Reject" in page
    assert "v1 is archived and kept for roll back" in page
    assert 'name="note"' in page and "required" in page


def test_kpis_carry_the_change_from_the_champion(bank, client_as):
    page = page_of(client_as(bank.reviewer), bank)
    assert '<dd class="kpi-value">0.760</dd>' in page
    assert '<strong class="good">+0.020</strong> from 0.740' in page
    assert "passes ≥ 0.60" in page


def test_what_was_measured_later_is_no_evidence(bank, client_as):
    FeatureDrift.objects.create(version=bank.challenger, base_ym="202606", feature="txn_cnt_3m", psi=0.777)
    assert "0.777" not in page_of(client_as(bank.reviewer), bank)


def test_a_request_against_a_champion_of_the_past_says_so_instead_of_offering_approval(bank, client_as):
    ModelVersion.objects.filter(pk=bank.champion.pk).update(stage="ARCHIVED")
    newer = factories.make_version(bank.champion.registered_model, stage="CHAMPION")
    why = f"the champion is {newer.label} now, the request was made against v1"
    page = page_of(client_as(bank.reviewer), bank)
    assert f"Nobody can approve this request any more: {why}." in page
    assert APPROVE not in page and "v1 is archived and kept" not in page
    assert "Request changes" in page and "Reject" in page
    page = page_of(client_as(bank.author), bank)
    assert why in page and "Withdraw the request for v2" in page


def test_the_author_reads_why_and_finds_no_button(bank, client_as):
    page = page_of(client_as(bank.author), bank)
    assert "you asked for this review" in page
    assert APPROVE not in page and "Request changes" not in page
    assert "Withdraw the request for v2" in page


def test_a_viewer_reads_that_a_role_is_needed(bank, client_as):
    page = page_of(client_as("viewer"), bank)
    assert "deciding on a review needs the role reviewer" in page
    assert APPROVE not in page and "Withdraw" not in page


def test_the_author_is_refused_even_with_the_role(bank, client_as):
    bank.author.groups.add(*factories.make_user("reviewer").groups.all())
    client = client_as(bank.author)
    assert APPROVE not in page_of(client, bank)
    response = client.post(f"/serving/approve/{bank.review.pk}/", {"note": "mine is fine"})
    assert response.status_code == 403
    assert b"Not allowed" in response.content
    bank.review.refresh_from_db()
    assert bank.review.status == Review.Status.PENDING
    assert Deployment.objects.count() == 1


def test_approval_deploys_and_leads_to_the_endpoint(bank, client_as):
    client = client_as(bank.reviewer)
    response = client.post(f"/serving/approve/{bank.review.pk}/", {"note": "seasonal"}, follow=True)
    page = response.content.decode()
    assert response.redirect_chain == [("/serving/loan-needs/", 302)]
    assert "v2 was approved" in page
    assert "v2 is being taken over: 0 of 1 workers serve it" in page
    assert "v1 keeps answering until then" in page
    newest = Deployment.objects.order_by("-seq").first()
    assert (newest.state, newest.version, newest.deployed_by) == ("PENDING", bank.challenger, bank.reviewer)
    assert "approved" in page_of(client, bank) and "seasonal" in page_of(client, bank)


def test_the_second_of_two_reviewers_is_told_who_was_first(bank, client_as):
    first, second = client_as(bank.reviewer), client_as("reviewer")
    first.post(f"/serving/approve/{bank.review.pk}/", {"note": "fine"})
    for address in (f"/serving/approve/{bank.review.pk}/", f"/reviews/{bank.review.pk}/decide/"):
        response = second.post(address, {"note": "fine too", "decision": "REJECTED"})
        assert response.status_code == 409
        assert b"decided by jihye already" in response.content
    assert Deployment.objects.count() == 2


def test_an_open_gate_without_a_note_keeps_the_page_and_says_so(bank, client_as):
    response = client_as(bank.reviewer).post(f"/serving/approve/{bank.review.pk}/", {"note": " "})
    page = response.content.decode()
    assert response.status_code == 422
    assert "max_feature_psi did not pass" in page
    assert 'aria-invalid="true"' in page and APPROVE in page
    assert Review.objects.get(pk=bank.review.pk).status == Review.Status.PENDING


@pytest.mark.parametrize(("decision", "word"), [("REJECTED", "Rejected"), ("CHANGES_REQUESTED", "Changes")])
def test_a_reviewer_sends_a_version_back(decision, word, bank, client_as):
    client = client_as(bank.reviewer)
    address = f"/reviews/{bank.review.pk}/decide/"
    assert client.post(address, {"decision": decision, "note": ""}).status_code == 422
    response = client.post(address, {"decision": decision, "note": "explain July"}, follow=True)
    page = response.content.decode()
    assert word in page and "explain July" in page and APPROVE not in page
    bank.challenger.refresh_from_db()
    assert bank.challenger.stage == ModelVersion.Stage.CANDIDATE


def test_the_requester_withdraws_and_asks_again(bank, client_as):
    client = client_as(bank.author)
    client.post(f"/reviews/{bank.review.pk}/decide/", {"decision": "WITHDRAWN"})
    assert Review.objects.get(pk=bank.review.pk).status == Review.Status.WITHDRAWN
    assert "Ask for a review of v2" in client.get("/models/loan_needs/v2/").content.decode()
    response = client.post("/models/loan_needs/v2/request-review/")
    again = Review.objects.exclude(pk=bank.review.pk).get(version=bank.challenger)
    assert response["Location"] == again.get_absolute_url()
    assert (again.comparison, again.incumbent) == (bank.comparison, bank.champion)
    assert again.gates == bank.comparison.report["gates"]


def test_a_request_carries_the_gates_of_the_run_that_asked_for_none(bank, client_as):
    model = factories.make_model("card_churn", owner=bank.author)
    version = factories.make_version(model)
    pipeline = factories.make_pipeline(model=model, policy={"request_review": "never"})
    run = factories.make_run(pipeline, status="SUCCEEDED", version=version)
    found = factories.gates(failed="min_oot_auc")
    run.steps.filter(name="compare").update(metrics={"gates": found})
    client_as(bank.author).post("/models/card_churn/v1/request-review/")
    assert Review.objects.get(version=version).gates == found


def test_a_word_that_is_no_decision_is_refused(bank, client_as):
    client = client_as(bank.reviewer)
    for words in ({"decision": "APPROVED"}, {"decision": "x"}, {}):
        assert client.post(f"/reviews/{bank.review.pk}/decide/", words | {"note": "n"}).status_code == 422
    assert Review.objects.get(pk=bank.review.pk).status == Review.Status.PENDING


def test_looking_never_decides(bank, client_as):
    client = client_as(bank.reviewer)
    for address in (f"/reviews/{bank.review.pk}/decide/", f"/serving/approve/{bank.review.pk}/"):
        assert client.get(address).status_code == 405


def test_a_first_version_is_judged_by_its_own_figures(bank, client_as):
    model = factories.make_model("card_churn", owner=bank.author)
    review = factories.make_review(factories.make_version(model))
    page = client_as(bank.reviewer).get(f"/reviews/{review.pk}/").content.decode()
    assert "Put v1 into service as first champion" in page
    assert "card_churn has no champion yet, so v1 is compared with nothing." in page
    assert "What changed" not in page and "Who is swapped" not in page
    assert page.count("data-chart=") == 3
    assert "card_churn has no endpoint" in page and "Approve and deploy" not in page


def test_a_comparison_that_could_measure_nothing_has_a_page(bank, client_as):
    bank.comparison.report |= {
        "months": [],
        "pooled": None,
        "mde_auc": None,
        "deciles": {"champion": [], "challenger": []},
        "swap_set": None,
        "worse_months": [],
        "verdict": "CANNOT_TELL",
    }
    bank.comparison.verdict = "CANNOT_TELL"
    bank.comparison.save()
    client = client_as(bank.reviewer)
    for address in (bank.review.get_absolute_url(), bank.comparison.get_absolute_url()):
        response = client.get(address)
        assert response.status_code == 200
        assert b"Cannot tell" in response.content


def test_waiting_reviews_come_first_the_oldest_on_top(bank, client_as):
    late = factories.make_review(factories.make_version(factories.make_model("late", owner=bank.author)))
    page = client_as(bank.reviewer).get("/reviews/").content.decode()
    done = bank.champion.reviews.get()
    places = [page.index(f'href="{row.get_absolute_url()}"') for row in (bank.review, late, done)]
    assert places == sorted(places)
    assert "2 reviews wait for you" in page
