"""`manage.py serve`: the web server and the worker as one command, for one machine."""

import signal
import subprocess
import sys
import time
from pathlib import Path
from types import FrameType
from typing import Any

from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

from config.demo import EMAILS, PASSWORD

POLL_SECONDS = 0.5
STOP_SECONDS = 30  # the jobs and requests at hand may end
SHORTEST_LIFE_SECONDS = 5  # a process that ends sooner would end again: a taken port, a bad setting

WELCOME = """
  Tillgate is running.

  Site and first steps   {url}/
  API documentation      {url}/api/docs
  Back office            {url}/admin/

  Log in as              {emails}
  Password               {password}

  Ctrl-C stops it.
"""


class Command(BaseCommand):
    help = "Serves the site and runs the worker; SIGTERM or Ctrl-C stops both cleanly."

    def add_arguments(self, parser: CommandParser) -> None:
        parser.add_argument("--host", default="127.0.0.1")
        parser.add_argument("--port", type=int, default=8000)
        parser.add_argument("--demo", action="store_true", help="migrate, fill with sample data and say where it is")

    def handle(self, *args: Any, **options: Any) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _stop)
        if options["demo"]:
            self._prepare_demo()
        children = [Child(web_command(options["host"], options["port"])), Child(worker_command())]
        try:
            if options["demo"]:
                self.stdout.write(WELCOME.format(url=settings.SITE_URL, emails=EMAILS, password=PASSWORD))
            code = _keep_alive(children)
        except SystemExit:
            code = 0
        _end(children)
        sys.exit(code)

    def _prepare_demo(self) -> None:
        self.stdout.write("Preparing the database ...")
        call_command("migrate", verbosity=0)
        call_command("seed_demo", stdout=self.stdout)
        connection.close()


class Child:
    """A process that is started again when it dies."""

    def __init__(self, command: list[str]) -> None:
        self.command = command
        self.start()

    def start(self) -> None:
        self.started = time.monotonic()
        self.process = subprocess.Popen(self.command)  # noqa: S603

    def revive(self) -> int | None:
        """Starts the process again if it has died; answers its exit code when that would not help."""
        code = self.process.poll()
        if code is None:
            return None
        if time.monotonic() - self.started < SHORTEST_LIFE_SECONDS:
            return code or 1
        self.start()
        return None


def _stop(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit


def web_command(host: str, port: int) -> list[str]:
    """SQLite has one writer, so it gets one web process; the threads share the work."""
    workers = "1" if connection.vendor == "sqlite" else "2"
    granian = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "config.wsgi:application"]
    limits = ["--workers", workers, "--blocking-threads", "4", "--respawn-failed-workers", "--log-level", "warning"]
    return [*granian, "--host", host, "--port", str(port), *limits]


def worker_command() -> list[str]:
    return [sys.executable, str(settings.BASE_DIR / "manage.py"), "work"]


def _keep_alive(children: list[Child]) -> int:
    """Runs until a child cannot be kept alive, and answers its exit code."""
    while True:
        for child in children:
            code = child.revive()
            if code is not None:
                return code
        time.sleep(POLL_SECONDS)


def _end(children: list[Child]) -> None:
    for child in children:
        child.process.terminate()
    for child in children:
        try:
            child.process.wait(STOP_SECONDS)
        except subprocess.TimeoutExpired:
            child.process.kill()
