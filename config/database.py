"""DATABASE_URL, read into Django's settings with the options that the money rules rely on (decision 0002)."""

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from django.core.exceptions import ImproperlyConfigured
from environ import Env

SQLITE, MYSQL, POSTGRESQL = (f"django.db.backends.{name}" for name in ("sqlite3", "mysql", "postgresql"))
SCHEMES = {
    "sqlite": SQLITE,
    "mysql": MYSQL,
    "postgres": POSTGRESQL,
    "postgresql": POSTGRESQL,
}
DRIVERS = {
    MYSQL: ("MySQLdb", "requirements/mysql.txt"),
    POSTGRESQL: ("psycopg", "requirements/production.txt"),
}
FORMS = (
    "sqlite:///var/tillgate.sqlite3, mysql://user:password@host:3306/name or postgres://user:password@host:5432/name"
)
BUSY_SECONDS = 20  # how long a writer waits for another one on SQLite


def read_database(url: str, *, base: Path) -> dict[str, Any]:
    """The settings of this database; a relative path of SQLite starts at `base`.

    Raises ImproperlyConfigured, which never repeats the URL: it holds a password.
    """
    engine = SCHEMES.get(url.partition(":")[0])
    if engine is None:
        raise ImproperlyConfigured(f"DATABASE_URL must look like {FORMS}.")
    try:
        database = Env.db_url_config(url, engine=engine)
    except ValueError:
        raise ImproperlyConfigured(f"DATABASE_URL cannot be read. It must look like {FORMS}.") from None
    if database["NAME"] in ("", ":memory:"):
        raise ImproperlyConfigured(f"DATABASE_URL names no database. It must look like {FORMS}.")
    _require_driver(engine)
    database |= {"CONN_MAX_AGE": None, "CONN_HEALTH_CHECKS": True, "ATOMIC_REQUESTS": False}
    database.setdefault("OPTIONS", {})
    return TUNERS[engine](database, base)


def _require_driver(engine: str) -> None:
    module, requirements = DRIVERS.get(engine, (None, None))
    if module and find_spec(module) is None:
        raise ImproperlyConfigured(
            f"DATABASE_URL needs the Python package {module}, which is not installed: "
            f".venv/bin/pip install -r {requirements} -c requirements/constraints.txt"
        )


def _sqlite(database: dict[str, Any], base: Path) -> dict[str, Any]:
    path = base / database["NAME"]
    path.parent.mkdir(parents=True, exist_ok=True)
    database["NAME"] = path
    database["OPTIONS"] |= {
        "transaction_mode": "IMMEDIATE",
        "timeout": BUSY_SECONDS,
        # Recursive triggers: without them a REPLACE deletes booked rows and asks no trigger.
        "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; PRAGMA recursive_triggers=ON;",
    }
    # A file: in memory there are no two connections.
    database["TEST"] = {"NAME": path.with_stem(f"{path.stem}-test")}
    return database


def _mysql(database: dict[str, Any], base: Path) -> dict[str, Any]:
    database["OPTIONS"] |= {
        "charset": "utf8mb4",
        "isolation_level": "read committed",
        "init_command": "SET sql_mode='STRICT_ALL_TABLES,NO_ZERO_DATE,NO_ENGINE_SUBSTITUTION'",
    }
    database["TEST"] = {"CHARSET": "utf8mb4", "COLLATION": "utf8mb4_bin"}
    return database


def _postgresql(database: dict[str, Any], base: Path) -> dict[str, Any]:
    return database


TUNERS = {SQLITE: _sqlite, MYSQL: _mysql, POSTGRESQL: _postgresql}
