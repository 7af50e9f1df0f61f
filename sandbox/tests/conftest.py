from collections.abc import Callable
from typing import Any

import pytest
from django.utils import timezone

from sandbox import services, tasks
from sandbox.models import Charge, Operation

RETURN_URL = "http://testserver/pay/back"


@pytest.fixture
def charge() -> Callable[..., dict[str, Any]]:
    """Starts a charge: 50.00 USD on tok_visa under the key txn_1, unless told otherwise."""

    def start(**parameters: Any) -> dict[str, Any]:
        defaults = {
            "key": "txn_1",
            "account": "mer_1",
            "account_name": "Demo Store",
            "amount": 5000,
            "currency": "USD",
            "method": "card",
            "capture": True,
            "description": "Two loaves",
            "return_url": RETURN_URL,
        }
        if parameters.get("method", "card") == "card":
            defaults["token"] = "tok_visa"
        return services.create_charge(**{**defaults, **parameters})

    return start


@pytest.fixture
def settle() -> Callable[[], None]:
    """Lets the emulator do all that is due."""

    def run() -> None:
        while tasks.settle():
            pass

    return run


@pytest.fixture
def later(settle) -> Callable[[], None]:
    """Lets the emulator do all that it will ever do."""

    def run() -> None:
        settle()
        for model in (Charge, Operation):
            model.objects.filter(due_at__isnull=False).update(due_at=timezone.now())
        settle()

    return run


@pytest.fixture
def paid(charge, settle) -> Callable[..., dict[str, Any]]:
    """A charge that has settled."""

    def start(**parameters: Any) -> dict[str, Any]:
        key = charge(**parameters)["key"]
        settle()
        return services.retrieve_charge(key=key)

    return start


@pytest.fixture
def notices() -> Callable[[], list[tuple[str, str]]]:
    """The type and key of every pending notice."""
    return lambda: [(notice["type"], notice["key"]) for notice in services.pending_notices()]
