"""The environment that the tests run in; loaded by pytest before Django's settings are read.

DATABASE_URL is taken from outside, so the same suite runs on SQLite, MariaDB and PostgreSQL.
"""

import os

os.environ["ENV_FILE"] = os.devnull
os.environ.update(
    DEMO="true",
    SECRET_KEY="tests-only-secret-key-that-is-long-enough-for-hs256-0123456789",
    ENCRYPTION_KEYS="vqVwBzVXVYk3wQzY8aLQxgTeGQ1sqWZ3Yt1cUp2LXhE=,2Qh1J3m8dWkq7bq2n8s0vG4hYlXo5tTqY3bC0aD9eF4=",
    SITE_URL="http://testserver",
    ALLOWED_HOSTS="testserver,localhost,127.0.0.1",
    THROTTLE_PAYMENT_CREATE="100000/min",
    THROTTLE_PAYMENT_READ="100000/min",
    SANDBOX_SETTLE_SECONDS="0",
)
os.environ.setdefault("DATABASE_URL", "sqlite:///var/test-base.sqlite3")
