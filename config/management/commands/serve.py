"""`manage.py serve`: the web server and the worker as one command, for one machine."""

import signal
import subprocess
import sys
from pathlib import Path
from types import FrameType
from typing import Any

from config.demo import EMAILS, PASSWORD
from django.conf import settings
from django.core.management import call_command
from django.core.management.base import BaseCommand, CommandParser
from django.db import connection

STOP_SECONDS = 30
POLL_SECONDS = 0.5

WELCOME = """
  Tillgate is running.

  Site and first steps   {url}/
  API documentation      {url}/api/docs
  Back office            {url}/admin/

  Log in as              {email}
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
        if options["demo"]:
            self._prepare_demo()
        for number in (signal.SIGTERM, signal.SIGINT):
            signal.signal(number, _raise_exit)
        children = [subprocess.Popen(command) for command in _commands(options["host"], options["port"])]  # noqa: S603
        if options["demo"]:
            self.stdout.write(WELCOME.format(url=settings.SITE_URL, email=EMAILS, password=PASSWORD))
        try:
            code = _wait_for_any(children)
        except SystemExit:
            code = 0
        for child in children:
            child.terminate()
        for child in children:
            child.wait(STOP_SECONDS)
        sys.exit(code)

    def _prepare_demo(self) -> None:
        self.stdout.write("Preparing the database ...")
        call_command("migrate", verbosity=0)
        call_command("seed_demo", stdout=self.stdout)


def _raise_exit(number: int, frame: FrameType | None) -> None:
    signal.signal(number, signal.SIG_IGN)
    raise SystemExit


def _commands(host: str, port: int) -> list[list[str]]:
    """SQLite has one writer, so it gets one web process; the threads share the work."""
    workers = "1" if connection.vendor == "sqlite" else "2"
    granian = [
        str(Path(sys.executable).with_name("granian")),
        "--interface",
        "wsgi",
        "config.wsgi:application",
    ]
    limits = ["--workers", workers, "--blocking-threads", "4", "--log-level", "warning"]
    return [
        [*granian, "--host", host, "--port", str(port), *limits],
        [sys.executable, str(settings.BASE_DIR / "manage.py"), "work"],
    ]


def _wait_for_any(children: list[subprocess.Popen]) -> int:
    """The exit code of whichever ends first: the two belong together."""
    while True:
        for child in children:
            try:
                return child.wait(POLL_SECONDS)
            except subprocess.TimeoutExpired:
                continue
