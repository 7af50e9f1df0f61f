"""The emulator's own clock: what it does after it has answered."""

from core.queue import drain, periodic
from sandbox import services, transfers
from sandbox.models import Charge, Operation, Transfer


def settle() -> int:
    return (
        drain(Charge.objects.all(), services.settle_charge)
        + drain(Operation.objects.all(), services.settle_operation)
        + drain(Transfer.objects.all(), transfers.settle_transfer)
    )


periodic("sandbox.settle", every=0.1, handler=settle)
