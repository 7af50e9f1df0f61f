"""The network between a caller and the emulated provider: its errors, and the dials that break it.

`settings.SANDBOX_FAULT`, read at each call, is "" or one of: "slow"; "silent" (the work is done, no answer
comes); "down" (nothing is done); "garbage" (the work is done, the answer makes no sense).
"""

import functools
import time
from collections.abc import Callable
from contextlib import suppress
from typing import Any, ParamSpec

from django.conf import settings

SLOW_SECONDS = 0.5
GARBAGE = {"error": "<html><body><h1>502 Bad Gateway</h1></body></html>"}

P = ParamSpec("P")


class SandboxError(Exception):
    """A call that did not end in an answer of success."""


class SandboxTimeout(SandboxError):
    """No answer came: whether the work was done is not known."""


class SandboxDown(SandboxError):
    """Nobody is there (connection refused, 503): nothing was done."""


class SandboxRefused(SandboxError):
    """A 4xx: the request was understood and not carried out; its key stays free."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


class SandboxNotFound(SandboxError):
    """Nothing was ever made under that key."""


def over_the_wire(function: Callable[P, dict[str, Any]]) -> Callable[P, dict[str, Any]]:
    """Puts the dials of SANDBOX_FAULT between the caller and the work."""

    @functools.wraps(function)
    def call(*args: P.args, **parameters: P.kwargs) -> dict[str, Any]:
        fault = settings.SANDBOX_FAULT
        if fault == "down":
            raise SandboxDown("Connection refused.")
        if fault == "slow":
            time.sleep(SLOW_SECONDS)
        if fault not in ("silent", "garbage"):
            return function(*args, **parameters)
        with suppress(SandboxRefused, SandboxNotFound):  # neither good nor bad answers arrive
            function(*args, **parameters)
        if fault == "silent":
            raise SandboxTimeout("No answer.")
        return dict(GARBAGE)

    return call
