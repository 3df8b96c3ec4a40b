"""What a worker is started with: flags, each of them also an environment variable."""

from __future__ import annotations

import argparse
import os
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from pathlib import Path

ENV_PREFIX = "GIJUN_WORKER_"


@dataclass(frozen=True)
class Options:
    """The same for the parent and all its processes."""

    host: str = "127.0.0.1"
    port: int = 9000
    processes: int = 2
    redis_url: str = "redis://127.0.0.1:6379/0"
    prefix: str = "gijun"
    #: packages are copied from here
    artifacts: Path = Path("var/artifacts")
    #: what this host serves, kept so that it starts without Redis
    state: Path = Path("var/worker")
    #: only manifests signed by a key of this directory are taken
    public_keys: Path = Path("var/keys")
    #: process i answers /metrics on this port + i; 0 switches it off
    metrics_port: int = 0
    max_in_flight: int = 64
    #: seconds to go on answering after SIGTERM, so that a load balancer sees /ready fail first
    drain_seconds: float = 3.0

    def to_env(self) -> dict[str, str]:
        """For the processes: a Redis URL may hold a password, which `ps` would show as a flag."""
        return {ENV_PREFIX + name.upper(): str(value) for name, value in asdict(self).items()}

    @classmethod
    def from_env(cls, environ: Mapping[str, str] = os.environ) -> Options:
        return parse_options([], environ)


_HELP = {
    "host": "address to listen on",
    "port": "port to listen on; 0 takes a free one",
    "processes": "number of serving processes; they share the port",
    "redis_url": "where manifests come from and heartbeats go to",
    "prefix": "first part of every Redis key",
    "artifacts": "directory of the artefact store that holds the packages",
    "state": "directory for what this host serves (manifests and packages)",
    "public_keys": "directory of the public keys that may sign manifests",
    "metrics_port": "first port for Prometheus metrics, one for each process; 0 for none",
    "max_in_flight": "requests in work at once in one process; more are answered 503",
    "drain_seconds": "seconds to go on answering after SIGTERM",
}


def parse_options(arguments: Sequence[str], environ: Mapping[str, str] = os.environ) -> Options:
    """Flags win over GIJUN_WORKER_* variables, these over the defaults."""
    parser = argparse.ArgumentParser(prog="python -m apps.serving.worker", description=__doc__)
    for item in fields(Options):
        kind = type(item.default)
        parser.add_argument(
            "--" + item.name.replace("_", "-"),
            # argparse applies `type` to a default that is a string
            type=Path if isinstance(item.default, Path) else kind,
            default=environ.get(ENV_PREFIX + item.name.upper(), item.default),
            help=f"{_HELP[item.name]} (default {item.default}; {ENV_PREFIX}{item.name.upper()})",
        )
    options = Options(**vars(parser.parse_args(arguments)))
    if not 1 <= options.processes <= 256:
        parser.error(f"--processes is 1 to 256, not {options.processes}")
    if not 0 <= options.port <= 65535:
        parser.error(f"--port is 0 to 65535, not {options.port}")
    if not options.public_keys.is_dir():
        parser.error(f"--public-keys: there is no directory {options.public_keys}")
    return options
