"""The embedded demo: a sandbox merchant, people to log in as, and some weeks of history."""

EMAILS = "admin@example.com (superuser), support@example.com (staff), owner@example.com (merchant)"
PASSWORD = "tillgate-demo"  # noqa: S105
