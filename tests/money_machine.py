"""A machine that does to the product what people, providers and bad luck do to it, in any order.

It speaks HTTP as merchants and payers do, runs the worker's queues one job at a time in any order, kills workers and
requests between two statements, repeats and shuffles notices, breaks the provider and moves the clock. After every step
`money_watch` holds the rows against the model, and the ledger verifies. The clock moves a millisecond a statement and
otherwise stands, so that the same steps are the same run.
"""

import logging
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import time_machine
from django.conf import settings
from django.core.cache import cache
from django.db import connection
from django.db.models import QuerySet
from django.test.client import Client
from django.utils import timezone
from django.utils.module_loading import autodiscover_modules
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from accounts.models import Merchant, User
from core import queue
from ledger.models import Fee
from ledger.verification import checks, verify
from payments.cards import read_card
from payments.models import ProviderNotice, Transaction
from payments.services import start_attempt
from payments.services.notices import store_notice
from payments.services.payments import EXPIRY_RETRY
from payments.services.review import ask_again
from refunds.models import Refund
from refunds.services import approve_refund
from refunds.services.notices import LONGEST_ROOM_WAIT
from sandbox import services as sandbox
from sandbox.models import Charge, Notice, Operation
from tests import money_model as model
from tests.money_choices import CARDS, GOOD, METHODS, PAYMENT, TERMS, deaths, major, numbers, parts, share
from tests.money_tools import Books, Crashes, Statements, code_of, pick
from tests.money_watch import IN_FLIGHT, Watch
from tests.tenants import undone

START = datetime(2030, 1, 1, tzinfo=UTC)
APPS = ("sandbox.", "payments.", "refunds.", "ledger.")
QUEUES = [name for name in queue.registry if name.startswith(APPS) and name != "ledger.verify"]
MOST_ROUNDS = 500
# All checks of verify() but those that ask providers for statements: what they report and we do not know yet is no
# fault before all is at rest.
autodiscover_modules("books")
OF_THE_BOOKS = Books([check for check in checks if not check.__name__.endswith("_report_what_is_booked")])
STEPS_TO_REST = 7  # between two rests


class MoneyMachine(RuleBasedStateMachine):
    """`keys` are the merchants' API keys by their ids, `staff` two people of theirs: the first has made the keys."""

    steps = 0  # of all machines

    def __init__(self, client: Client, keys: dict[str, str], staff: list[User]) -> None:
        super().__init__()
        self.client, self.keys, self.staff = client, keys, staff
        cache.clear()
        OF_THE_BOOKS.learn()
        self.travel = time_machine.travel(START, tick=False)
        self.statements = Statements(self.travel.start())
        self.crashes = Crashes()
        logging.getLogger("core.queue").addHandler(self.crashes)
        self.undone = undone()
        self.undone.__enter__()
        self.wrapper = connection.execute_wrapper(self.statements)
        self.wrapper.__enter__()
        self.sent: list[tuple[str, dict[str, Any], dict[str, str], str]] = []
        self.idle, self.steps_since_rest = False, 0
        self.now = timezone.now()

    def teardown(self) -> None:
        settings.SANDBOX_FAULT = ""
        self.wrapper.__exit__(None, None, None)
        self.undone.__exit__(None, None, None)
        logging.getLogger("core.queue").removeHandler(self.crashes)
        self.travel.stop()

    @initialize(**TERMS)
    def open_shops(
        self, delays: tuple[int, ...], limits: tuple[int | None, ...], fees: list[Any], payments: list[Any], turns: int
    ) -> None:
        """With their terms and their first payments, and a worker who does all there is every few steps, or never."""
        self.turns = turns
        shops = []
        for merchant_id, currency, delay, limit in zip(self.keys, ("USD", "JPY"), delays, limits, strict=True):
            terms = {"default_currency": currency, "settlement_delay_days": delay, "refund_approval_limit": limit}
            Merchant.objects.filter(pk=merchant_id).update(**terms)
            shops.append(model.Shop(merchant_id, currency, timedelta(days=delay), limit))
        for number, *terms in fees:
            shop, fee = shops[number % 2], model.Fee(*terms)
            shop.fees.append(fee)
            Fee.objects.create(merchant_id=shop.id, **vars(fee))
        self.model = model.Model(shops)
        self.watch = Watch(self.model)
        for payment in payments:
            self.create(**payment)
            self.look()

    # --- After every step -----------------------------------------------------------------------
    def look(self) -> None:
        """Takes in what has changed since the last look."""
        assert self.crashes.found == []
        before, self.now = self.now, timezone.now()
        self.watch.take_in(before, self.now, self.statements.written)
        self.idle = self.idle and not self.statements.written
        self.statements.written = set()

    @invariant()
    def all_agree(self) -> None:
        type(self).steps += 1
        self.steps_since_rest += 1
        if self.turns and not self.steps_since_rest % self.turns:
            self.work_all()
        self.look()
        if self.watch.unverified:
            self.watch.compare_books()
            assert OF_THE_BOOKS.faults() == []
            self.watch.unverified = False

    # --- Merchants ------------------------------------------------------------------------------
    @rule(**PAYMENT)
    def create(
        self,
        which: int,
        amount: int,
        currency: str,
        order: str | None,
        card: str | None,
        manual: bool,
        death: int | None,
    ) -> None:
        shop = self.model.shops[which]
        body = {"customer_name": "John Doe", "customer_email": "john@example.com", "currency": currency}
        body |= {"amount": major(amount, currency), "capture_method": "manual" if manual else "automatic"}
        body |= {"order_id": order} if order else {}
        if card:
            body |= {"card_number": card, "card_expiry_month": 12, "card_expiry_year": 2040}
            body |= {"payment_method": "credit_card"}
        error = "order_already_paid" if self.model.order_is_paid(shop, order) else ""
        answer = self.post("payments", body, shop, error, death=death, noun="payment")
        if not error:
            self.model.window = (self.now, timezone.now())
            payment = model.Payment(answer["id"], shop, amount, currency, manual, order, self.model.window)
            payment.method = "credit_card" if card else ""
            self.model.create(payment, by_card=card is not None)

    @precondition(lambda self: self.sent)
    @rule(number=numbers)
    def repeat(self, number: int) -> None:
        """The same request again: the same answer, and nothing else."""
        path, body, headers, known = self.sent[-1 - number % len(self.sent)]
        response = self.client.post(path, body, content_type="application/json", headers=headers)
        assert (response.status_code, response.headers.get("Idempotent-Replayed")) == (201, "true"), response.content
        assert next(iter(response.json().values()))["id"] == known

    @precondition(lambda self: self.model.payments)
    @rule(number=numbers, part=parts, death=deaths)
    def capture(self, number: int, part: str, death: int | None) -> None:
        payment = self.payment(number, "authorized")
        amount = share(part, payment.amount)
        body = {} if amount is None else {"amount": major(amount, payment.currency)}
        error = self.model.capture(payment, payment.amount if amount is None else amount)
        self.post(f"payments/{payment.id}/capture", body, payment.shop, error, death=death, noun="payment")

    @precondition(lambda self: self.model.payments)
    @rule(number=numbers)
    def cancel(self, number: int) -> None:
        payment = self.payment(number, "pending", "requires_action", "authorized")
        self.post(f"payments/{payment.id}/cancel", {}, payment.shop, self.model.cancel(payment), status=200)

    @precondition(lambda self: any(it.captured for it in self.model.payments.values()))
    @rule(number=numbers, part=parts, death=deaths)
    def refund(self, number: int, part: str, death: int | None) -> None:
        payment = self.payment(number, "completed")
        amount = share(part, payment.left or payment.amount)
        body = {} if amount is None else {"amount": major(amount, payment.currency)}
        error = self.model.refund(payment, amount, self.staff[0].pk)
        self.post(f"payments/{payment.id}/refund", body, payment.shop, error, death=death, noun="refund")

    @precondition(lambda self: self.model.refunds)
    @rule(number=numbers)
    def cancel_refund(self, number: int) -> None:
        refund = self.one_refund(number, "pending", "requires_approval")
        error = self.model.cancel_refund(refund)
        self.post(f"refunds/{refund.id}/cancel", {}, refund.payment.shop, error, status=200)

    @precondition(lambda self: self.model.refunds)
    @rule(number=numbers, person=st.booleans())
    def approve(self, number: int, person: bool) -> None:
        refund = self.one_refund(number, "requires_approval")
        staff = self.staff[person]
        row = Refund.objects.get(pk=refund.id)
        assert code_of(lambda: approve_refund(row, by=staff)) == self.model.approve(refund, staff.pk)

    # --- Payers -----------------------------------------------------------------------------------
    @precondition(lambda self: self.model.payments)
    @rule(number=numbers, stale=st.sampled_from([0, 0, 0, 1]), method=st.sampled_from(sorted(CARDS) + METHODS))
    def attempt(self, number: int, stale: int, method: str) -> None:
        """On the checkout page; `stale` is a page of before the last attempt."""
        payment = self.payment(number, "pending")
        card = None if method in METHODS else method
        method = "credit_card" if card else method
        fields = {"payment_id": payment.id, "attempt": payment.attempts - stale, "method": method}
        if card:
            expiry = {"expiry_month": 12, "expiry_year": 2040, "cvv": "", "today": self.now.date()}
            fields["card"] = read_card(number=card, **expiry)
        error = self.model.attempt(payment, fields["attempt"], method, self.now)
        assert code_of(lambda: start_attempt(**fields)) == error

    @precondition(lambda self: self.model.payments)
    @rule(number=numbers, method=st.sampled_from([GOOD, *METHODS]))
    def pay_twice(self, number: int, method: str) -> None:
        """Announces a transfer and tries another method all the same: the transfer may arrive later."""
        for chosen in ("bank_transfer", method):
            self.attempt(number=number, stale=0, method=chosen)
            self.work_all()

    @precondition(lambda self: any(row[1] in Charge.AWAITS_PAYER for row in self.watch.seen.charges.values()))
    @rule(number=numbers, approve=st.sampled_from([True, True, False]), returns=st.booleans())
    def decide(self, number: int, approve: bool, returns: bool) -> None:
        """The payer approves or declines on the provider's page, of whatever attempt, and comes back or does not."""
        waiting = [(key, row[0]) for key, row in self.watch.seen.charges.items() if row[1] in Charge.AWAITS_PAYER]
        key, charge = waiting[number % len(waiting)]
        self.client.post(f"/sandbox/charges/{charge}", {"decision": "approve" if approve else "decline"})
        if returns:
            self.come_back(self.model.txns[key].payment)

    @precondition(lambda self: self.model.payments)
    @rule(number=numbers)
    def return_early(self, number: int) -> None:
        self.come_back(self.payment(number, "requires_action"))

    def come_back(self, payment: model.Payment) -> None:
        assert self.client.get(f"/pay/{payment.id}/return").status_code == 303

    # --- The provider -----------------------------------------------------------------------------
    @rule(fault=st.sampled_from(["", "", "silent", "down", "garbage"]))
    def break_provider(self, fault: str) -> None:
        settings.SANDBOX_FAULT = fault

    @precondition(lambda self: any(it.captured for it in self.model.payments.values()))
    @rule(number=numbers, part=parts)
    def refund_elsewhere(self, number: int, part: str) -> None:
        """In the provider's dashboard, of what there is left there and not given back here, though it be set aside."""
        charges = [txn for txn in self.model.txns.values() if txn.taken]
        txn = charges[number % len(charges)]
        charge = Charge.objects.get(key=txn.id)
        here, there = self.model.refunded(txn, {"succeeded"}), charge.amount_refunded
        left = min(txn.taken - here, charge.amount_captured - there)
        if left > 0:
            amount, key = min(share(part, left) or left, left), f"dashboard-{len(self.model.elsewhere)}"
            fault, settings.SANDBOX_FAULT = settings.SANDBOX_FAULT, ""
            made = sandbox.create_refund(key=key, charge_id=charge.pk, amount=amount)
            settings.SANDBOX_FAULT = fault
            self.model.elsewhere[made["id"]] = model.Elsewhere(txn, amount)

    @precondition(lambda self: self.model.txns)
    @rule(order=st.permutations(range(4)), times=st.sampled_from([1, 1, 2]), again=st.booleans())
    def notices(self, order: list[int], times: int, again: bool) -> None:
        """Some of the provider's notices come in another order, some twice, some long after, under another id."""
        rows = Notice.objects.order_by("-pk") if again else Notice.objects.filter(delivered_at=None).order_by("-pk")
        found = list(rows[: len(order)])
        for number in [it for it in order if it < len(found)] * times:
            notice = found[number]
            ours = notice.key if notice.key.startswith("txn_") else ""
            event_id = f"{notice.pk}-again" if again else notice.pk
            what = {"kind": notice.kind, "type": notice.type, "transaction_id": ours, "payload": notice.payload}
            store_notice(provider="sandbox", event_id=event_id, **what)

    # --- Workers and time -----------------------------------------------------------------------
    @precondition(lambda self: self.model.payments)
    @rule(names=st.lists(st.sampled_from(QUEUES), min_size=1, max_size=9))
    def work(self, names: list[str]) -> None:
        """A few jobs, of whatever queue comes first."""
        for name in names:
            self.one_job(name)

    @precondition(lambda self: self.model.payments)
    @rule(name=st.sampled_from(QUEUES), statement=st.integers(1, 40))
    def work_and_die(self, name: str, statement: int) -> None:
        with self.statements.killing(statement):
            queue.registry[name].handler()

    @precondition(lambda self: self.model.payments and not self.idle)
    @rule()
    def work_all(self) -> None:
        """Everything that is due, every queue in its turn."""
        for _round in range(MOST_ROUNDS):
            if not sum(self.one_job(name) for name in QUEUES):
                self.idle = True
                return
        raise AssertionError("the queues did not empty")

    def one_job(self, name: str) -> int:
        done = queue.registry[name].handler()
        self.look()
        return done

    @precondition(lambda self: self.model.payments)
    @rule(wait=st.sampled_from([2, 61, 400, 7200, 86_400, 200_000, 700_000]))
    def wait(self, wait: int) -> None:
        """Seconds to days: leases run out, payments expire, authorizations lapse, money settles."""
        self.statements.clock.shift(wait)
        self.idle = False

    @precondition(lambda self: self.model.payments and self.steps_since_rest >= STEPS_TO_REST)
    @rule()
    def rest(self) -> None:
        """The provider answers again, and all that is under way comes to its end."""
        settings.SANDBOX_FAULT = ""
        self.steps_since_rest = 0
        self.finish()
        self.statements.clock.shift(max(EXPIRY_RETRY, LONGEST_ROOM_WAIT) + timedelta(seconds=1))
        self.finish()
        self.check_rest()

    def check_rest(self) -> None:
        self.watch.check_rest(self.now)
        strange = self.watch.unexplained()
        assert [fault for fault in verify() if not any(key in str(fault) for key in strange)] == []

    def finish(self) -> None:
        for _round in range(MOST_ROUNDS):
            self.work_all()
            parked = self.ask_again()
            wake = self.wake_up_time()
            if wake is None and not parked:
                return
            if wake is not None and wake > timezone.now():
                self.statements.clock.move_to(wake)
        raise AssertionError("what is under way does not end")

    def ask_again(self) -> int:
        """A person has what is under review asked again."""
        parked = list(Transaction.objects.filter(status__in=IN_FLIGHT, due_at=None))
        for txn in parked:
            ask_again(txn.pk)
        return len(parked)

    def wake_up_time(self) -> datetime | None:
        """When the next thing happens that is under way here or at the provider."""
        due = (rows.filter(due_at__isnull=False).order_by("due_at").values_list("due_at") for rows in self.under_way())
        return min((row[0] for rows in due if (row := rows.first())), default=None)

    def under_way(self) -> Iterator[QuerySet[Any]]:
        """What waits for a payer is not, unless the payer has answered; nor what may wait for an approval."""
        answered = Charge.objects.exclude(status__in=["requires_action", "awaiting_transfer"])
        yield Transaction.objects.exclude(status="requires_action")
        yield Transaction.objects.filter(status="requires_action", pk__in=answered.values("key"))
        yield ProviderNotice.objects.exclude(last_error__contains="leave no room")
        yield from (rows.objects.all() for rows in (Charge, Operation))

    # --- Small things -----------------------------------------------------------------------------
    def post(
        self,
        path: str,
        body: dict[str, Any],
        shop: model.Shop,
        error: str,
        *,
        status: int = 201,
        noun: str = "",
        death: int | None = None,
    ) -> Any:
        """A request with its own key, and its `noun` in the answer, or `error`. Whoever was killed over it is asked
        again: the two together are one request."""
        headers = {"Authorization": f"Bearer {self.keys[shop.id]}"}
        if noun:
            headers["Idempotency-Key"] = f"key-{self.now.timestamp()}"
        path = f"/api/v1/{path}"
        for killed_at in (death, None) if death else (None,):
            with self.statements.killing(killed_at):
                response = self.client.post(path, body, content_type="application/json", headers=headers)
        answer = response.json()
        if error:
            assert (response.status_code >= 400, answer["error"]["code"]) == (True, error), answer
            return None
        assert response.status_code == status, answer
        if noun:
            self.sent.append((path, body, headers, answer[noun]["id"]))
        return answer[noun] if noun else None

    def payment(self, number: int, *statuses: str) -> model.Payment:
        return pick(self.model.payments, number, statuses)

    def one_refund(self, number: int, *statuses: str) -> model.Refund:
        return pick(self.model.refunds, number, statuses)
