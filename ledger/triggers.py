"""The database itself refuses to change or delete what is booked.

The migration installs the triggers; the tests take them away for the moment in which they empty the tables. On MySQL
and MariaDB the account that migrates needs the TRIGGER privilege, and with binary logging also
`log_bin_trust_function_creators = 1` (docs/operating.md).
"""

from collections.abc import Sequence
from typing import Any

TABLES = ("ledger_journal", "ledger_entry", "ledger_payoutline")
ACTIONS = ("UPDATE", "DELETE")
MESSAGE = "What is booked is never changed; book a reversal."
FUNCTION = "ledger_refuse"


def name_of(table: str, action: str) -> str:
    return f"{table}_no_{action.lower()}"


def install(connection: Any, tables: Sequence[str] = TABLES) -> None:
    """On all the tables, or on those that an early migration has made so far."""
    remove(connection, tables)
    with connection.cursor() as cursor:
        if connection.vendor == "postgresql":
            cursor.execute(
                f"CREATE OR REPLACE FUNCTION {FUNCTION}() RETURNS trigger LANGUAGE plpgsql AS "
                f"$$ BEGIN RAISE EXCEPTION '{MESSAGE}'; END $$"
            )
        for table in tables:
            for action in ACTIONS:
                cursor.execute(_statement(connection.vendor, table, action))
            if connection.vendor == "postgresql":
                cursor.execute(
                    f"CREATE TRIGGER {name_of(table, 'TRUNCATE')} BEFORE TRUNCATE ON {table} "
                    f"FOR EACH STATEMENT EXECUTE FUNCTION {FUNCTION}()"
                )


def _statement(vendor: str, table: str, action: str) -> str:
    head = f"CREATE TRIGGER {name_of(table, action)} BEFORE {action} ON {table}"
    if vendor == "postgresql":
        return f"{head} FOR EACH ROW EXECUTE FUNCTION {FUNCTION}()"
    if vendor == "sqlite":
        return f"{head} BEGIN SELECT RAISE(ABORT, '{MESSAGE}'); END"
    return f"{head} FOR EACH ROW SIGNAL SQLSTATE '45000' SET MESSAGE_TEXT = '{MESSAGE}'"


def remove(connection: Any, tables: Sequence[str] = TABLES) -> None:
    with connection.cursor() as cursor:
        for table in tables:
            for action in (*ACTIONS, "TRUNCATE"):
                on = f" ON {table}" if connection.vendor == "postgresql" else ""
                cursor.execute(f"DROP TRIGGER IF EXISTS {name_of(table, action)}{on}")


def missing(connection: Any) -> list[str]:
    """The triggers that should be there and are not."""
    catalogues = {
        "postgresql": "SELECT tgname FROM pg_trigger",
        "sqlite": "SELECT name FROM sqlite_master WHERE type = 'trigger'",
        "mysql": "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()",
    }
    with connection.cursor() as cursor:
        cursor.execute(catalogues[connection.vendor])
        there = {name for (name,) in cursor.fetchall()}
    wanted = [name_of(table, action) for table in TABLES for action in ACTIONS]
    return [name for name in wanted if name not in there]
