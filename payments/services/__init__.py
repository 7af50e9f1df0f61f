"""What can happen to a payment. Views, tasks and commands call these and nothing else."""

from payments.services.authorizations import (
    CaptureTooLarge,
    PaymentNotAuthorized,
    capture_payment,
    lapse_authorization,
    run_operation,
)
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
    "CaptureTooLarge",
    "MethodUnavailable",
    "NotPayable",
    "OrderAlreadyPaid",
    "PaymentInFlight",
    "PaymentNotAuthorized",
    "ProviderNotConnected",
    "apply_result",
    "cancel_payment",
    "capture_payment",
    "change_payment",
    "collect_sandbox_notices",
    "create_payment",
    "customer_returned",
    "expire_payment",
    "handle_notice",
    "lapse_authorization",
    "run_operation",
    "run_transaction",
    "start_attempt",
]
