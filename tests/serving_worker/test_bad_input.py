"""Whatever is sent, the answer is a problem that names what is wrong, and the next request is served."""

from __future__ import annotations

import gzip
import json
import socket
import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.serving_worker.conftest import ENDPOINT, HTTP, Desk, talk_rows


def body_of(**changes: Any) -> bytes:
    """The talk's body with changes in its third row; a value of type bytes goes in as it is."""
    rows = talk_rows()[:4]
    row = rows[2]
    raw = {name: value for name, value in changes.items() if isinstance(value, bytes)}
    row.update({name: f"@{name}@" if name in raw else value for name, value in changes.items()})
    text = json.dumps({"requests": rows}).encode()
    for name, value in raw.items():
        text = text.replace(f'"@{name}@"'.encode(), value)
    return text


def without(name: str) -> bytes:
    rows = talk_rows()[:4]
    del rows[2][name]
    return json.dumps({"requests": rows}).encode()


FIELD = "requests[2].feature01"
WRONG_FIELDS = {
    "NaN": (body_of(feature01=b"NaN"), FIELD),
    "Infinity": (body_of(feature01=b"-Infinity"), FIELD),
    "a number out of range": (body_of(feature01=b"1e999"), FIELD),
    "thousands of digits": (body_of(feature01=b"7" * 5000), FIELD),
    "text for a number": (body_of(feature01="5.0"), FIELD),
    "true for a number": (body_of(feature01=True), FIELD),
    "a list for a number": (body_of(feature01=[1]), FIELD),
    "null where training had none": (body_of(feature01=None), FIELD),
    "a number for a category": (body_of(feature08=1), "requests[2].feature08"),
    "a field twice": (body_of(feature01=b'1, "feature01": 2'), FIELD),
    "a field twice, once escaped": (body_of(feature01=b'1, "\\u0066eature01": 2'), FIELD),
    "an identifier twice": (body_of(affiNo=b'"1", "affiNo": "2"'), "requests[2].affiNo"),
    "an object for an identifier": (body_of(affiNo={"a": 1}), "requests[2].affiNo"),
    "an identifier of many digits": (body_of(affiNo=b"7" * 5000), "requests[2].affiNo"),
    "an unknown field": (body_of(feature99=1), "requests[2].feature99"),
    "an unknown field with members": (body_of(feature99={"a": {"b": 1}}), "requests[2].feature99"),
    "a missing field": (without("feature01"), FIELD),
    "long text": (body_of(feature08="x" * 1000), "requests[2].feature08"),
    "a row that is no object": (b'{"requests": [[1, 2]]}', "requests[0]"),
    "no rows": (b'{"requests": []}', "requests"),
    "an object for the rows": (b'{"requests": {"a": 1}}', "requests"),
    "no requests": (b"{}", "requests"),
    "requests twice": (b'{"requests": [], "requests": []}', "requests"),
    "another member": (b'{"requests": [{}], "model": "v9"}', "model"),
    "too many rows": (json.dumps({"requests": talk_rows() * 67}).encode(), "requests"),
}
NOT_JSON = {
    "nothing": b"",
    "text": b"hello",
    "half of it": body_of()[:-7],
    "more after it": body_of() + b"{}",
    "no object": b"[1, 2, 3]",
    "null": b"null",
    "a byte order mark": b"\xef\xbb\xbf" + body_of(),
    "UTF-16": body_of().decode().encode("utf-16"),
    "not UTF-8": body_of(feature08=b'"\xff"'),
    "half a surrogate pair": body_of(feature08=b'"\\ud800"'),
    "deep lists": b"[" * 200_000,
    "deep objects": b'{"requests":' * 50_000,
    "a deep unknown field": body_of(feature99=b"[" * 100_000 + b"]" * 100_000),
    "zeros": b"\0" * 1000,
    "gzip": gzip.compress(body_of()),
}


def post(serving: Desk, body: bytes, **headers: str) -> httpx.Response:
    return HTTP.post(serving.score_url, content=body, headers={"content-type": "application/json", **headers})


def assert_problem(response: httpx.Response, status: int) -> dict[str, Any]:
    assert response.status_code == status, response.text
    assert response.headers["content-type"] == "application/problem+json"
    problem = response.json()
    assert problem["status"] == status
    assert problem["type"] and problem["title"] and problem["requestId"]
    assert len(response.content) < 1000
    return problem


@pytest.mark.parametrize("case", WRONG_FIELDS)
def test_a_wrong_field_is_named(serving: Desk, case: str) -> None:
    body, field = WRONG_FIELDS[case]
    problem = assert_problem(post(serving, body), 422)
    assert problem["field"] == field
    assert field in problem["title"] or field == "model"


@pytest.mark.parametrize("case", NOT_JSON)
def test_what_is_not_json_is_refused(serving: Desk, case: str) -> None:
    assert_problem(post(serving, NOT_JSON[case]), 400)


def test_a_body_that_is_too_large_is_refused(serving: Desk) -> None:
    assert_problem(post(serving, b" " * (1 << 20) + body_of()), 413)
    assert_problem(post(serving, b" " * (10 << 20)), 413)


def test_a_chunked_body_without_end_is_refused(serving: Desk) -> None:
    pieces = (b" " * 65536 for _ in range(40))
    response = HTTP.post(serving.score_url, content=pieces)
    assert_problem(response, 413)


def test_an_encoded_body_is_refused(serving: Desk) -> None:
    assert_problem(post(serving, gzip.compress(b" " * (50 << 20)), **{"content-encoding": "gzip"}), 415)


def test_wrong_addresses_and_methods(serving: Desk) -> None:
    assert_problem(HTTP.get(serving.url + "/v1/nothing"), 404)
    assert_problem(HTTP.post(f"{serving.url}/v1/endpoints/no-such/score", json={}), 404)
    assert_problem(HTTP.post(f"{serving.url}/v1/endpoints/%2e%2e%2fetc/score", json={}), 404)
    refused = HTTP.get(serving.score_url)
    assert_problem(refused, 405)
    assert refused.headers["allow"] == "POST"
    assert_problem(HTTP.delete(f"{serving.url}/v1/endpoints/{ENDPOINT}"), 405)


@pytest.mark.parametrize(
    "raw",
    [
        b"GET / HTTP/9.9\r\n\r\n",
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + b"\0" * 50,
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: -5\r\n\r\n",
        b"POST /v1 HTTP/1.1\r\nHost: a\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"OPTIONS * HTTP/1.1\r\nHost: a\r\n\r\n",
        b"GET /" + b"a" * 300_000,
    ],
)
def test_what_is_not_http_gets_a_4xx_and_the_door(serving: Desk, raw: bytes) -> None:
    with socket.create_connection(("127.0.0.1", serving.port), timeout=8) as connection:
        try:
            connection.sendall(raw)
            answer = connection.recv(65536)
        except ConnectionResetError:
            answer = b""
    assert answer == b"" or answer.startswith(b"HTTP/1.1 4"), answer


def test_slow_senders_are_let_go_and_the_others_are_served(serving: Desk) -> None:
    """More half requests than may be in flight, all at once: heads for 5 s, bodies for 10 s."""
    head = f"POST /v1/endpoints/{ENDPOINT}/score HTTP/1.1\r\nHost: a\r\nContent-Length: 900\r\n".encode()
    opening = {"idle": b"", "half a head": head[:40], "half a body": head + b'\r\n{"requests":'}
    started = time.monotonic()
    slow = [(kind, _connect(serving, data)) for kind, data in opening.items() for _ in range(70)]
    with ThreadPoolExecutor(4) as pool:
        ends = pool.map(lambda item: (item[0], *_read_to_end(item[1])), slow)
        served = 0
        while time.monotonic() - started < 4:
            assert serving.score(talk_rows()).status_code == 200
            served += 1
        ended = list(ends)
    assert served > 50
    for kind, answer, at in ended:
        assert at - started < 13, kind
        assert answer.startswith(b"HTTP/1.1 408") if kind == "half a body" else answer == b"", kind


def _connect(serving: Desk, data: bytes) -> socket.socket:
    connection = socket.create_connection(("127.0.0.1", serving.port), timeout=20)
    connection.sendall(data)
    return connection


def _read_to_end(connection: socket.socket) -> tuple[bytes, float]:
    with connection:
        answer = b""
        while chunk := connection.recv(65536):
            answer += chunk
    return answer, time.monotonic()


def test_after_all_that_the_worker_is_the_same_process_and_answers(serving: Desk) -> None:
    (pid,) = serving.child_pids()
    (beat,) = serving.heartbeats()
    assert beat["pid"] == pid
    for case in [*NOT_JSON.values(), *(body for body, _ in WRONG_FIELDS.values())]:
        assert 400 <= post(serving, case).status_code < 500
    assert serving.score(talk_rows()).status_code == 200
    assert serving.child_pids() == [pid]
    assert "Traceback" not in serving.log
