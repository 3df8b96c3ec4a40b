"""The state directory keeps what a roll-back needs and nothing else."""

from __future__ import annotations

import asyncio
import json
from pathlib import Path

import pytest

from apps.serving.worker import state as module
from apps.serving.worker.errors import DeploymentRefused
from apps.serving.worker.state import LocalState
from mlopslib.artifacts import ArtifactStore
from mlopslib.errors import ArtifactMissing, PackageDamaged


def put_package(store: ArtifactStore, text: bytes) -> str:
    files = {"model.txt": store.put_bytes(text, "txt").to_dict()}
    return store.put_json({"format": 1, "files": files}).sha256


def raw_of(seq: int) -> bytes:
    return json.dumps({"manifest": {"seq": seq}}).encode()


def test_the_last_three_packages_of_an_endpoint_stay(tmp_path: Path) -> None:
    store, state = ArtifactStore(tmp_path / "store"), LocalState(tmp_path / "state")
    packages = [put_package(store, b"model %d" % number) for number in range(5)]
    for seq, sha256 in enumerate(packages, 1):
        state.fetch(store, sha256)
        state.mark_proven(sha256)
        state.keep("loan-needs", raw_of(seq), sha256)
    (state.packages.root / "staging" / "left-by-a-killed-process").write_bytes(b"x")
    state.prune()
    assert [state.packages.exists(sha256) for sha256 in packages] == [False, False, True, True, True]
    assert [state.is_proven(sha256) for sha256 in packages] == [False, False, True, True, True]
    assert len(list((state.packages.root / "objects").glob("*/*"))) == 6
    assert list((state.packages.root / "staging").iterdir()) == []


def test_a_slower_process_does_not_put_an_older_manifest_back(tmp_path: Path) -> None:
    state = LocalState(tmp_path)
    state.keep("loan-needs", raw_of(6), "b" * 64)
    state.keep("loan-needs", raw_of(5), "a" * 64)
    assert state.current() == {"loan-needs": raw_of(6)}


def test_a_trial_counts_only_with_the_same_libraries(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    state = LocalState(tmp_path)
    state.mark_proven("a" * 64)
    assert state.is_proven("a" * 64)
    monkeypatch.setattr(module, "_libraries", lambda: "another LightGBM")
    assert not state.is_proven("a" * 64)


def test_damaged_missing_and_too_large_files_are_told_apart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    store, state = ArtifactStore(tmp_path / "store"), LocalState(tmp_path / "state")
    sha256 = put_package(store, b"a model")
    path = store.path(store.read_json(sha256)["files"]["model.txt"]["sha256"])
    path.write_bytes(b"another")
    with pytest.raises(PackageDamaged):
        state.fetch(store, sha256)
    path.unlink()
    with pytest.raises(ArtifactMissing):
        state.fetch(store, sha256)
    # nothing but the manifest came over
    assert len(list((state.packages.root / "objects").glob("*/*"))) == 1
    path.write_bytes(b"a model")
    monkeypatch.setattr(module, "MAX_FILE_BYTES", 3)
    with pytest.raises(DeploymentRefused, match="larger"):
        state.fetch(store, sha256)


def test_one_load_at_a_time(tmp_path: Path) -> None:
    order: list[str] = []

    async def load(name: str) -> None:
        async with LocalState(tmp_path).lock():
            order.append(f"{name} in")
            await asyncio.sleep(0.1)
            order.append(f"{name} out")

    async def both() -> None:
        await asyncio.gather(load("a"), load("b"))

    asyncio.run(both())
    assert [step.split()[1] for step in order] == ["in", "out", "in", "out"]
