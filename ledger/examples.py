"""The values that stand in the API's description."""

from typing import Any

BALANCE: dict[str, Any] = {"currency": "USD", "pending": 48.25, "available": 1204.10, "reserved": 20.00}
ENTRY: dict[str, Any] = {
    "id": "ent_01m7xt2t5a6b7c8d9e0f1g2h3j",
    "journal_id": "jnl_01m7xt2t5k4m5n6p7q8r9s0t1v",
    "kind": "capture",
    "source_id": "txn_01m7xt2s1c9d8e7f6g5h4j3k2m",
    "account": "merchant_pending",
    "amount": 99.99,
    "currency": "USD",
    "created_at": "2026-11-21T09:30:01Z",
}
