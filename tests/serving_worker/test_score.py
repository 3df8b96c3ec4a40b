"""What a caller of an endpoint sees when the request is right."""

from __future__ import annotations

import pytest

from mlopslib.scoring import load_scorer
from tests.serving_worker.conftest import ENDPOINT, HTTP, Desk, talk_rows


def test_talks_example_is_answered_with_echoed_identifiers_and_scores(serving: Desk) -> None:
    rows = talk_rows()
    response = serving.score(rows)
    assert response.status_code == 200
    answer = response.json()
    expected = load_scorer(serving.packages.read("v1")).score(rows)
    assert answer["responses"] == [
        {"affiNo": row["affiNo"], "affiCode": row["affiCode"], "score": score}
        for row, score in zip(rows, expected.tolist(), strict=True)
    ]
    assert (answer["model"], answer["version"]) == ("loan_needs", "v1")
    assert answer["requestId"] == response.headers["x-request-id"]


@pytest.mark.parametrize("count", [1, 7, 8, 64, 65, 1000])
def test_a_row_scores_the_same_in_a_body_of_any_size(serving: Desk, count: int) -> None:
    rows = (talk_rows() * 67)[:count]
    expected = load_scorer(serving.packages.read("v1")).score(rows[:15]).tolist()
    answer = serving.score(rows).json()
    scores = [response["score"] for response in answer["responses"]]
    assert scores == (expected * 67)[:count]


def test_every_golden_row_scores_as_the_package_says(serving: Desk) -> None:
    golden = serving.packages.read("v1").golden
    answer = serving.score(golden["rows"]).json()
    scores = [response["score"] for response in answer["responses"]]
    assert scores == pytest.approx(golden["scores"], abs=1e-9)


def test_identifiers_may_be_absent_or_numbers(serving: Desk) -> None:
    row = talk_rows()[0]
    del row["customId"], row["affiCode"]
    row["affiNo"] = 100000001
    response = serving.score([row])
    assert response.status_code == 200
    assert list(response.json()["responses"][0]) == ["affiNo", "score"]
    assert response.json()["responses"][0]["affiNo"] == 100000001


def test_missing_values_and_unseen_categories_are_scored(serving: Desk) -> None:
    row = {**talk_rows()[0], "feature02": None, "feature08": None, "feature09": "never seen"}
    expected = load_scorer(serving.packages.read("v1")).score([row])[0]
    assert serving.score([row]).json()["responses"][0]["score"] == expected


def test_colons_and_escapes_in_text_are_no_fault(serving: Desk) -> None:
    row = {**talk_rows()[0], "affiNo": 'a:b:"c"\\ \u20ac', "feature09": "::"}
    response = serving.score([row])
    assert response.status_code == 200
    assert response.json()["responses"][0]["affiNo"] == row["affiNo"]


def test_callers_request_id_is_kept_and_a_strange_one_is_not(serving: Desk) -> None:
    body = {"requests": talk_rows()[:1]}
    kept = HTTP.post(serving.score_url, json=body, headers={"X-Request-Id": "core-banking.42"})
    assert kept.json()["requestId"] == "core-banking.42"
    replaced = HTTP.post(serving.score_url, json=body, headers={"X-Request-Id": "a b<script>"})
    assert len(replaced.json()["requestId"]) == 32


def test_endpoint_describes_itself_and_its_example_is_a_right_request(serving: Desk) -> None:
    listed = serving.get("/v1/endpoints").json()["endpoints"]
    assert listed == [
        {"name": ENDPOINT, "model": "loan_needs", "version": "v1", "seq": 1, "state": "serving"}
    ]
    about = serving.get(f"/v1/endpoints/{ENDPOINT}").json()
    assert about["version"] == "v1"
    assert about["echo"] == ["affiNo", "affiCode"]
    assert {item["name"] for item in about["contract"]["inputs"]} >= {"feature01", "feature10"}
    assert HTTP.post(serving.score_url, json=about["example"]).status_code == 200


def test_live_and_ready(serving: Desk) -> None:
    assert serving.get("/live").status_code == 200
    assert serving.get("/ready").json() == {"status": "ready", "endpoints": {ENDPOINT: "serving"}}


def test_heartbeat_says_what_is_served(serving: Desk) -> None:
    (beat,) = serving.heartbeats()
    assert beat["port"] == serving.port
    report = beat["endpoints"][ENDPOINT]
    assert report["seq"] == report["target_seq"] == 1
    assert (report["version"], report["state"], report["reason"]) == ("v1", "serving", "")
    assert report["package_sha256"] == serving.packages.sha256["v1"]
