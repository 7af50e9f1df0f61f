"""Which event sends which mail, and to whom: one table. A merchant switches single mails (Merchant.email_choices);
docs/emails.md tells what each says. Mails about an account, such as a new password, are not here: nobody switches them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from notifications.models import ENDPOINT_DISABLED

CUSTOMER, TEAM = "customer", "team"
AUDIENCES = [(CUSTOMER, CUSTOMER), (TEAM, TEAM)]
RECEIPT_PAGE = "/receipt"


class Payer(NamedTuple):
    """Who paid, for the mails to them. `url` is the page of their payment, `reference` what it is called there."""

    email: str
    name: str
    reference: str
    url: str
    language: str = "en"


@dataclass(frozen=True)
class Mail:
    """A file of templates/emails/, and the events that it tells of. With a `permission` it goes to everybody in the
    team whose role has that, without one to the payer, whose payment's page it links to (`page` is below that)."""

    template: str
    event_types: tuple[str, ...]
    description: str
    permission: str = ""
    default: bool = True  # whether it is sent where the merchant has not chosen
    page: str = ""

    @property
    def audience(self) -> str:
        return TEAM if self.permission else CUSTOMER

    def is_on(self, choices: Mapping[str, bool]) -> bool:
        return choices.get(self.template, self.default)


MAILS = [
    # To the payer, in the merchant's name.
    Mail("receipt", ("payment.completed",), "A payment has succeeded", page=RECEIPT_PAGE),
    Mail("payment_failed", ("payment.failed",), "A payment has failed for good"),
    Mail("refund_started", ("refund.processing",), "A refund is on its way", default=False),
    Mail("refund_succeeded", ("refund.succeeded",), "Money was given back"),
    Mail("refund_failed", ("refund.failed",), "A refund has come to nothing"),
    # To the team.
    Mail("payment_received", ("payment.completed",), "A payment has succeeded", "payments:write", default=False),
    Mail("payment_surplus", ("payment.surplus",), "Money came that may not stay", "refunds:write"),
    Mail("refund_approval", ("refund.requires_approval",), "A refund waits for approval", "refunds:write"),
    Mail("refund_problem", ("refund.failed",), "A refund has failed", "refunds:write"),
    Mail("dispute_opened", ("dispute.created",), "A payer disputes a payment", "refunds:write"),
    Mail("dispute_answered", ("dispute.under_review",), "A dispute was answered", "refunds:write"),
    Mail("dispute_due", ("dispute.due_soon",), "A dispute must be answered soon", "refunds:write"),
    Mail(
        "dispute_closed",
        ("dispute.won", "dispute.lost", "dispute.accepted", "dispute.withdrawn"),
        "A dispute is over",
        "refunds:write",
    ),
    Mail("payout_paid", ("payout.paid",), "Money was paid out", "payouts:write"),
    Mail("payout_failed", ("payout.failed",), "A payout has failed", "payouts:write"),
    Mail("payout_held", ("payout.held",), "A payout is held back", "payouts:write"),
    Mail("endpoint_disabled", (ENDPOINT_DISABLED,), "A webhook endpoint was disabled", "webhooks:write"),
]
# The merchant's other mails: its log has them, and no switch.
FROM_ELSEWHERE = ["invitation", "new_api_key", "new_bank_account", "bank_account_removed"]
TEMPLATES = [(template, template) for template in [*(mail.template for mail in MAILS), *FROM_ELSEWHERE]]
OF_EVENT: dict[str, list[Mail]] = {}
for _mail in MAILS:
    for _event_type in _mail.event_types:
        OF_EVENT.setdefault(_event_type, []).append(_mail)
