"""A real server and a real browser, for the tests that need more than a client in the same process."""

import os
import shutil
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import requests
from django.conf import settings
from django.db import connection
from django.test import override_settings
from playwright.sync_api import Browser, ConsoleMessage, Error, Page, expect, sync_playwright
from pytest_django import DjangoDbBlocker

from tests.tenants import undone
from tests.valid_requests import World, new_world

START_SECONDS = 30
UNPROCESSABLE = 422
PATIENCE_MS = 30_000  # as long as Playwright waits for what it clicks; for what it expects it would wait 5 s
SCREENSHOTS = settings.BASE_DIR / "var" / "screenshots"
PICTURE_TRIES = 5
PHONE, DESK = {"width": 390, "height": 844}, {"width": 1280, "height": 800}
CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """A browser without a window. Without one installed its tests are skipped, unless REQUIRE_BROWSER is set."""
    if CHROMIUM is None and not os.environ.get("REQUIRE_BROWSER"):
        pytest.skip("no Chromium is installed")
    # Playwright's event loop lives in the tests' own thread, where Django would refuse its database.
    with pytest.MonkeyPatch.context() as patch, sync_playwright() as playwright:
        patch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")
        expect.set_options(timeout=PATIENCE_MS)
        browser = playwright.chromium.launch(executable_path=CHROMIUM or "chromium", args=QUIET)
        yield browser
        browser.close()


@pytest.fixture(params=[PHONE, DESK], ids=["phone", "desk"])
def viewport(request) -> dict[str, int]:
    return request.param


@pytest.fixture
def snap(viewport: dict[str, int]) -> Callable[[Page, str], None]:
    """Keeps a picture, and checks what a picture must have: nothing hangs over the side."""

    def take(page: Page, name: str) -> None:
        page.evaluate(
            "Promise.all(document.getAnimations().map(a => a.effect.getTiming().iterations < 9 && a.finished))"
        )
        photograph(page, f"{name}-{viewport['width']}")
        assert page.evaluate("document.documentElement.scrollWidth") <= viewport["width"]

    return take


def photograph(page: Page, name: str) -> None:
    """Keeps a picture. On a busy machine Chromium has none to give now and then, and is asked again."""
    for left in reversed(range(PICTURE_TRIES)):
        try:
            page.screenshot(path=SCREENSHOTS / f"{name}.png", full_page=True)
            return
        except Error as error:
            if not left or "Unable to capture screenshot" not in error.message:
                raise


def is_complaint(message: ConsoleMessage) -> bool:
    """Errors and warnings, a policy violation among them; that a form was refused (422) is an answer."""
    return message.type in ("error", "warning") and f"status of {UNPROCESSABLE}" not in message.text


@pytest.fixture(scope="module")
def world(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[World]:
    """Two merchants with all their people, made once a module: what a test does to them is undone after it."""
    hashers = ["django.contrib.auth.hashers.MD5PasswordHasher"]  # nobody breaks these passwords
    with (
        django_db_blocker.unblock(),
        undone(),
        override_settings(OPEN_REGISTRATION=True, PASSWORD_HASHERS=hashers),
    ):
        yield new_world()


@pytest.fixture(scope="session")
def server_url(django_db_setup: None) -> Iterator[str]:
    """Granian on the tests' own database, as it runs in production: four threads a process, two processes
    where the database has row locks."""
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    granian = [str(Path(sys.executable).with_name("granian")), "--interface", "wsgi", "config.wsgi:application"]
    workers = "1" if connection.vendor == "sqlite" else "2"
    command = [*granian, "--port", str(port), "--workers", workers, "--blocking-threads", "4", "--log-level", "warning"]
    process = subprocess.Popen(command, env={**os.environ, "SITE_URL": url, "DATABASE_URL": database_url()})
    try:
        wait_until_it_answers(url)
        yield url
    finally:
        process.terminate()
        process.wait(START_SECONDS)


def database_url() -> str:
    """The database that pytest-django made, in the form that settings read."""
    name = connection.settings_dict["NAME"]
    if connection.vendor == "sqlite":
        return f"sqlite:///{name}"
    return os.environ["DATABASE_URL"].rpartition("/")[0] + f"/{name}"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


def wait_until_it_answers(url: str) -> None:
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end:
        try:
            requests.get(f"{url}/api/v1/health", timeout=2)
        except (requests.ConnectionError, requests.Timeout):
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"nothing answers at {url}")
