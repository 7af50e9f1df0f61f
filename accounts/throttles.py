"""How often a password or an address may be tried."""

import hashlib

from rest_framework.request import Request

from accounts.models import User, normalize_email
from core.api import CounterThrottle


class LogInThrottle(CounterThrottle):
    """Counts whatever tries a password or sends a mail, for each network."""

    scope = "log_in"


class AccountThrottle(CounterThrottle):
    """Counts what is tried on one address, from wherever it comes."""

    scope = "account"

    def client(self, request: Request) -> str:
        return hashlib.sha256(normalize_email(str(self.email(request))).encode(errors="replace")).hexdigest()

    def email(self, request: Request) -> object:
        return request.data.get("email") if isinstance(request.data, dict) else None


class OwnAccountThrottle(AccountThrottle):
    """Counts what somebody who is logged in tries on their own address."""

    def email(self, request: Request) -> object:
        return request.user.email if isinstance(request.user, User) else None
