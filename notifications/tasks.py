"""The jobs of notifications (core/queue.py)."""

from core.queue import periodic
from notifications.services import forget_old_secrets, prune_events, send_due

periodic("notifications.send", 0.2, send_due, turns=2)
periodic("notifications.prune", 3600, prune_events)
periodic("notifications.forget_old_secrets", 3600, forget_old_secrets)
