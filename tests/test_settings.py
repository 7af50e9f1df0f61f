"""Settings come from the environment alone, `.env.example` tells all of them, and what is wrong says so."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from django.conf import settings
from django.core.exceptions import ImproperlyConfigured

from config import database
from config.database import read_database

EXAMPLE = (settings.BASE_DIR / ".env.example").read_text()
SOURCE = (settings.BASE_DIR / "config" / "settings.py").read_text()
READ = set(re.findall(r'\benv\.\w+\(\s*"([A-Z_]+)"', SOURCE))
REQUIRED = ["SECRET_KEY", "ENCRYPTION_KEYS", "SITE_URL", "ALLOWED_HOSTS", "DATABASE_URL"]
KEYS = {"SECRET_KEY": "k3y-" * 15, "ENCRYPTION_KEYS": Fernet.generate_key().decode()}


@pytest.fixture
def manage(tmp_path):
    """Runs manage.py in a process of its own, with nothing but these variables in its environment."""

    def run(*arguments, **variables):
        inherited = {name: os.environ[name] for name in ("PATH", "HOME", "LANG") if name in os.environ}
        sqlite = {"DATABASE_URL": f"sqlite:///{tmp_path}/db.sqlite3"}
        return subprocess.run(
            [sys.executable, settings.BASE_DIR / "manage.py", *arguments],
            env={**inherited, "ENV_FILE": str(settings.BASE_DIR / ".env.example"), **sqlite, **KEYS, **variables},
            capture_output=True,
            text=True,
            check=False,
        )

    return run


class TestExample:
    def test_lists_what_settings_read_and_nothing_else(self):
        listed = re.findall(r"^(?:# )?([A-Z_]+)=", EXAMPLE, re.MULTILINE)
        assert sorted(listed) == sorted(READ)

    def test_sets_what_must_be_set(self):
        assert set(REQUIRED) <= set(re.findall(r"^([A-Z_]+)=", EXAMPLE, re.MULTILINE))

    def test_shows_the_defaults(self):
        shown = dict(re.findall(r"^# ([A-Z_]+)=(.*)$", EXAMPLE, re.MULTILINE))
        for name, default in re.findall(r'env\.\w+\(\s*"([A-Z_]+)", default=([^)]+)\)', SOURCE):
            assert name in REQUIRED or name == "TRUSTED_PROXIES" or shown[name] == default.strip('"[]').lower() or (
                shown[name] == default.strip('"[]')
            ), name

    def test_holds_no_key(self):
        assert "\nSECRET_KEY=\n" in EXAMPLE
        assert "\nENCRYPTION_KEYS=\n" in EXAMPLE

    def test_is_fit_for_production(self, manage):
        done = manage("check", "--deploy", "--fail-level", "WARNING", SILENCED_CHECKS="tillgate.W101")
        assert done.returncode == 0, done.stderr

    @pytest.mark.parametrize("name", REQUIRED)
    def test_cannot_do_without(self, manage, name):
        done = manage("check", ENV_FILE=os.devnull, **{other: "x" for other in REQUIRED if other != name}, **{name: ""})
        assert done.returncode != 0 or name in ("SITE_URL", "ALLOWED_HOSTS")
