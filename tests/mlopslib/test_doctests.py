"""The examples in the docstrings of the library run."""

from __future__ import annotations

import doctest
import importlib
import pkgutil

import pytest

import mlopslib

NAMES = [module.name for module in pkgutil.walk_packages(mlopslib.__path__, "mlopslib.")]


@pytest.mark.parametrize("name", NAMES)
def test_examples_run(name: str) -> None:
    result = doctest.testmod(importlib.import_module(name))
    assert result.failed == 0


def test_there_are_examples() -> None:
    assert sum(doctest.testmod(importlib.import_module(name)).attempted for name in NAMES) > 40
