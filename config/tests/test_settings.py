"""Settings come from the environment alone, `.env.example` tells all of it, and what is wrong says so in a line."""

import os
import re
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet
from django.conf import settings

EXAMPLE_FILE = settings.BASE_DIR / ".env.example"
EXAMPLE = EXAMPLE_FILE.read_text(encoding="utf-8")
SET = dict(re.findall(r"^([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
COMMENTED = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))

SOURCE = (settings.BASE_DIR / "config" / "settings.py").read_text(encoding="utf-8")
READ = re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"(?:, default=([^)]+))?\)', SOURCE)
REQUIRED = sorted(name for name, default in READ if not default)
DEFAULTS = {name: default.strip('"[]') for name, default in READ if default}

KEYS = {"SECRET_KEY": "c0rrect-h0rse-battery-staple-" * 2, "ENCRYPTION_KEYS": Fernet.generate_key().decode()}


@pytest.fixture
def manage(tmp_path):
    """Runs manage.py in a process of its own, with .env.example, keys and these variables; None takes one away."""

    def run(*arguments, **variables):
        inherited = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
        sqlite = {"ENV_FILE": str(EXAMPLE_FILE), "DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
        environment = {**inherited, **sqlite, **KEYS, **variables}
        return subprocess.run(  # noqa: S603
            [sys.executable, settings.BASE_DIR / "manage.py", *arguments],
            env={name: value for name, value in environment.items() if value is not None},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


class TestExample:
    def test_lists_what_settings_read_and_nothing_else(self):
        assert sorted([*SET, *COMMENTED]) == sorted(name for name, _default in READ)

    def test_sets_what_has_no_default(self):
        assert set(REQUIRED) <= set(SET)

    @pytest.mark.parametrize("name", sorted(COMMENTED))
    def test_shows_the_default(self, name):
        assert COMMENTED[name].lower() == DEFAULTS[name].lower()

    def test_holds_no_key(self):
        assert [SET["SECRET_KEY"], SET["ENCRYPTION_KEYS"]] == ["", ""]


class TestProduction:
    def test_passes_the_deployment_checks(self, manage):
        done = manage("check", "--deploy", "--fail-level", "WARNING", SILENCED_CHECKS="tillgate.W101")
        assert done.returncode == 0, done.stderr

    def test_is_told_that_sqlite_is_for_one_machine(self, manage):
        done = manage("check", "--deploy", "--fail-level", "WARNING")
        assert done.returncode == 1
        assert "tillgate.W101" in done.stderr

    def test_refuses_the_demo(self, manage):
        done = manage("check", DEMO="true")
        assert done.returncode == 1
        assert "tillgate.E104" in done.stderr


class TestMissing:
    @pytest.mark.parametrize("name", REQUIRED)
    def test_stops_the_start_with_its_name(self, manage, name):
        example = {other: SET[other] for other in REQUIRED} | KEYS | {"DATABASE_URL": "sqlite:///var/unused.sqlite3"}
        done = manage("serve", **{**example, "ENV_FILE": os.devnull, name: None})
        assert done.returncode == 1
        assert done.stderr == f"Tillgate is not configured: Set the {name} environment variable\n"

    def test_driver_is_named_with_the_line_that_installs_it(self, manage, tmp_path):
        (tmp_path / "sitecustomize.py").write_text("import sys\nsys.modules['psycopg'] = None\n")
        done = manage("check", DATABASE_URL="postgres://u:hidden@h/d", PYTHONPATH=str(tmp_path))
        assert done.returncode == 1
        assert done.stderr.startswith("Tillgate is not configured: DATABASE_URL needs the Python package psycopg")
        assert "pip install -r requirements/production.txt" in done.stderr
        assert "hidden" not in done.stderr
