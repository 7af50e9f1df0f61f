"""What the worker does for accounts."""

from accounts.services import prune_logins
from core.queue import periodic

HOUR = 3600.0

periodic("accounts.prune_logins", HOUR, prune_logins)
