"""plotly.js as a static file, straight out of the plotly wheel: nothing of it is kept in the repository."""

from __future__ import annotations

from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.contrib.staticfiles.finders import BaseFinder
from django.core.checks import CheckMessage, Error
from django.core.files.storage import FileSystemStorage, Storage

FILE = "plotly.min.js"


class PlotlyFinder(BaseFinder):
    """Finds `plotly/plotly.min.js` without importing plotly."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        spec = find_spec("plotly")
        roots = list(spec.submodule_search_locations or ()) if spec else []
        self.directory = Path(roots[0]) / "package_data" if roots else None

    def check(self, **kwargs: Any) -> list[CheckMessage]:
        if self.directory and (self.directory / FILE).is_file():
            return []
        return [Error("plotly is not installed, so pages cannot draw charts", id="portal.E001")]

    def find(self, path: str, find_all: bool = False, **kwargs: Any) -> Any:
        """The file's path; [] (as Django's finders answer) for any other file."""
        if self.directory is None or path.replace("\\", "/") != f"plotly/{FILE}":
            return []
        found = str(self.directory / FILE)
        return [found] if find_all else found

    def list(self, ignore_patterns: Any) -> Iterator[tuple[str, Storage]]:
        if self.directory is None:
            return
        storage = FileSystemStorage(location=str(self.directory))
        storage.prefix = "plotly"  # type: ignore[attr-defined]
        yield FILE, storage
