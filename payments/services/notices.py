"""What providers tell us: stored first, then only a reason to ask them."""

from django.utils import timezone

from core.ids import is_id
from payments.models import NoticeKind, ProviderNotice, Transaction
from payments.providers.sandbox import acknowledge, new_notices
from payments.services.status import wake

# Each app drains its own kind; disputes are kept until there is one for them, and due for nobody.
DRAINED = {NoticeKind.PAYMENT, NoticeKind.REFUND}


def store_notice(*, provider: str, event_id: str, kind: str, **fields: object) -> ProviderNotice:
    """Keeps a verified notice; the same event a second time is the first one."""
    notice, _created = ProviderNotice.objects.get_or_create(
        provider=provider,
        event_id=event_id,
        defaults={"kind": kind, "due_at": timezone.now() if kind in DRAINED else None, **fields},
    )
    return notice


def collect_sandbox_notices() -> int:
    """Takes in what the sandbox would have posted to us, and answers how many."""
    notices = new_notices()
    for notice in notices:
        store_notice(
            provider="sandbox",
            event_id=notice["id"],
            kind=notice["kind"],
            type=notice["type"],
            transaction_id=notice["key"] if is_id(notice["key"], "txn") else "",
            payload=notice["payload"],
        )
        acknowledge(notice["id"])
    return len(notices)


def handle_notice(notice: ProviderNotice) -> None:
    """Makes the transaction due, so that its provider is asked."""
    if Transaction.objects.filter(pk=notice.transaction_id, provider=notice.provider).exists():
        wake(notice.transaction_id)
    ProviderNotice.objects.filter(pk=notice.pk).update(due_at=None)
