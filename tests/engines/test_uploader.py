"""Files on their way to the engine. The WebHDFS server here speaks the protocol; a real HDFS was not run."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mlopslib.errors import ConnectionFault, InvalidInput
from mlopslib.offline import open_store
from mlopslib.offline.hiveserver2.loading import write_parquet
from mlopslib.offline.hiveserver2.uploader import LocalDirectory, open_uploader, uploaded
from tests.conftest import free_port


class Hdfs(ThreadingHTTPServer):
    """A namenode and a datanode in one: the first answers with the address of the second."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.folders: set[str] = set()
        self.asked: list[tuple[str, str]] = []
        self.refusal: tuple[int, object] | None = None

    @property
    def url(self) -> str:
        return f"webhdfs://127.0.0.1:{self.server_port}/tmp/gi%20jun"


class _Handler(BaseHTTPRequestHandler):
    server: Hdfs

    def do_PUT(self) -> None:
        self._answer()

    def do_DELETE(self) -> None:
        self._answer()

    def _answer(self) -> None:
        parts = urlsplit(self.path)
        options = {name: values[0] for name, values in parse_qs(parts.query).items()}
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        path = parts.path.removeprefix("/webhdfs/v1").replace("%20", " ")
        operation = options["op"]
        self.server.asked.append((operation, options.get("user.name", "")))
        if self.server.refusal is not None and "datanode" not in options:
            self._send(*self.server.refusal)
        elif operation == "MKDIRS":
            self.server.folders.add(path)
            self._send(200, {"boolean": True})
        elif operation == "CREATE" and "datanode" not in options:
            assert body == b"", "the namenode takes no bytes"
            self.send_response(307)
            self.send_header("Location", f"http://127.0.0.1:{self.server.server_port}{self.path}&datanode=1")
            self.send_header("Content-Length", "0")
            self.end_headers()
        elif operation == "CREATE":
            self.server.files[path] = body
            self._send(201, None)
        elif operation == "DELETE":
            self.server.folders.discard(path)
            for name in [name for name in self.server.files if name.startswith(path + "/")]:
                del self.server.files[name]
            self._send(200, {"boolean": True})

    def _send(self, status: int, answer: object) -> None:
        data = b"" if answer is None else json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: object) -> None:
        pass


@pytest.fixture
def hdfs() -> Iterator[Hdfs]:
    with Hdfs() as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield server
        server.shutdown()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    table = pa.table({"a": list(range(1000))})
    write_parquet(tmp_path / "given.parquet", table.schema, table.to_batches())
    return tmp_path / "given.parquet"


def test_a_file_reaches_hdfs_through_the_datanode_and_is_removed(hdfs: Hdfs, file: Path) -> None:
    uploader = open_uploader(hdfs.url, user="ada")
    assert uploader is not None
    with uploaded(uploader, file) as place:
        assert place.startswith("/tmp/gi jun/gijun-")
        assert hdfs.files == {f"{place}/part-0.parquet": file.read_bytes()}
        assert hdfs.folders == {place}
    assert (hdfs.files, hdfs.folders) == ({}, set())
    assert [operation for operation, _ in hdfs.asked] == ["MKDIRS", "CREATE", "CREATE", "DELETE"]
    assert {user for _, user in hdfs.asked} == {"ada"}


def test_a_check_of_hdfs_leaves_nothing(hdfs: Hdfs) -> None:
    uploader = open_uploader(hdfs.url, user=None)
    assert uploader is not None
    uploader.check()
    assert (hdfs.files, hdfs.folders) == ({}, set())


@pytest.mark.parametrize(
    ("status", "answer", "words"),
    [
        (
            403,
            {"RemoteException": {"message": "Permission denied: user=ada\n\tat Java"}},
            "Permission denied: user=ada",
        ),
        (401, None, "wants a login that is not supported"),
        (404, "not what HDFS says", "HTTP 404"),
        (200, None, "HTTP 200"),
    ],
)
def test_a_refusal_of_hdfs_is_told_in_its_own_words(
    hdfs: Hdfs, file: Path, status: int, answer: object, words: str
) -> None:
    hdfs.refusal = (status, answer)
    uploader = open_uploader(hdfs.url, user="ada")
    assert uploader is not None
    with pytest.raises(ConnectionFault, match=words) as caught:
        uploader.put(file, "gijun-1")
    assert "\n" not in str(caught.value)


def test_an_hdfs_that_is_away_is_named(file: Path) -> None:
    uploader = open_uploader(f"webhdfs://127.0.0.1:{free_port()}/tmp", user=None)
    assert uploader is not None
    with pytest.raises(ConnectionFault, match="cannot be reached"):
        uploader.put(file, "gijun-1")


def test_a_local_directory_takes_a_file_and_lets_it_go(tmp_path: Path, file: Path) -> None:
    uploader = LocalDirectory(tmp_path / "staging")
    with uploaded(uploader, file) as place:
        (copy,) = (tmp_path / "staging").rglob("*.parquet")
        assert place == copy.parent.as_uri()
        assert pq.read_table(copy).num_rows == 1000
    assert list((tmp_path / "staging").iterdir()) == []


def test_what_a_killed_writer_left_is_swept_by_its_age(tmp_path: Path, file: Path) -> None:
    uploader = LocalDirectory(tmp_path / "staging")
    uploader.put(file, "gijun-old")
    (tmp_path / "staging" / "of somebody else").mkdir()
    uploader.sweep(older_than_seconds=60)
    assert (tmp_path / "staging" / "gijun-old").exists()
    uploader.sweep(older_than_seconds=-1)
    assert [path.name for path in (tmp_path / "staging").iterdir()] == ["of somebody else"]


@pytest.mark.spark
def test_without_an_uploader_a_large_frame_is_refused(spark_url: str) -> None:
    import pandas as pd

    store = open_store(spark_url.partition("&uploader")[0])
    with pytest.raises(InvalidInput, match="more than 50,000 rows need an uploader"):
        store.save_pandas_to_table(pd.DataFrame({"a": range(50_001)}), "too_large", table_creation=True)
    assert not store.table_exists("too_large")


@pytest.mark.spark
def test_an_uploader_that_names_another_place_for_the_engine_is_noticed(
    spark_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The engine looks into an empty directory, as it does where a mount differs between machines."""
    import pandas as pd

    from mlopslib.errors import OfflineStoreError

    (tmp_path / "elsewhere").mkdir()
    put = LocalDirectory.put
    monkeypatch.setattr(
        LocalDirectory, "put", lambda *given: put(*given) and (tmp_path / "elsewhere").as_uri()
    )
    store = open_store(spark_url)
    with pytest.raises(OfflineStoreError, match="1 rows were uploaded and the engine sees 0"):
        store.save_pandas_to_table(pd.DataFrame({"a": [1]}), "lost", table_creation=True)
    assert not store.table_exists("lost")
