"""Prints the environment of the embedded demo, with keys of its own: `python config/demo_env.py > var/demo.env`.

Uses the standard library only. An installation for real money takes .env.example instead.
"""

import base64
import secrets


def main() -> None:
    encryption_key = base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()
    lines = [
        "# The embedded demo of `make run`: sandbox money, plain http, this machine only.",
        "DEMO=true",
        f"SECRET_KEY={secrets.token_urlsafe(48)}",
        f"JWT_SIGNING_KEY={secrets.token_urlsafe(48)}",
        f"ENCRYPTION_KEYS={encryption_key}",
        "OPEN_REGISTRATION=true",
        "ALLOWED_HOSTS=localhost,127.0.0.1",
        "DATABASE_URL=sqlite:///var/tillgate.sqlite3",
        "EMAIL_URL=demomail://",
        "DEFAULT_FROM_EMAIL=Tillgate <no-reply@localhost>",
        "OUTBOUND_ALLOWED=localhost,127.0.0.1,::1",
        "THROTTLE_PAYMENT_CREATE=6000/min",
        "THROTTLE_PAYMENT_READ=60000/min",
    ]
    print("\n".join(lines))  # noqa: T201


if __name__ == "__main__":
    main()
