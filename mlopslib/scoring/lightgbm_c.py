"""LightGBM's C library by ctypes: neither the Python package `lightgbm` nor pandas is imported.

Every call's return code is checked. A `Booster` is read-only, so threads may share it; a
`FastRow` holds buffers and belongs to one thread.
"""

from __future__ import annotations

import ctypes
import importlib.util
import sys
from ctypes import POINTER, byref, c_char_p, c_double, c_int, c_int32, c_int64, c_void_p
from functools import cache
from pathlib import Path

import numpy as np
import numpy.typing as npt

from mlopslib.errors import PackageDamaged, PackageError

FloatArray = npt.NDArray[np.float64]

_FLOAT64 = 1
_ROW_MAJOR = 1
_NORMAL = 0
#: scoring threads come from the server, not from OpenMP; a float from one thread is the same everywhere
_PARAMETERS = b"num_threads=1"

_SIGNATURES = {
    "LGBM_BoosterLoadModelFromString": [c_char_p, POINTER(c_int), POINTER(c_void_p)],
    "LGBM_BoosterFree": [c_void_p],
    "LGBM_BoosterGetNumFeature": [c_void_p, POINTER(c_int)],
    "LGBM_BoosterGetNumClasses": [c_void_p, POINTER(c_int)],
    "LGBM_BoosterPredictForMat": [
        c_void_p, c_void_p, c_int, c_int32, c_int32, c_int, c_int, c_int, c_int, c_char_p,
        POINTER(c_int64), c_void_p,
    ],
    "LGBM_BoosterPredictForMatSingleRowFastInit": [
        c_void_p, c_int, c_int, c_int, c_int, c_int32, c_char_p, POINTER(c_void_p),
    ],
    "LGBM_BoosterPredictForMatSingleRowFast": [c_void_p, c_void_p, POINTER(c_int64), c_void_p],
    "LGBM_FastConfigFree": [c_void_p],
}  # fmt: skip


def library_path() -> Path:
    """Where the `lightgbm` wheel keeps its library, found without importing the package."""
    spec = importlib.util.find_spec("lightgbm")
    if spec is None or not spec.submodule_search_locations:
        raise PackageError("the lightgbm wheel is not installed: its C library scores the models")
    name = {"darwin": "lib_lightgbm.dylib", "win32": "lib_lightgbm.dll"}.get(sys.platform, "lib_lightgbm.so")
    for folder in spec.submodule_search_locations:
        path = Path(folder) / "lib" / name
        if path.is_file():
            return path
    raise PackageError(f"the lightgbm wheel has no lib/{name}")


@cache
def _library() -> ctypes.CDLL:
    library = ctypes.CDLL(str(library_path()))
    library.LGBM_GetLastError.restype = c_char_p
    for name, arguments in _SIGNATURES.items():
        function = getattr(library, name)
        function.argtypes = arguments
        function.restype = c_int
    return library


def _check(code: int, what: str) -> None:
    if code != 0:
        text = _library().LGBM_GetLastError() or b""
        raise PackageError(f"LightGBM could not {what}: {text.decode(errors='replace')}")


class Booster:
    """A LightGBM model loaded from its text.

    Load only text whose hash was checked: damaged text can end the process (LightGBM does not raise).
    """

    def __init__(self, text: str) -> None:
        self._handle: c_void_p | None = None
        self._library = library = _library()
        handle, iterations = c_void_p(), c_int()
        code = library.LGBM_BoosterLoadModelFromString(text.encode(), byref(iterations), byref(handle))
        if code != 0:
            raise PackageDamaged(
                f"model.txt does not load: {(library.LGBM_GetLastError() or b'').decode(errors='replace')}",
                field="model.txt",
            )
        self._handle = handle
        classes, features = c_int(), c_int()
        _check(library.LGBM_BoosterGetNumClasses(handle, byref(classes)), "count the classes")
        _check(library.LGBM_BoosterGetNumFeature(handle, byref(features)), "count the features")
        if classes.value != 1:
            raise PackageDamaged("model.txt gives more than one score for a row", field="model.txt")
        self.n_features = features.value
        self.n_iterations = iterations.value

    @property
    def handle(self) -> c_void_p:
        assert self._handle is not None  # noqa: S101
        return self._handle

    def predict(self, matrix: FloatArray) -> FloatArray:
        """Scores of a matrix with `n_features` columns in the order of the booster."""
        data = np.ascontiguousarray(matrix, dtype=np.float64)
        rows = data.shape[0]
        if data.ndim != 2 or data.shape[1] != self.n_features:
            raise PackageError(f"the model takes {self.n_features} columns, the matrix is {data.shape}")
        scores = np.empty(rows, dtype=np.float64)
        if rows == 0:
            return scores
        written = c_int64(0)
        code = self._library.LGBM_BoosterPredictForMat(
            self.handle, data.ctypes.data, _FLOAT64, rows, self.n_features, _ROW_MAJOR,
            _NORMAL, 0, -1, _PARAMETERS, byref(written), scores.ctypes.data,
        )  # fmt: skip
        _check(code, "score the rows")
        if written.value != rows:
            raise PackageError(f"LightGBM gave {written.value} scores for {rows} rows")
        return scores

    def __del__(self) -> None:
        if self._handle is not None:
            self._library.LGBM_BoosterFree(self._handle)


class FastRow:
    """One row at a time with nothing allocated; belongs to the thread that made it.

    Fill `row` and call `predict`.
    """

    def __init__(self, booster: Booster) -> None:
        self._config: c_void_p | None = None
        self._library = library = _library()
        # keeps the model's memory alive as long as this
        self._booster = booster
        self.row = np.zeros(booster.n_features, dtype=np.float64)
        self._score = c_double()
        self._written = c_int64()
        config = c_void_p()
        code = library.LGBM_BoosterPredictForMatSingleRowFastInit(
            booster.handle, _NORMAL, 0, -1, _FLOAT64, booster.n_features, _PARAMETERS, byref(config)
        )
        _check(code, "prepare single-row scoring")
        self._config = config
        self._call = library.LGBM_BoosterPredictForMatSingleRowFast
        self._row_address = self.row.ctypes.data
        self._written_reference = byref(self._written)
        self._score_address = ctypes.addressof(self._score)

    def predict(self) -> float:
        _check(
            self._call(self._config, self._row_address, self._written_reference, self._score_address),
            "score the row",
        )
        return self._score.value

    def __del__(self) -> None:
        if self._config is not None:
            self._library.LGBM_FastConfigFree(self._config)
