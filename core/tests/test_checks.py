from contextlib import contextmanager
from types import SimpleNamespace

import pytest
from cryptography.fernet import Fernet
from django.core.checks import run_checks
from django.core.checks.registry import registry
from django.db import connection

from core import checks

FERNET_KEY = Fernet.generate_key().decode()
PRODUCTION = {
    "DEMO": False,
    "SECRET_KEY": "c0rrect-h0rse-battery-staple-" * 2,
    "ENCRYPTION_KEYS": [FERNET_KEY],
    "SITE_URL": "https://pay.example.com",
    "ALLOWED_HOSTS": ["pay.example.com"],
    "EMAIL_HOST": "smtp.example.com",
    "EMAIL_USE_TLS": True,
}


@pytest.fixture
def found(settings, monkeypatch):
    """The ids of what `check --deploy` says of production settings with these changes."""

    def run(vendor="postgresql", **changes):
        monkeypatch.setattr(checks, "connections", {"default": SimpleNamespace(vendor=vendor)})
        for name, value in {**PRODUCTION, **changes}.items():
            setattr(settings, name, value)
        return [message.id for message in run_checks(tags=[checks.INSTALLATION], include_deployment_checks=True)]

    return run


class TestInstallation:
    def test_has_nothing_to_say_of_good_settings(self, found):
        assert found() == []

    @pytest.mark.parametrize(
        ("changes", "identity"),
        [
            ({"ENCRYPTION_KEYS": []}, "tillgate.E101"),
            ({"ENCRYPTION_KEYS": ["too-short"]}, "tillgate.E102"),
            ({"ENCRYPTION_KEYS": [FERNET_KEY, "é" * 44]}, "tillgate.E102"),
            ({"SECRET_KEY": "x" * 49}, "tillgate.E105"),
            ({"SITE_URL": ""}, "tillgate.E106"),
            ({"SITE_URL": "pay.example.com"}, "tillgate.E106"),
            ({"SITE_URL": "ftp://pay.example.com"}, "tillgate.E106"),
            ({"SITE_URL": "https://pay.example.com/shop"}, "tillgate.E106"),
            ({"SITE_URL": "http://pay.example.com"}, "tillgate.E107"),
            ({"SITE_URL": "https://other.example.com"}, "tillgate.E108"),
            ({"SITE_URL": "https://pay.example.com:8443"}, None),
            ({"ALLOWED_HOSTS": ["*"]}, "tillgate.E109"),
            ({"ALLOWED_HOSTS": [".example.com"]}, None),
            ({"OUTBOUND_ALLOWED": ["erp", "10.0.0.0/8", "::1"]}, None),
            ({"OUTBOUND_ALLOWED": ["10.0.0.0/33"]}, "tillgate.E112"),
            ({"OUTBOUND_ALLOWED": ["http://erp"]}, "tillgate.E112"),
            ({"EVENT_RETENTION_DAYS": 7}, None),
            ({"EVENT_RETENTION_DAYS": 6}, "tillgate.E113"),
            ({"EMAIL_HOST": ""}, "tillgate.E110"),
            ({"EMAIL_USE_TLS": False}, "tillgate.E111"),
            ({"EMAIL_USE_TLS": False, "EMAIL_USE_SSL": True}, None),
            ({"EMAIL_USE_TLS": False, "EMAIL_HOST": "localhost"}, None),
            ({"vendor": "sqlite"}, "tillgate.W101"),
        ],
    )
    def test_finds(self, found, changes, identity):
        assert found(**changes) == ([identity] if identity else [])

    def test_wants_encryption_apart_from_signing(self, found):
        assert "tillgate.E103" in found(SECRET_KEY=FERNET_KEY)

    @pytest.mark.parametrize(
        "host", ["localhost", "127.0.0.1", "[::1]", "192.168.1.20", "shop.localhost", "testserver", "shop.test"]
    )
    def test_lets_the_demo_run_at_home(self, found, host):
        assert found(DEMO=True, SITE_URL=f"http://{host}:8000", ALLOWED_HOSTS=[host]) == []

    @pytest.mark.parametrize("host", ["pay.example.com", "8.8.8.8", "localhost.example.com", "127.0.0.1.example.com"])
    def test_keeps_the_demo_off_the_internet(self, found, host):
        assert "tillgate.E104" in found(DEMO=True, SITE_URL=f"http://{host}", ALLOWED_HOSTS=[host])

    def test_says_the_worst_at_every_start(self):
        always = registry.registered_checks
        assert {checks.check_encryption_keys, checks.check_demo_is_local, checks.check_database} <= always


class TestThisDatabase:
    """The one that the tests run on is as it must be."""

    def test_is_accepted(self, db):
        assert checks.check_database(None, databases=["default"]) == []

    def test_is_asked_whether_it_is_durable(self, db):
        found = {message.id for message in checks.check_durability(None, databases=["default"])}
        assert found <= {f"tillgate.E0{number}" for number in (11, 12, 21, 22, 23)}

    def test_is_left_alone_when_nobody_names_it(self):
        assert checks.check_database(None, databases=None) == []

    @pytest.mark.skipif(connection.vendor != "mysql", reason="MySQL and MariaDB")
    @pytest.mark.parametrize(
        ("statement", "identity"),
        [
            ("SET SESSION sql_mode = ''", "tillgate.E005"),
            ("SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ", "tillgate.E006"),
            ("SET NAMES latin1", "tillgate.E002"),
        ],
    )
    def test_is_refused_after(self, transactional_db, statement, identity):
        with connection.cursor() as cursor:
            cursor.execute(statement)
        try:
            assert [message.id for message in checks.check_database(None, databases=["default"])] == [identity]
        finally:
            connection.close()  # the next one starts with our settings again

    @pytest.mark.skipif(connection.vendor != "postgresql", reason="PostgreSQL")
    def test_is_not_durable_without_waiting_for_the_disk(self, db):
        with connection.cursor() as cursor:
            cursor.execute("SET LOCAL synchronous_commit = off")
        assert "tillgate.E022" in [m.id for m in checks.check_durability(None, databases=["default"])]


# --- Servers that are not at hand ---------------------------------------------------------------
MARIADB = {
    "character_set_database": "utf8mb4",
    "character_set_connection": "utf8mb4",
    "collation_database": "utf8mb4_bin",
    "sql_mode": "STRICT_ALL_TABLES,NO_ZERO_DATE",
    "tx_isolation": "READ-COMMITTED",
    "innodb_flush_log_at_trx_commit": "1",
    "log_bin": "OFF",
    "sync_binlog": "0",
}
POSTGRESQL = {"server_encoding": "UTF8", "fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}


class Server:
    """A connection to a server with these variables, and on MariaDB with these tables and their collations."""

    def __init__(self, variables, tables=(), **attributes):
        self.variables, self.tables = variables, tables
        self.__dict__ |= attributes

    @contextmanager
    def cursor(self):
        yield self

    def execute(self, statement, parameters=()):
        if "information_schema" in statement:
            self.rows = list(self.tables)
        elif statement.startswith("SHOW"):
            self.rows = list(self.variables.items())
        else:
            self.rows = [(self.variables[parameters[0]],)]

    def fetchall(self):
        return self.rows

    def fetchone(self):
        return self.rows[0]


def on(monkeypatch, server):
    monkeypatch.setattr(checks, "connections", {"default": server})
    databases = {"databases": ["default"]}
    return [m.id for m in [*checks.check_database(None, **databases), *checks.check_durability(None, **databases)]]


class TestMysql:
    @pytest.mark.parametrize(
        ("changes", "identities"),
        [
            ({}, []),
            ({"collation_database": "utf8mb4_0900_as_cs"}, []),
            ({"tx_isolation": "ignored", "transaction_isolation": "READ-COMMITTED"}, []),
            ({"log_bin": "ON", "sync_binlog": "1"}, []),
            ({"character_set_database": "utf8mb3", "collation_database": "utf8mb3_bin"}, ["tillgate.E002"]),
            ({"character_set_connection": "latin1"}, ["tillgate.E002"]),
            ({"collation_database": "utf8mb4_general_ci"}, ["tillgate.E003"]),
            ({"collation_database": "utf8mb4_uca1400_ai_ci"}, ["tillgate.E003"]),
            ({"sql_mode": "NO_ZERO_DATE"}, ["tillgate.E005"]),
            ({"tx_isolation": "REPEATABLE-READ"}, ["tillgate.E006"]),
            ({"innodb_flush_log_at_trx_commit": "2"}, ["tillgate.E011"]),
            ({"log_bin": "ON"}, ["tillgate.E012"]),
        ],
    )
    def test_finds(self, monkeypatch, changes, identities):
        server = Server({**MARIADB, **changes}, vendor="mysql", mysql_is_mariadb=True, mysql_version=(10, 11, 4))
        assert on(monkeypatch, server) == identities

    def test_finds_a_table_that_folds(self, monkeypatch):
        tables = [("payments_payment", "utf8mb4_general_ci"), ("core_email", "utf8mb4_bin")]
        server = Server(MARIADB, tables, vendor="mysql", mysql_is_mariadb=True, mysql_version=(10, 6, 0))
        assert on(monkeypatch, server) == ["tillgate.E004"]

    @pytest.mark.parametrize(
        ("mariadb", "version", "accepted"),
        [(True, (10, 6, 1), True), (True, (10, 5, 9), False), (False, (8, 0, 11), True), (False, (5, 7, 44), False)],
    )
    def test_knows_the_oldest_version(self, monkeypatch, mariadb, version, accepted):
        server = Server(MARIADB, vendor="mysql", mysql_is_mariadb=mariadb, mysql_version=version)
        assert on(monkeypatch, server) == ([] if accepted else ["tillgate.E001"])


class TestPostgresql:
    @pytest.mark.parametrize(
        ("changes", "identities"),
        [
            ({}, []),
            ({"synchronous_commit": "remote_apply"}, []),
            ({"server_encoding": "SQL_ASCII"}, ["tillgate.E002"]),
            ({"fsync": "off"}, ["tillgate.E021"]),
            ({"synchronous_commit": "off"}, ["tillgate.E022"]),
            ({"full_page_writes": "off"}, ["tillgate.E023"]),
        ],
    )
    def test_finds(self, monkeypatch, changes, identities):
        server = Server({**POSTGRESQL, **changes}, vendor="postgresql", pg_version=150004)
        assert on(monkeypatch, server) == identities

    def test_knows_the_oldest_version(self, monkeypatch):
        assert on(monkeypatch, Server(POSTGRESQL, vendor="postgresql", pg_version=130012)) == ["tillgate.E001"]


def test_sqlite_has_nothing_to_ask(monkeypatch):
    assert on(monkeypatch, SimpleNamespace(vendor="sqlite")) == []
