"""A worker serves what was approved and signed, or goes on with what it has and says why."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from mlopslib.package.signing import create_key_pair, sign
from tests.serving_worker.conftest import (
    Desk,
    Packages,
    RedisServer,
    free_port,
    talk_rows,
    wait_for,
)


@pytest.fixture(scope="module")
def holder(
    packages: Packages, redis_server: RedisServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Desk]:
    """One worker that serves v1 as number 5 and is offered one bad deployment after another."""
    desk = Desk(packages, redis_server, tmp_path_factory.mktemp("holder"), prefix=f"holder{free_port()}")
    desk.start()
    desk.deploy(5, "v1")
    yield desk
    assert desk.stop() == 0


def approval_with(desk: Desk, **changes: Any) -> dict[str, Any]:
    return {**desk.manifest(6, "v2")["approval"], **changes}


def unsigned(desk: Desk, tmp_path: Path) -> Any:
    return {"manifest": desk.manifest(6, "v2")}


def empty_signature(desk: Desk, tmp_path: Path) -> Any:
    return {**desk.signed(6, "v2"), "signature": ""}


def unknown_key(desk: Desk, tmp_path: Path) -> Any:
    create_key_pair(tmp_path / "keys")
    return sign(desk.manifest(6, "v2"), tmp_path / "keys" / "signing.pem")


def foreign_key_under_a_known_name(desk: Desk, tmp_path: Path) -> Any:
    return {**unknown_key(desk, tmp_path), "key_id": desk.signed(6, "v2")["key_id"]}


def key_id_that_is_a_path(desk: Desk, tmp_path: Path) -> Any:
    return {**desk.signed(6, "v2"), "key_id": "../../../etc/passwd"}


def changed_after_signing(desk: Desk, tmp_path: Path) -> Any:
    signed = desk.signed(6, "v1")
    signed["manifest"]["version"] = "v2"
    return signed


def no_approval(desk: Desk, tmp_path: Path) -> Any:
    return desk.signed(6, "v2", approval=None)


def half_an_approval(desk: Desk, tmp_path: Path) -> Any:
    return desk.signed(6, "v2", approval={"package_sha256": desk.packages.sha256["v2"]})


def approval_of_another_package(desk: Desk, tmp_path: Path) -> Any:
    return desk.signed(6, "v2", approval=approval_with(desk, package_sha256=desk.packages.sha256["v1"]))


def another_endpoint(desk: Desk, tmp_path: Path) -> Any:
    return desk.signed(6, "v2", endpoint="other")


def another_model(desk: Desk, tmp_path: Path) -> Any:
    return desk.signed(6, "v2", model="card_fraud")


def echo_of_an_input(desk: Desk, tmp_path: Path) -> Any:
    return desk.signed(6, "v2", echo=["feature01"])


REFUSED: dict[Callable[[Desk, Path], Any], str] = {
    unsigned: "signed manifest",
    empty_signature: "signature",
    unknown_key: "not known",
    foreign_key_under_a_known_name: "signature does not fit",
    key_id_that_is_a_path: "key id",
    changed_after_signing: "signature does not fit",
    no_approval: "no approval",
    half_an_approval: "not as it should be",
    approval_of_another_package: "another package",
    another_endpoint: "for endpoint 'other'",
    another_model: "of model 'loan_needs'",
    echo_of_an_input: "echoed",
}


def assert_still_serving(desk: Desk, version: str = "v1") -> None:
    answer = desk.score(talk_rows())
    assert answer.status_code == 200
    assert answer.json()["version"] == version
    assert desk.get("/ready").json()["status"] == "degraded"


@pytest.mark.parametrize("bad", REFUSED, ids=lambda bad: bad.__name__)
def test_what_is_not_approved_and_signed_is_refused(
    holder: Desk, tmp_path: Path, bad: Callable[[Desk, Path], Any]
) -> None:
    offered = bad(holder, tmp_path)
    # a verified number that was refused is not tried again: each case takes the next one
    if offered.get("manifest", {}).get("model") == "card_fraud":
        offered = holder.signed(7, "v2", model="card_fraud")
    holder.publish(offered)
    wait_for(lambda: REFUSED[bad] in holder.refusal(offered["manifest"]["seq"]), REFUSED[bad])
    assert_still_serving(holder)


@pytest.mark.parametrize("raw", [b"not json", b"[" * 100_000, b"x" * 200_000, b"null", b'{"manifest": 1}'])
def test_what_is_no_manifest_is_refused(holder: Desk, raw: bytes) -> None:
    holder.publish(raw)
    assert holder.refusal(0)
    assert_still_serving(holder)


@pytest.mark.parametrize("seq", [4, 5])
def test_a_replayed_number_is_refused(holder: Desk, seq: int) -> None:
    holder.publish(holder.signed(seq, "v2"))
    wait_for(lambda: f"manifest {seq} is not newer than 5" in holder.refusal(seq), "a refusal")
    assert_still_serving(holder)
    # with the true manifest back on the shelf all is well again
    holder.deploy(5, "v1")
    assert holder.get("/ready").json()["status"] == "ready"


def cut_in_half(text: bytes) -> bytes:
    return text[: len(text) // 2]


def cut_in_the_header(text: bytes) -> bytes:
    return text[:200]


def other_leaves(text: bytes) -> bytes:
    head, tail = text.split(b"leaf_value=", 1)
    rest = tail.split(b" ", 1)[1]
    return head + b"leaf_value=9.5 " + rest


def one_other_digit(text: bytes) -> bytes:
    """The same length, so that LightGBM loads it without a word: only the golden rows can tell."""
    head, tail = text.split(b"leaf_value=", 1)
    line, rest = tail.split(b"\n", 1)
    line = line.translate(bytes.maketrans(b"123456789", b"987654321"))
    return head + b"leaf_value=" + line + b"\n" + rest


def wild_children(text: bytes) -> bytes:
    head, tail = text.split(b"left_child=", 1)
    line, rest = tail.split(b"\n", 1)
    return head + b"left_child=" + b" ".join([b"99999999"] * len(line.split())) + b"\n" + rest


def flipped_bytes(text: bytes) -> bytes:
    changed = bytearray(text)
    for position in range(len(changed) // 3, len(changed), 997):
        changed[position] ^= 0x15
    return bytes(changed)


def nothing(text: bytes) -> bytes:
    return b""


DAMAGES = [
    cut_in_half,
    cut_in_the_header,
    other_leaves,
    one_other_digit,
    wild_children,
    flipped_bytes,
    nothing,
]


@pytest.mark.parametrize("damage", DAMAGES, ids=lambda damage: damage.__name__)
def test_a_model_text_that_is_signed_and_yet_broken_is_refused(
    holder: Desk, damage: Callable[[bytes], bytes]
) -> None:
    seq = 10 + DAMAGES.index(damage)
    (pid,) = holder.child_pids()
    holder.publish(holder.signed(seq, "v2", package_sha256=holder.packages.changed("v2", damage)))
    reason = holder.refusal(seq)
    assert ("golden score disagree" in reason) is (damage is one_other_digit), reason
    assert_still_serving(holder)
    assert holder.child_pids() == [pid]


def test_bytes_that_changed_in_the_store_are_refused_before_anything_parses_them(holder: Desk) -> None:
    store = holder.packages.store
    sha256 = holder.packages.changed("v2", lambda text: text + b"\n# a copy for this test\n")
    path = store.path(store.read_json(sha256)["files"]["model.txt"]["sha256"])
    path.write_bytes(other_leaves(path.read_bytes()))
    holder.publish(holder.signed(30, "v2", package_sha256=sha256))
    assert "does not match its hash" in holder.refusal(30)
    assert_still_serving(holder)


def test_a_manifest_of_other_files_is_refused(holder: Desk) -> None:
    store = holder.packages.store
    manifest = store.read_json(holder.packages.sha256["v2"])
    manifest["files"]["model.pkl"] = store.put_bytes(b"cos\nsystem\n(S'true'\ntR.", "pkl").to_dict()
    holder.publish(holder.signed(31, "v2", package_sha256=store.put_json(manifest).sha256))
    assert "exactly the files" in holder.refusal(31)
    assert_still_serving(holder)


def test_files_that_come_late_are_waited_for(holder: Desk) -> None:
    store = holder.packages.store
    sha256 = holder.packages.changed("v2", lambda text: text + b"\n# late\n")
    path = store.path(store.read_json(sha256)["files"]["model.txt"]["sha256"])
    aside = path.rename(path.with_suffix(".late"))
    holder.publish(holder.signed(40, "v2", package_sha256=sha256))
    wait_for(lambda: "trying again" in holder.reports()[0]["reason"], "the wait")
    report = holder.reports()[0]
    assert (report["state"], report["seq"], report["target_seq"]) == ("loading", 5, 40)
    assert holder.score(talk_rows()).json()["version"] == "v1"
    aside.rename(path)
    wait_for(lambda: holder.all_serve(40), "the late package")
    assert holder.score(talk_rows()).json()["version"] == "v2"


def test_a_bad_first_deployment_does_not_take_the_others_out(holder: Desk) -> None:
    holder.publish(json.dumps(holder.signed(1, "v1", endpoint="fresh", approval=None)).encode(), "fresh")
    wait_for(lambda: holder.reports("fresh")[0].get("state") == "refused", "the refusal")
    assert holder.get("/ready").status_code == 200
    assert holder.score(talk_rows()).status_code == 200
    response = holder.get("/v1/endpoints/fresh")
    assert (response.status_code, response.headers["retry-after"]) == (503, "3")
