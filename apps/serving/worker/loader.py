"""From a verified manifest to a warm scorer: copy, try elsewhere, load here, check again."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import sys
from pathlib import Path

import numpy as np

from apps.serving.worker.background import in_background
from apps.serving.worker.errors import DeploymentRefused, TryAgain
from apps.serving.worker.manifest import DeploymentManifest
from apps.serving.worker.options import ENV_PREFIX
from apps.serving.worker.rows import RowDecoder
from apps.serving.worker.served import Served
from apps.serving.worker.state import LocalState
from apps.serving.worker.trial import REFUSED
from mlopslib.artifacts import ArtifactStore
from mlopslib.errors import ParityFailed
from mlopslib.package.read import ModelPackage, read_package
from mlopslib.package.verify import TOLERANCE, verify_native
from mlopslib.scoring import Scorer, load_scorer

TRIAL_SECONDS = 30.0
WARM_UP_CALLS = 50
_ROOT = Path(__file__).resolve().parents[3]


class Loader:
    """Loads one package at a time on a host."""

    def __init__(self, source: ArtifactStore, state: LocalState) -> None:
        self._source = source
        self._state = state

    async def load(self, manifest: DeploymentManifest) -> Served:
        """A version that is ready to answer.

        Raises ArtifactMissing and TryAgain for what may pass by itself; PackageDamaged, ParityFailed and
        DeploymentRefused for what will not.
        """
        sha256 = manifest.package_sha256
        async with self._state.lock():
            await in_background(self._state.fetch, self._source, sha256)
            if not self._state.is_proven(sha256):
                await self._try_elsewhere(sha256)
                await in_background(self._state.mark_proven, sha256)
            return await in_background(self._build, manifest)

    async def _try_elsewhere(self, sha256: str) -> None:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, "-m", "apps.serving.worker.trial", str(self._state.packages.root), sha256),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
            env=_environment(),
        )
        try:
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            async with asyncio.timeout(TRIAL_SECONDS):
                output = await process.stdout.read()
                code = await process.wait()
        except TimeoutError:
            raise TryAgain(f"loading the package took longer than {TRIAL_SECONDS:.0f} s") from None
        finally:
            if process.returncode is None:
                process.kill()
                await process.wait()
        if code == 0:
            return
        if code == REFUSED:
            raise DeploymentRefused(str(json.loads(output)["message"]))
        # the kernel kills like this when memory runs out, which need not be the package's fault
        if code == -signal.SIGKILL:
            raise TryAgain("the process that tried to load the package was killed")
        how = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise DeploymentRefused(f"loading the package ended the process that tried it ({how})")

    def _build(self, manifest: DeploymentManifest) -> Served:
        package = read_package(self._state.packages, manifest.package_sha256)
        if package.manifest.get("model") != manifest.model:
            raise DeploymentRefused(
                f"the package is of model {package.manifest.get('model')!r}, not {manifest.model!r}"
            )
        verify_native(package)
        scorer = load_scorer(package)
        _warm_up(scorer, package)
        _check_golden(scorer, package)
        inputs = package.golden["rows"][0]
        return Served(
            endpoint=manifest.endpoint,
            seq=manifest.seq,
            model=manifest.model,
            version=manifest.version,
            package_sha256=manifest.package_sha256,
            identifiers=tuple(manifest.identifiers),
            echo=tuple(manifest.echo),
            contract=package.contract,
            decoder=RowDecoder(package.contract, manifest.identifiers),
            scorer=scorer,
            example={**{name: "00000000001" for name in manifest.identifiers}, **inputs},
        )


def _environment() -> dict[str, str]:
    """Without our own options: the Redis URL is none of its business."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(ENV_PREFIX)}
    return {**kept, "PYTHONPATH": str(_ROOT), "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}


def _warm_up(scorer: Scorer, package: ModelPackage) -> None:
    """Single rows and small batches by turns: the two ways through the scorer."""
    rows = package.golden["rows"]
    for call in range(WARM_UP_CALLS):
        start = call % len(rows)
        scorer.score(rows[start : start + (15 if call % 2 else 1)])


def _check_golden(scorer: Scorer, package: ModelPackage) -> None:
    """Once more, on the very scorer that will answer."""
    difference = np.abs(
        scorer.score(package.golden["rows"]) - np.array(package.golden["scores"], dtype=float)
    )
    if not (difference <= TOLERANCE).all():
        raise ParityFailed("the loaded scorer does not give the golden scores")
