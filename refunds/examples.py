"""The values that stand in the API's description."""

from typing import Any

from payments.examples import PAYMENT_ID

REFUND_REQUEST: dict[str, Any] = {
    "payment_id": PAYMENT_ID,
    "amount": 49.99,
    "reason": "product_unacceptable",
    "note": "One seat was behind a pillar",
}
REFUND: dict[str, Any] = {
    **REFUND_REQUEST,
    "id": "re_01m7xv4g2r3s4t5v6w7x8y9z0a",
    "transaction_id": "txn_01m7xv4g2s8t9v0w1x2y3z4a5b",
    "status": "pending",
    "currency": "USD",
    "failure_code": None,
    "requested_by": "usr_01m7xszv2h3k4m5n6p7q8r9s0t",
    "approved_by": None,
    "created_at": "2026-11-21T10:30:00Z",
    "updated_at": "2026-11-21T10:30:00Z",
}
