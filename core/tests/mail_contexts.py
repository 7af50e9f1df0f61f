"""What every mail may be asked to say: a whole context for each template."""

LINK = "https://pay.example.com/links/a-b_c.d:e?x=1&y=2"
MERCHANT = "Müller & Söhne"

# What a mail about money is told of it; all but the amount may be missing.
FACTS = {"reference": "TG-7K2M9QX4ZB", "date": "Nov. 21, 2026"}
PAID = {**FACTS, "amount": "$50.00", "description": "Two concert tickets", "method": "Visa", "last4": "4242"}
TO_PAYER = {"name": "Jane Doe", "url": LINK, "support": "help@shop.example.com"}
CUSTOMER = {"customer": "John Roe", "customer_email": "john@example.com"}
PAYOUT = {
    "name": "Olivia O'Hara",
    "merchant": MERCHANT,
    "amount": "$50.00",
    "id": "po_01m7xt2s0arrqj7g231der0e2g",
    "date": FACTS["date"],
}
PAYMENT = {**PAYOUT, **FACTS, **CUSTOMER, "id": "pay_01m7xt2s0arrqj7g231der0e2g"}
REFUND = {**PAYMENT, "id": "re_01m7xt2s0arrqj7g231der0e2g", "reason_text": "Product not received"}
DISPUTE = {**PAYMENT, "id": "dp_01m7xt2s0arrqj7g231der0e2g", "reason_text": "Fraudulent"}
DUE = "Nov. 30, 2026, 11:59 p.m. UTC"

CONTEXTS: dict[str, dict[str, str]] = {
    "account_exists": {"name": "Jane Doe", "url": LINK},
    "dispute_answered": DISPUTE,
    "dispute_closed": {**DISPUTE, "status": "won"},
    "dispute_due": {**DISPUTE, "due": DUE},
    "dispute_opened": {**DISPUTE, "due": DUE, "stage": "chargeback"},
    "endpoint_disabled": {"merchant": MERCHANT, "endpoint": "https://shop.example.com/hooks", "reason": "gone"},
    "invitation": {"merchant": MERCHANT, "role": "Finance", "inviter": "Olivia O'Hara", "url": LINK},
    "new_bank_account": {"merchant": MERCHANT, "currency": "USD", "last4": "6789", "by": "Olivia O'Hara"},
    "bank_account_removed": {"merchant": MERCHANT, "currency": "USD", "last4": "6789", "by": "Olivia O'Hara"},
    "new_api_key": {"merchant": MERCHANT, "key": "Shop server", "last4": "9f3A", "by": "Olivia O'Hara"},
    "new_login": {
        "name": "Jane Doe",
        "at": "2026-11-21 11:40 UTC",
        "device": "Firefox, Linux",
        "network": "203.0.113.0/24",
    },
    "password_changed": {"name": "Jane Doe", "at": "2026-11-21 11:40 UTC"},
    "password_reset": {"name": "Jane Doe", "url": LINK},
    "payment_failed": {
        **TO_PAYER,
        **PAID,
        "failure": "The card was declined.",
        "failure_code": "card_declined",
    },
    "payment_received": {**PAYMENT, **PAID},
    "payment_surplus": {**PAYMENT, **PAID},
    "payout_failed": {**PAYOUT, "failure": "Account closed"},
    "payout_held": PAYOUT,
    "payout_paid": PAYOUT,
    "receipt": {**TO_PAYER, **PAID},
    "refund_approval": REFUND,
    "refund_failed": {**TO_PAYER, **FACTS, "amount": "$20.00"},
    "refund_problem": {**REFUND, "failure": "Account closed"},
    "refund_started": {**TO_PAYER, **FACTS, "amount": "$20.00", "reason": "duplicate"},
    "refund_succeeded": {**TO_PAYER, **FACTS, "amount": "$20.00", "reason": "requested_by_customer"},
    "tokens_revoked": {"name": "Jane Doe", "at": "2026-11-21 11:40 UTC"},
    "verify_email": {"name": "Jane Doe", "url": LINK},
}
# Values that choose words and are not shown themselves.
CHOOSE_WORDS = {"reason", "status", "stage", "failure_code"}
# In mails about money, what is shown where there is one.
OPTIONAL = {*DISPUTE, *PAID, "due", "failure", "support"} - {"amount"}
