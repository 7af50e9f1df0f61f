"""The floor: what a payment costs in raw WSGI and SQL, with nothing of Django.

Create is one SELECT and one transaction of six rows (payment, transaction, two ledger entries, event, key);
read is one SELECT. `python -m bench.floor` makes its tables.
"""

import hashlib
import os
import threading
import time
from collections.abc import Callable, Iterable
from contextlib import closing
from typing import Any

import orjson

from bench.database import connect, engine_of

URL = os.environ["DATABASE_URL"]
IS_SQLITE = engine_of(URL) == "sqlite3"
BEGIN = "BEGIN IMMEDIATE" if IS_SQLITE else "BEGIN"
PAYMENTS = "/api/v1/payments"

ID, TEXT, NUMBER = "VARCHAR(32) NOT NULL", "VARCHAR(255) NOT NULL", "BIGINT NOT NULL"
KEYS = "PRIMARY KEY (merchant_id, idempotency_key)"
TABLES = {  # times in microseconds since 1970, amounts in minor units
    "floor_merchant": f"id {ID} PRIMARY KEY, is_default INT UNIQUE, currency CHAR(3) NOT NULL",
    "floor_payment": f"id {ID} PRIMARY KEY, merchant_id {ID}, order_id {TEXT}, status {ID}, amount {NUMBER},"
    f" currency CHAR(3) NOT NULL, customer_name {TEXT}, customer_email {TEXT}, created_at {NUMBER}",
    "floor_transaction": f"id {ID} PRIMARY KEY, payment_id {ID}, status {ID}, amount {NUMBER}, created_at {NUMBER}",
    "floor_entry": f"id {ID} PRIMARY KEY, payment_id {ID}, account {ID}, amount {NUMBER}, created_at {NUMBER}",
    "floor_event": f"id {ID} PRIMARY KEY, payment_id {ID}, type {ID}, payload TEXT NOT NULL, created_at {NUMBER}",
    "floor_key": f"merchant_id {ID}, idempotency_key CHAR(64) NOT NULL, payment_id {ID}, {KEYS}",
}
FIELDS = [
    "id",
    "merchant_id",
    "order_id",
    "status",
    "amount",
    "currency",
    "customer_name",
    "customer_email",
    "created_at",
]


def _sql(statement: str) -> str:
    return statement.replace("%s", "?") if IS_SQLITE else statement


def _insert(table: str, columns: int, rows: int = 1) -> str:
    row = f"({', '.join(['%s'] * columns)})"
    return _sql(f"INSERT INTO {table} VALUES {', '.join([row] * rows)}")  # noqa: S608


FIND_MERCHANT = "SELECT id, currency FROM floor_merchant WHERE is_default = 1"
FIND_PAYMENT = _sql(f"SELECT {', '.join(FIELDS)} FROM floor_payment WHERE id = %s")  # noqa: S608
ADD_PAYMENT = _insert("floor_payment", len(FIELDS))
ADD_TRANSACTION = _insert("floor_transaction", 5)
ADD_ENTRIES = _insert("floor_entry", 5, rows=2)
ADD_EVENT = _insert("floor_event", 5)
ADD_KEY = _insert("floor_key", 3)

local = threading.local()


def _cursor() -> Any:
    """This thread's cursor on its one connection."""
    if not hasattr(local, "cursor"):
        local.connection = connect(URL)
        local.cursor = local.connection.cursor()
    return local.cursor


def _new_id(prefix: str) -> str:
    """48 bits of milliseconds and 64 random ones: sorts by creation, as ours do."""
    return f"{prefix}_{time.time_ns() // 1_000_000:012x}{os.urandom(8).hex()}"[:32]


def create(body: bytes, key: str) -> bytes:
    """Writes the six rows in one transaction and answers with the payment."""
    sent = orjson.loads(body)
    amount = int(sent["amount"].replace(".", ""))
    cursor = _cursor()
    cursor.execute(FIND_MERCHANT)
    merchant, currency = cursor.fetchone()
    now, payment = time.time_ns() // 1000, _new_id("pay")
    name, email = sent["customer_name"], sent["customer_email"]
    row = (payment, merchant, sent["order_id"], "pending", amount, currency, name, email, now)
    answer = _render(row)
    cursor.execute(BEGIN)
    try:
        cursor.execute(ADD_PAYMENT, row)
        cursor.execute(ADD_TRANSACTION, (_new_id("txn"), payment, "pending", amount, now))
        debit = (_new_id("ent"), payment, "provider_receivable", amount, now)
        cursor.execute(ADD_ENTRIES, (*debit, _new_id("ent"), payment, "merchant_pending", -amount, now))
        cursor.execute(ADD_EVENT, (_new_id("evt"), payment, "payment.created", answer.decode(), now))
        cursor.execute(ADD_KEY, (merchant, hashlib.sha256(key.encode()).hexdigest(), payment))
        cursor.execute("COMMIT")
    except Exception:
        cursor.execute("ROLLBACK")
        raise
    return answer


def read(payment_id: str) -> bytes | None:
    """The payment, None when there is none."""
    cursor = _cursor()
    cursor.execute(FIND_PAYMENT, (payment_id,))
    row = cursor.fetchone()
    return _render(row) if row else None


def _render(row: tuple) -> bytes:
    return orjson.dumps({"payment": dict(zip(FIELDS, row, strict=True)), "status": "success", "message": "Done."})


def application(environ: dict[str, Any], start_response: Callable) -> Iterable[bytes]:
    path = environ["PATH_INFO"]
    if environ["REQUEST_METHOD"] == "POST" and path == PAYMENTS:
        body = environ["wsgi.input"].read(int(environ["CONTENT_LENGTH"]))
        status, answer = "201 Created", create(body, environ["HTTP_IDEMPOTENCY_KEY"])
    else:
        status, answer = "200 OK", read(path.rpartition("/")[2])
        if answer is None:
            status, answer = "404 Not Found", b"{}"
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(answer)))])
    return [answer]


def make_tables() -> None:
    with closing(connect(URL)) as connection:
        cursor = connection.cursor()
        for name, columns in TABLES.items():
            cursor.execute(f"CREATE TABLE {name} ({columns})")
        cursor.execute(_insert("floor_merchant", 3), (_new_id("mer"), 1, "USD"))


if __name__ == "__main__":
    make_tables()
