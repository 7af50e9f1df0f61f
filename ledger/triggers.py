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
# Name and table of each trigger that fires: PostgreSQL can disable one, or have it fire for a replica only.
CATALOGUES = {
    "postgresql": "SELECT tgname, tgrelid::regclass::text FROM pg_trigger WHERE tgenabled IN ('O', 'A')",
    "sqlite": "SELECT name, tbl_name FROM sqlite_master WHERE type = 'trigger'",
    "mysql": "SELECT trigger_name, event_object_table FROM information_schema.triggers "
    "WHERE trigger_schema = DATABASE()",
}


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
    """The triggers that should stand on their tables, and do not, or are disabled."""
    with connection.cursor() as cursor:
        cursor.execute(CATALOGUES[connection.vendor])
        there = set(cursor.fetchall())
    actions = (*ACTIONS, "TRUNCATE") if connection.vendor == "postgresql" else ACTIONS
    wanted = [(name_of(table, action), table) for table in TABLES for action in actions]
    return [name for name, table in wanted if (name, table) not in there]
