"""Settings of the processes that tests of runs start: toy steps beside the real ones."""

from pathlib import Path

from mlopslib import steps
from tests.settings import *  # noqa: F403

_TOYS = Path(__file__).parent / "toy_steps"
steps.__path__.append(str(_TOYS))
steps.TEMPLATES["materialise"] = tuple(sorted(path.stem for path in _TOYS.glob("toy_*.py")))
