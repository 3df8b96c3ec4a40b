"""Versions change under load: every request is answered, each by the version that it names."""

from __future__ import annotations

import threading
from collections import Counter

import httpx

from mlopslib.scoring import load_scorer
from tests.serving_worker.conftest import Desk, talk_rows, wait_for

SWAPS = 6


class Load:
    """Callers with connections of their own, who never pause."""

    def __init__(self, desk: Desk, callers: int) -> None:
        rows = talk_rows()
        self._url, self._body = desk.score_url, {"requests": rows}
        self._expected = {
            version: load_scorer(desk.packages.read(version)).score(rows).tolist() for version in ("v1", "v2")
        }
        assert self._expected["v1"] != self._expected["v2"]
        self.answers: Counter[str] = Counter()
        self.faults: list[str] = []
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._call) for _ in range(callers)]

    def __enter__(self) -> Load:
        for thread in self._threads:
            thread.start()
        return self

    def __exit__(self, *exc: object) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()

    def _call(self) -> None:
        with httpx.Client(timeout=10) as client:
            while not self._stop.is_set():
                try:
                    response = client.post(self._url, json=self._body)
                    answer = response.json()
                    scores = [item["score"] for item in answer["responses"]]
                    if scores != self._expected[answer["version"]]:
                        self.faults.append(f"{answer['version']} does not score like this")
                    self.answers[answer["version"]] += 1
                except (httpx.TransportError, ValueError, KeyError) as error:
                    self.faults.append(repr(error))


def test_swapping_under_load_fails_no_request(desk: Desk) -> None:
    desk.publish(desk.signed(1, "v1"))
    desk.start(processes=2)
    wait_for(lambda: len(desk.heartbeats()) == 2 and desk.all_serve(1), "two workers on v1")
    with Load(desk, callers=4) as load:
        for seq in range(2, SWAPS + 2):
            before = sum(load.answers.values())
            # v2, then back to v1 by a higher number: a rollback
            desk.deploy(seq, "v2" if seq % 2 == 0 else "v1")
            wait_for(lambda least=before + 20: sum(load.answers.values()) > least, "answers after the swap")
    assert load.faults == []
    assert load.answers["v1"] > 50 and load.answers["v2"] > 50
    assert desk.score(talk_rows()).json()["version"] == "v1"
    # the package of a rollback is on the disk and proven: one copy of each
    assert len(list((desk.home / "state" / "proven").iterdir())) == 2


def test_an_endpoint_opens_without_a_restart(desk: Desk) -> None:
    desk.start()
    assert desk.get("/ready").status_code == 503
    assert desk.get("/live").status_code == 200
    assert desk.score(talk_rows()).status_code == 404
    desk.publish(desk.signed(1, "v1", endpoint="other", identifiers=["cust"], echo=["cust"]), "other")
    wait_for(lambda: desk.get("/ready").status_code == 200, "readiness")
    desk.deploy(1, "v2")
    names = {item["name"]: item["version"] for item in desk.get("/v1/endpoints").json()["endpoints"]}
    assert names == {"other": "v1", "loan-needs": "v2"}
    # what is an identifier of one endpoint is an unknown field of the other
    row = {**talk_rows()[0], "cust": "1"}
    assert desk.score([row]).json()["field"] == "requests[0].cust"
