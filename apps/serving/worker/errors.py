"""Why a deployment is not taken, and why a request is not answered."""

from __future__ import annotations

from mlopslib.errors import GijunError, PackageError


class DeploymentRefused(PackageError):
    """A manifest that this worker will not serve; a newer one may be better."""

    code = "deployment-refused"


class TryAgain(GijunError):
    """A fault that may pass by itself: a file not there yet, a full disk, a slow host."""

    code = "try-again"


class RequestRefused(GijunError):
    """A request that gets no score, with the HTTP status that says so."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        field: str | None = None,
        headers: tuple[tuple[bytes, bytes], ...] = (),
    ) -> None:
        super().__init__(message, field=field)
        self.status = status
        self.code = code
        self.headers = headers
