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
BANK_ACCOUNT_REQUEST: dict[str, Any] = {
    "currency": "EUR",
    "country": "DE",
    "holder": "Acme Tickets GmbH",
    "bank_name": "Example Bank",
    "routing_number": "",
    "account_number": "DE89370400440532013000",
    "schedule": "weekly",
    "anchor": 1,
    "minimum": 100.00,
    "password": "…",
}
BANK_ACCOUNT: dict[str, Any] = {
    "id": "ba_01m7xw3b5c6d7e8f9g0h1j2k3m",
    "currency": "EUR",
    "country": "DE",
    "holder": "Acme Tickets GmbH",
    "bank_name": "Example Bank",
    "last4": "3000",
    "in_use": True,
    "schedule": "weekly",
    "anchor": 1,
    "minimum": 100.00,
    "next_payout_at": "2026-11-30T00:00:00Z",
    "created_by": "usr_01m7xszv2h3k4m5n6p7q8r9s0t",
    "created_at": "2026-11-21T09:30:01Z",
}
PAYOUT_REQUEST: dict[str, Any] = {"currency": "EUR", "amount": 1204.10}
PAYOUT: dict[str, Any] = {
    "id": "po_01m7xw9d1e2f3g4h5j6k7m8n9p",
    "status": "in_transit",
    "amount": 1204.10,
    "currency": "EUR",
    "bank_account": {"id": BANK_ACCOUNT["id"], "bank_name": "Example Bank", "last4": "3000"},
    "scheduled": False,
    "requested_by": "usr_01m7xszv2h3k4m5n6p7q8r9s0t",
    "failure_code": None,
    "sent_at": "2026-11-23T09:31:01Z",
    "paid_at": None,
    "created_at": "2026-11-23T09:30:01Z",
    "updated_at": "2026-11-23T09:31:01Z",
}
PAYOUT_ENTRY: dict[str, Any] = {"settled": 48.25, "entry": {**ENTRY, "account": "merchant_available"}}
