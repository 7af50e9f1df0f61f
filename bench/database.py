"""The database of a run: made for it, dropped after it. DB-API only, for the floor uses it too."""

import importlib
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

from environ import Env

LOCK_SECONDS = 20  # how long a writer of SQLite waits, as in config/settings.py
SQLITE = "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"  # durable, as in config/settings.py
MYSQL = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"  # as in config/settings.py
REQUIREMENTS = {"psycopg": "production.txt", "MySQLdb": "mysql.txt"}
SAFE_NAME = re.compile(r"[A-Za-z0-9_]+")

# What makes a commit durable, for the report: the servers' own settings decide for all sides alike.
DURABILITY = {
    "sqlite3": "SELECT 'SQLite, on all sides: journal_mode=WAL synchronous=FULL'",
    "postgresql": "SELECT 'PostgreSQL: ' || string_agg(name || '=' || setting, ' ' ORDER BY name) FROM pg_settings"
    " WHERE name IN ('fsync', 'synchronous_commit', 'full_page_writes')",
    "mysql": "SELECT CONCAT('MySQL/MariaDB: innodb_flush_log_at_trx_commit=', @@innodb_flush_log_at_trx_commit,"
    " ' innodb_doublewrite=', @@innodb_doublewrite)",
}


class Unusable(Exception):
    """The database cannot be used for a run; the text says why and what to do."""


def engine_of(url: str) -> str:
    """sqlite3, postgresql or mysql."""
    return Env.db_url_config(url)["ENGINE"].rsplit(".", 1)[-1]


def connect(url: str, *, database: str | None = None) -> Any:
    """A DB-API connection in autocommit to the URL's database, or to another one of the same server."""
    config = Env.db_url_config(url)
    name = config["NAME"] if database is None else database
    engine = engine_of(url)
    if engine == "sqlite3":
        connection = sqlite3.connect(name, timeout=LOCK_SECONDS, isolation_level=None)
        connection.executescript(SQLITE)
        return connection
    where = {"host": config["HOST"] or None, "port": int(config["PORT"] or 0) or None, "user": config["USER"] or None}
    where = {key: value for key, value in where.items() if value is not None} | {"password": config["PASSWORD"] or ""}
    if engine == "postgresql":
        return _driver("psycopg").connect(**where, dbname=name, autocommit=True)
    return _driver("MySQLdb").connect(**where, database=name, charset="utf8mb4", autocommit=True, init_command=MYSQL)


def _driver(name: str) -> ModuleType:
    try:
        return importlib.import_module(name)
    except ImportError:
        raise Unusable(f"No {name}: .venv/bin/pip install -r requirements/{REQUIREMENTS[name]}") from None


@contextmanager
def fresh(url: str) -> Iterator[None]:
    """The URL's database, made here and dropped at the end. Raises Unusable for one that is there already:
    it is somebody's."""
    name = Env.db_url_config(url)["NAME"]
    if engine_of(url) == "sqlite3":
        with _fresh_file(Path(name)):
            yield
        return
    if not SAFE_NAME.fullmatch(name):
        raise Unusable(f"Name the database in letters, digits and _: {name}")
    _create(url, name)
    try:
        yield
    finally:
        _drop(url, name)


def _create(url: str, name: str) -> None:
    options = " CHARACTER SET utf8mb4 COLLATE utf8mb4_bin" if engine_of(url) == "mysql" else ""
    try:
        _administer(url, f"CREATE DATABASE {name}{options}")
    except Unusable:
        raise
    except Exception as error:  # each driver has its own
        raise Unusable(f"A run makes its database and drops it afterwards: {error}") from error


def _drop(url: str, name: str) -> None:
    force = " WITH (FORCE)" if engine_of(url) == "postgresql" else ""  # a killed server's sessions linger
    _administer(url, f"DROP DATABASE {name}{force}")


def _administer(url: str, statement: str) -> None:
    database = "postgres" if engine_of(url) == "postgresql" else ""
    with closing(connect(url, database=database)) as connection:
        connection.cursor().execute(statement)


@contextmanager
def _fresh_file(path: Path) -> Iterator[None]:
    if path.exists():
        raise Unusable(f"A run makes its database and drops it afterwards; {path} exists.")
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        yield
    finally:
        for suffix in ("", "-wal", "-shm"):
            Path(f"{path}{suffix}").unlink(missing_ok=True)


def durability(url: str) -> str:
    """One line for the report: what a commit survives."""
    with closing(connect(url)) as connection:
        cursor = connection.cursor()
        cursor.execute(DURABILITY[engine_of(url)])
        return cursor.fetchone()[0]
