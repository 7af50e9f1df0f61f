"""The kernel's own jobs (core/queue.py)."""

from core.mail import prune_emails, send_emails
from core.queue import periodic

periodic("core.send_emails", 1, send_emails)
periodic("core.prune_emails", 3600, prune_emails)
