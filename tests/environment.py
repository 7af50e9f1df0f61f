"""The environment that the tests run in; conftest.py imports it before anything of Django.

DATABASE_URL is taken from outside, so the same suite runs on SQLite, MariaDB and PostgreSQL.
"""

import os

import django

os.environ["DJANGO_SETTINGS_MODULE"] = "config.settings"
os.environ["ENV_FILE"] = os.devnull
os.environ.update(
    DEMO="true",
    SECRET_KEY="tests-only-secret-key-that-is-long-enough-for-hs256-0123456789",
    JWT_SIGNING_KEY="tests-only-signing-key-of-its-own-0123456789-0123456789",
    ENCRYPTION_KEYS="mgxX_qAOhCl0pGSVbjDCjRy3sh-gVOb0IYsP6fegn7Q=,QvkEb-hyCxcF6JO3pjol1m_ncqJFzBXxRPx0QfCeJAY=",
    SITE_URL="http://testserver",
    EMAIL_URL="consolemail://",
    DEFAULT_FROM_EMAIL="Tillgate <no-reply@testserver>",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    THROTTLE_PAYMENT_CREATE="100000/min",
    THROTTLE_PAYMENT_READ="100000/min",
    THROTTLE_LOG_IN="100000/min",
    THROTTLE_DEBUGGER="100000/min",
    THROTTLE_ACCOUNT="100000/min",
    THROTTLE_AUTHENTICATED="100000/min",
    SANDBOX_SETTLE_SECONDS="0",
)
os.environ.setdefault("DATABASE_URL", f"sqlite:///var/{os.getpid()}.sqlite3")  # two runs may overlap

django.setup()
