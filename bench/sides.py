"""The three sides of a run, each prepared on the run's database and served by granian alike."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from bench.database import engine_of
from bench.load import HOST, Broken, encode, fetch

ROOT = Path(__file__).resolve().parent.parent
START_SECONDS = 30
STOP_SECONDS = 10
THREADS = "4"

# Ours as in production behind one proxy that ends TLS. The throttles count, and never refuse.
ENVIRONMENT = {
    "ENV_FILE": os.devnull,
    "DEMO": "false",
    "LOG_LEVEL": "ERROR",  # a line for every refusal would bury the report
    "SECRET_KEY": "bench-only-secret-key-that-is-long-enough-for-hs256-0123456789",
    "JWT_SIGNING_KEY": "bench-only-signing-key-of-its-own-0123456789-0123456789",
    "ENCRYPTION_KEYS": "mgxX_qAOhCl0pGSVbjDCjRy3sh-gVOb0IYsP6fegn7Q=",
    "SITE_URL": "https://localhost",
    "EMAIL_URL": "smtp://localhost",
    "DEFAULT_FROM_EMAIL": "no-reply@localhost",
    "ALLOWED_HOSTS": "localhost",
    "OUTBOUND_ALLOWED": "127.0.0.1",
    "DJANGO_SETTINGS_MODULE": "config.settings",
    "TRUSTED_PROXIES": "1",
    "THROTTLE_PAYMENT_CREATE": "1000000000/min",
    "THROTTLE_PAYMENT_READ": "1000000000/min",
}
MAKE_MERCHANT = "from accounts.services import create_merchant; create_merchant(name='Bench', status='active')"


@dataclass(frozen=True)
class Side:
    """Who is measured: its name in the table, its WSGI application, and what makes its tables."""

    name: str
    application: str
    prepare: tuple[tuple[str, ...], ...]


FLOOR = Side("floor", "bench.floor:application", (("-m", "bench.floor"),))
PEER = Side("plain DRF", "bench.plain_drf:application", (("-m", "bench.plain_drf"),))
OURS = Side(
    "ours",
    "config.wsgi:application",
    (("manage.py", "migrate", "-v0"), ("manage.py", "shell", "-v0", "-c", MAKE_MERCHANT)),
)
SIDES = (FLOOR, PEER, OURS)


def workers(url: str) -> str:
    """SQLite has one writer, so it gets one web process."""
    return "1" if engine_of(url) == "sqlite3" else "2"


def prepare(side: Side, url: str) -> None:
    """Makes the side's tables and its merchant. Raises Broken."""
    for arguments in side.prepare:
        done = subprocess.run([sys.executable, *arguments], cwd=ROOT, env=environment(url), check=False)
        if done.returncode:
            raise Broken(f"Preparing {side.name} failed: {' '.join(arguments)}")


@contextmanager
def served(side: Side, url: str) -> Iterator[int]:
    """The side's server, in a session of its own so that Ctrl-C reaches us only; gives its port."""
    port = _free_port()
    granian = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", side.application]
    where = ["--host", HOST, "--port", str(port), "--log-level", "warning"]
    size = ["--workers", workers(url), "--blocking-threads", THREADS]
    process = subprocess.Popen(
        [*granian, *where, *size], cwd=ROOT, env=environment(url), start_new_session=True, stdout=subprocess.DEVNULL
    )
    try:
        _wait_until_it_answers(side, process, port)
        yield port
    finally:
        _stop(process)


def environment(url: str) -> dict[str, str]:
    """Nothing of the caller's own settings, which may be another installation's."""
    kept = {name: value for name, value in os.environ.items() if name in ("PATH", "HOME", "LANG", "TMPDIR")}
    return {**kept, **ENVIRONMENT, "DATABASE_URL": url}


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        return probe.getsockname()[1]


def _wait_until_it_answers(side: Side, process: subprocess.Popen[bytes], port: int) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and process.poll() is None:
        try:
            fetch(port, encode("GET", "/api/v1/health", {}))
        except ConnectionError:
            time.sleep(0.1)
        else:
            return
    raise Broken(f"The server of {side.name} does not answer.")


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Ends granian and its workers; the group is ours alone, see `start_new_session`."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
