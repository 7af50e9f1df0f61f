"""What can happen to a payment. Views, tasks and commands call these and nothing else."""

from payments.services.changes import change_payment
from payments.services.notices import collect_sandbox_notices, handle_notice
from payments.services.outcomes import apply_result
from payments.services.payments import (
    MethodUnavailable,
    NotPayable,
    OrderAlreadyPaid,
    PaymentInFlight,
    ProviderNotConnected,
    cancel_payment,
    create_payment,
    customer_returned,
    expire_payment,
    start_attempt,
)
from payments.services.transactions import run_transaction

__all__ = [
    "MethodUnavailable",
    "NotPayable",
    "OrderAlreadyPaid",
    "PaymentInFlight",
    "ProviderNotConnected",
    "apply_result",
    "cancel_payment",
    "change_payment",
    "collect_sandbox_notices",
    "create_payment",
    "customer_returned",
    "expire_payment",
    "handle_notice",
    "run_transaction",
    "start_attempt",
]
