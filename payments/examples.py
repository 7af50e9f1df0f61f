"""The values that stand in the API's description: one purchase, told from both sides."""

from typing import Any

from django.conf import settings

PAYMENT_ID = "pay_01m7xt2s0arrqj7g231der0e2g"
MERCHANT_ID = "mer_01m7xt0q5d8h6n0w2x9k3v4b7c"

LEAST: dict[str, Any] = {"customer_name": "John Doe", "customer_email": "john@example.com", "amount": 50.00}
PURCHASE: dict[str, Any] = {
    "customer_name": "John Doe",
    "customer_email": "john@example.com",
    "amount": 99.99,
    "currency": "USD",
    "order_id": "order-1042",
    "payment_method": "credit_card",
    "description": "Two concert tickets",
}
CARD_PAYMENT: dict[str, Any] = {
    **PURCHASE,
    "customer_phone": "+1 202 555 0143",
    "customer_location": "Springfield, US",
    "metadata": {"seat": "14C"},
    "card_number": "4111111111111111",
    "card_expiry_month": 12,
    "card_expiry_year": 2030,
    "card_cvv": "123",
}
PAYMENT_REQUEST: dict[str, Any] = {
    **CARD_PAYMENT,
    "merchant_id": MERCHANT_ID,
    "return_url": "https://shop.example.com/thanks",
    "capture_method": "automatic",
}

CARD: dict[str, Any] = {"brand": "visa", "last4": "1111", "expiry_month": 12, "expiry_year": 2030}
FAILURE: dict[str, Any] = {
    "code": "card_declined",
    "message": "The card was declined. Try another card or method.",
}
NEXT_ACTION: dict[str, Any] = {
    "type": "bank_transfer",
    "url": f"{settings.SITE_URL}/sandbox/charge",
    "bank_name": "Sandbox Bank",
    "account_name": "Demo Store",
    "account_number": "0012345678",
    "reference": "GR2DER0E2G",
}
PUBLIC_PAYMENT: dict[str, Any] = {
    **PURCHASE,
    "id": PAYMENT_ID,
    "reference": "TG-7F3K9QW2MX",
    "merchant_id": MERCHANT_ID,
    "status": "pending",
    "card": CARD,
    "failure": None,
    "next_action": None,
    "checkout_url": f"{settings.SITE_URL}/pay/{PAYMENT_ID}",
    "expires_at": "2026-11-22T09:30:00Z",
    "created_at": "2026-11-21T09:30:00Z",
    "updated_at": "2026-11-21T09:30:00Z",
}
MERCHANT_PAYMENT: dict[str, Any] = {
    **PUBLIC_PAYMENT,
    "customer_id": "cus_01m7xt2rzqb2c3d4e5f6g7h8j9",
    "customer_phone": "+1 202 555 0143",
    "customer_location": "Springfield, US",
    "metadata": {"seat": "14C"},
    "provider": "sandbox",
    "capture_method": "automatic",
    "return_url": "https://shop.example.com/thanks",
    "cancellation_reason": None,
    "amount_captured": 99.99,
    "amount_refunded": 0.00,
    "amount_refund_pending": 0.00,
    "amount_disputed": 0.00,
}
CHANGE: dict[str, Any] = {
    "description": "Two concert tickets, row F",
    "metadata": {"seat": "14F", "note": None},
    "status": "cancelled",
    "cancellation_reason": "requested_by_customer",
    "reason": "duplicate",
}
CAPTURE: dict[str, Any] = {"amount": 60.00}
TRANSACTION: dict[str, Any] = {
    "id": "txn_01m7xt2s1c9d8e7f6g5h4j3k2m",
    "payment_id": PAYMENT_ID,
    "kind": "sale",
    "status": "succeeded",
    "amount": 99.99,
    "currency": "USD",
    "method": "credit_card",
    "failure": None,
    "created_at": "2026-11-21T09:30:00Z",
    "updated_at": "2026-11-21T09:30:01Z",
    "provider": "sandbox",
    "provider_reference": "ch_01m7xt2s1w3x4y5z6a7b8c9d0e",
    "provider_code": None,
    "provider_response": {"id": "ch_01m7xt2s1w3x4y5z6a7b8c9d0e", "status": "succeeded"},
}
