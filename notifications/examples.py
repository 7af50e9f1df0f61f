"""The values that stand in the API's description, by field."""

from typing import Any

THEN = "2026-11-21T09:30:01Z"
EVENT: dict[str, Any] = {
    "id": "evt_01m7xt2t6r7s8t9v0w1x2y3z4a",
    "type": "payment.completed",
    "object_id": "pay_01m7xt2s0arrqj7g231der0e2g",
    "sequence": 3,
    "data": {"id": "pay_01m7xt2s0arrqj7g231der0e2g", "status": "completed", "amount": 99.99, "currency": "USD"},
    "actor": None,
    "created_at": THEN,
}
ENDPOINT: dict[str, Any] = {
    "id": "we_01m7xt9b5c6d7e8f9g0h1j2k3m",
    "url": "https://shop.example.com/webhooks",
    "description": "The shop's orders",
    "event_types": ["payment.completed", "refund.*"],
    "status": "enabled",
    "disabled_reason": None,
    "failing_since": None,
    "secret": "whsec_…",
    "created_at": THEN,
}
ATTEMPT: dict[str, Any] = {"status": 200, "milliseconds": 84, "answer": "ok", "error": None, "created_at": THEN}
DELIVERY: dict[str, Any] = {
    "id": "wd_01m7xt2t6v7w8x9y0z1a2b3c4d",
    "event_id": EVENT["id"],
    "event_type": EVENT["type"],
    "endpoint_id": ENDPOINT["id"],
    "status": "delivered",
    "attempts": 1,
    "next_attempt_at": None,
    "log": [ATTEMPT],
    "created_at": THEN,
}
MESSAGE: dict[str, Any] = {
    "url": ENDPOINT["url"],
    "headers": {"webhook-id": EVENT["id"], "webhook-timestamp": "1795253401", "webhook-signature": "v1,…"},
    "body": '{"id":"evt_01m7xt2t6r7s8t9v0w1x2y3z4a","type":"payment.completed",…}',
}
STEP: dict[str, Any] = {"name": "body", "fault": "The body differs from what was sent at byte 214: …"}
DIAGNOSIS: dict[str, Any] = {
    "body": MESSAGE["body"],
    "headers": MESSAGE["headers"],
    "verified": False,
    "steps": [{"name": "headers", "fault": None}, STEP],
}
REPLAY: dict[str, Any] = {
    "since": "2026-11-20T00:00:00Z",
    "until": "2026-11-21T00:00:00Z",
    "delivered": False,
    "events": 12,
}
