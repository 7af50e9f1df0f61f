"""The emulator's own clock: what it does after it has answered."""

from core.queue import drain, periodic
from sandbox import services
from sandbox.models import Charge, Operation


def settle() -> int:
    return drain(Charge.objects.all(), services.settle_charge) + drain(
        Operation.objects.all(), services.settle_operation
    )


periodic("sandbox.settle", every=0.1, handler=settle)
