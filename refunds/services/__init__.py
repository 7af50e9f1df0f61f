"""What can happen to a refund. Views, tasks and the back office call these and nothing else."""

from refunds.services.notices import handle_notice
from refunds.services.outcomes import run_refund
from refunds.services.requests import (
    ApprovalNotYours,
    PaymentDisputed,
    PaymentNotRefundable,
    RefundOfSurplus,
    RefundTooLarge,
    RefundUnderWay,
    approve_refund,
    cancel_refund,
    create_refund,
)
from refunds.services.surplus import return_surplus

__all__ = [
    "ApprovalNotYours",
    "PaymentDisputed",
    "PaymentNotRefundable",
    "RefundOfSurplus",
    "RefundTooLarge",
    "RefundUnderWay",
    "approve_refund",
    "cancel_refund",
    "create_refund",
    "handle_notice",
    "return_surplus",
    "run_refund",
]
