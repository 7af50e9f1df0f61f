"""The values that stand in the API's description, by field."""

USER_ID = "usr_01m7xszv2h3k4m5n6p7q8r9s0t"
MERCHANT_ID = "mer_01m7xt0q5d8h6n0w2x9k3v4b7c"
MEMBER_ID = "mem_01m7xt0q6rf1s2t3v4w5x6y7z8"
CUSTOMER_ID = "cus_01m7xt2rzqb2c3d4e5f6g7h8j9"
KEY_ID = "key_01m7xt1c8md9e0f1g2h3j4k5m6"
TOKEN = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9…"  # noqa: S105
LINK_TOKEN = "WyJ1c3JfMDFtN3hzenYyaDNrNG01bjZwN3E4cjlzMHQiXQ:1vMq0z:2f…"  # noqa: S105
THEN, LATER = "2026-11-21T09:30:00Z", "2026-11-22T09:30:00Z"

ACCOUNT = {
    "id": USER_ID,
    "user_id": USER_ID,
    "email": "ada@shop.example.com",
    "email_verified": True,
    "name": "Ada Example",
    "password": "a phrase that is long",
    "current_password": "a phrase that is long",
    "new_password": "another phrase that is long",
    "merchant_name": "Example Shop",
    "country": "NG",
    "default_currency": "NGN",
    "token": LINK_TOKEN,
    "access": TOKEN,
    "refresh": TOKEN,
    "token_type": "Bearer",
    "expires_in": 600,
    "expires_at": THEN,
    "everywhere": False,
    "merchant_id": MERCHANT_ID,
    "mode": "sandbox",
    "status": "active",
    "role": "owner",
    "memberships": [
        {
            "merchant_id": MERCHANT_ID,
            "merchant_name": "Example Shop",
            "mode": "sandbox",
            "status": "active",
            "role": "owner",
        }
    ],
    "created_at": THEN,
}
MERCHANT = {
    "id": MERCHANT_ID,
    "name": "Example Shop Ltd",
    "mode": "sandbox",
    "status": "active",
    "country": "NG",
    "default_currency": "NGN",
    "return_origins": ["https://shop.example.com"],
    "payment_methods": ["debit_card", "bank_transfer"],
    "brand_name": "Example Shop",
    "brand_color": "#0d6b52",
    "support_email": "help@shop.example.com",
    "settlement_delay_days": 2,
    "refund_approval_limit": 50000.00,
    "created_at": THEN,
}
MEMBER = {
    "id": MEMBER_ID,
    "user_id": USER_ID,
    "email": "grace@shop.example.com",
    "name": "Grace Example",
    "role": "support",
    "status": "active",
    "token": LINK_TOKEN,
    "password": "a phrase that is long",
    "joined_at": LATER,
    "created_at": THEN,
}
KEY = {
    "id": KEY_ID,
    "name": "Web shop",
    "last4": "x7Qd",
    "scopes": ["payments:read", "payments:write"],
    "status": "active",
    "expires_at": None,
    "last_used_at": LATER,
    "revoked_at": None,
    "overlap_hours": 24,
    "secret": "sk_sandbox_…x7Qd",
    "created_at": THEN,
}
CUSTOMER = {
    "id": CUSTOMER_ID,
    "email": "john@example.com",
    "name": "John Doe",
    "phone": "+1 202 555 0143",
    "location": "Springfield, US",
    "created_at": THEN,
}
