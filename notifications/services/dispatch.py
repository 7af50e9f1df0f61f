"""The dispatcher: claims what is due, sends it concurrently, and takes what became of it into the books.

One turn is one event loop in one thread. The loop stands still while the database is asked, and no transaction is
open while it runs. An endpoint has a few places and no more; those that are failing or slow share a lane apart, and
what is slow to answer moves there while it is waited for. A worker killed at any moment leaves rows that are due again
when their lease runs out.
"""

import asyncio
import logging
import random
import threading
import time
from collections import Counter
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass, field

from django.db import Error as DatabaseError
from django.db import close_old_connections
from django.db.models import Exists, OuterRef, QuerySet, Subquery
from django.utils import timezone

from core.encryption import DecryptionError
from core.http import Answer, CallFailed, Client
from core.queue import LEASE, claim_batch, stopping
from core.transactions import with_retries
from notifications.models import SLOW_SECONDS, Event, WebhookDelivery, WebhookEndpoint
from notifications.services.deliveries import Message, compose
from notifications.services.endpoints import drop
from notifications.services.outcomes import Outcome, record

logger = logging.getLogger(__name__)

CLAIM_SECONDS = 20.0  # for which a turn takes new rows; the next one does while it waits for its last answers
TICK_SECONDS = 0.2  # how often new rows are looked for while everything waits
PAUSE_SECONDS = 1.0  # before what the database did not take is recorded again
LINGER_SECONDS = 0.01  # after an answer, for others to be recorded with it
HEAD = 256  # due rows that are looked at, the oldest

UNREADABLE_SECRET, OUR_FAULT = "unreadable_secret", "internal_error"


@dataclass(frozen=True)
class Lane:
    """How many deliveries are in flight at once, in all and to each endpoint."""

    places: int
    each: int


LANES = {False: Lane(places=128, each=8), True: Lane(places=64, each=1)}  # by whether the endpoint is troubled


@dataclass(frozen=True)
class Flight:
    """A delivery under way: its endpoint as it was when the delivery was claimed, since when by time.monotonic()."""

    endpoint: WebhookEndpoint
    since: float = field(default_factory=time.monotonic)

    @property
    def is_slow(self) -> bool:
        return time.monotonic() - self.since > SLOW_SECONDS

    @property
    def is_troubled(self) -> bool:
        """Which lane its place is in: a place of the healthy is free again after SLOW_SECONDS at the latest."""
        return self.endpoint.is_troubled or self.is_slow

    @property
    def is_lost(self) -> bool:
        """Its lease has run out: somebody else sends it again, whatever came back."""
        return time.monotonic() - self.since > LEASE.total_seconds()


_claiming = threading.Lock()  # in one process one turn claims at a time
_turns: set["Turn"] = set()  # of this process: what one waits for holds its places for the other, too


def send_due() -> int:
    """One turn: sends until nothing is due and all is answered, and answers how many attempts were made. After
    CLAIM_SECONDS it claims no more, and leaves that to the next turn."""
    if _claiming.locked() or not WebhookDelivery.objects.filter(due_at__lte=timezone.now()).exists():
        return 0
    with asyncio.Runner() as runner:
        turn = Turn(runner, Client())
        _turns.add(turn)
        try:
            if _claiming.acquire(blocking=False):
                try:
                    turn.send_while_due()
                finally:
                    _claiming.release()
        finally:  # whatever has failed: what was sent is answered, and is not to be sent again
            try:
                turn.finish()
            finally:
                _turns.discard(turn)
                turn.client.close()
    return turn.attempts


def _in_flight() -> list["Flight"]:
    """What all turns of this process wait for, as it is at this moment: another thread changes its own meanwhile."""
    return [flight for turn in _turns.copy() for flight in turn.in_flight.copy().values()]


class Turn:
    """The deliveries in flight, and what becomes of them."""

    def __init__(self, runner: asyncio.Runner, client: Client) -> None:
        self.runner = runner
        self.client = client
        self.in_flight: dict[asyncio.Task[Outcome], Flight] = {}
        self.attempts = 0

    def send_while_due(self) -> None:
        end = time.monotonic() + CLAIM_SECONDS
        while time.monotonic() < end and not stopping.is_set():
            self._start()
            if not self.in_flight:
                return
            self._settle()

    def finish(self) -> None:
        while self.in_flight:
            self._settle()

    def _start(self) -> None:
        """Claims deliveries for the places that are free, and sends them as soon as the loop runs."""
        ids = choose(_in_flight())
        claimed = claim_batch(WebhookDelivery.objects.filter(pk__in=ids), len(ids)) if ids else []
        events = Event.objects.in_bulk([delivery.event_id for delivery in claimed])
        endpoints = _load_endpoints({delivery.endpoint_id for delivery in claimed})
        stopped = [delivery.pk for delivery in claimed if not endpoints[delivery.endpoint_id].is_enabled]
        if stopped:
            with_retries(lambda: drop(WebhookDelivery.objects.filter(pk__in=stopped)))
        for delivery in claimed:
            endpoint = endpoints[delivery.endpoint_id]
            if endpoint.is_enabled:
                attempt = self._send(delivery, endpoint, _compose(events[delivery.event_id], endpoint))
                self.in_flight[self.runner.get_loop().create_task(attempt)] = Flight(endpoint)

    def _settle(self) -> None:
        """Lets the loop run until something is answered, for a tick at most, and records it. What the database does not
        take is recorded later, until its lease is over."""
        done = self.runner.run(_finished(self.in_flight))
        try:
            if done:
                record([task.result() for task in done])
        except DatabaseError:
            logger.exception("answers to %d deliveries were not recorded", len(done))
            close_old_connections()  # a broken one is replaced
            self.runner.run(asyncio.sleep(PAUSE_SECONDS))
            done = {task for task in done if self.in_flight[task].is_lost}
        for task in done:
            del self.in_flight[task]
        self.attempts += len(done)

    async def _send(self, delivery: WebhookDelivery, endpoint: WebhookEndpoint, message: Message | None) -> Outcome:
        """One attempt. Whatever goes wrong costs this delivery an attempt, and no other anything."""
        started, result = time.perf_counter(), Answer()
        error = ""
        try:
            if message is None:
                raise CallFailed(UNREADABLE_SECRET)
            result = await self.client.post(
                message.url, headers=message.headers, body=message.body, owner=endpoint.merchant_id
            )
        except CallFailed as failure:
            error = failure.reason
        except Exception:
            logger.exception("delivery %s failed", delivery.pk)
            error = OUR_FAULT
        milliseconds = round((time.perf_counter() - started) * 1000)
        return Outcome(delivery, endpoint, timezone.now(), milliseconds, result, error)


async def _finished(tasks: Iterable[asyncio.Task[Outcome]]) -> set[asyncio.Task[Outcome]]:
    done, waiting = await asyncio.wait(tasks, timeout=TICK_SECONDS, return_when=asyncio.FIRST_COMPLETED)
    if done and waiting:
        more, _waiting = await asyncio.wait(waiting, timeout=LINGER_SECONDS)
        done |= more
    return done


def _compose(event: Event, endpoint: WebhookEndpoint) -> Message | None:
    """None when ENCRYPTION_KEYS no longer open the endpoint's secret: unsigned, nothing is sent."""
    try:
        return compose(event, endpoint, timezone.now())
    except DecryptionError:
        return None


def _load_endpoints(ids: Iterable[str]) -> dict[str, WebhookEndpoint]:
    try:
        return WebhookEndpoint.objects.in_bulk(list(ids))
    except DecryptionError:  # one of them: each secret is read by itself, where it fails by itself
        return WebhookEndpoint.objects.sealed().in_bulk(list(ids))


# --- Who has a place --------------------------------------------------------------------------
def choose(in_flight: Collection[Flight]) -> list[str]:
    """Ids of due deliveries, as many as there are places for: the oldest of each endpoint, and to each its share."""
    busy = Counter(flight.endpoint.pk for flight in in_flight)
    slow = {flight.endpoint.pk for flight in in_flight if flight.is_slow}
    head = _head()
    chosen: list[str] = []
    for is_troubled, lane in LANES.items():
        room = lane.places - sum(flight.is_troubled is is_troubled for flight in in_flight)
        if head and room > 0:
            full = slow.union(pk for pk, count in busy.items() if count >= lane.each)
            endpoints = WebhookEndpoint.objects.in_trouble(is_troubled).exclude(pk__in=full)
            waiting = _waiting(endpoints, head, lane, room)
            chosen += _share_out(room, [(ids, lane.each - busy[pk]) for pk, ids in waiting.items()])
    return chosen


def _share_out(room: int, waiting: Sequence[tuple[list[str], int]]) -> list[str]:
    """As many ids as there is room for, given those of each endpoint and how many it may have: to each its share."""
    chosen: list[str] = []
    for asked, (ids, most) in enumerate(waiting):
        share = max((room - len(chosen)) // (len(waiting) - asked), 1)
        chosen += ids[: min(share, most, room - len(chosen))]
    return chosen


def _due() -> QuerySet[WebhookDelivery]:
    return WebhookDelivery.objects.filter(due_at__lte=timezone.now()).order_by("due_at")


def _head() -> dict[str, list[str]]:
    """The HEAD oldest ids of due deliveries, by endpoint."""
    head: dict[str, list[str]] = {}
    for endpoint_id, pk in _due().values_list("endpoint", "pk")[:HEAD]:
        head.setdefault(endpoint_id, []).append(pk)
    return head


def _waiting(
    endpoints: QuerySet[WebhookEndpoint], head: dict[str, list[str]], lane: Lane, room: int
) -> dict[str, list[str]]:
    """Which of these endpoints have due deliveries, in any order, each with the ids of its oldest. When there are more
    than HEAD, as many that have none among them as there is room for: ten thousand rows of one hide no other's."""
    waiting = {pk: head[pk] for pk in endpoints.filter(pk__in=head).values_list("pk", flat=True)}
    if sum(map(len, head.values())) == HEAD:
        due = _due().filter(endpoint=OuterRef("pk"))
        hidden = endpoints.exclude(pk__in=head).filter(Exists(due)).order_by("?").values_list("pk", flat=True)[:room]
        if hidden:
            waiting |= _oldest(list(hidden), lane.each)
    return dict(random.sample(list(waiting.items()), len(waiting)))


def _oldest(endpoint_ids: Collection[str], count: int) -> dict[str, list[str]]:
    """The ids of so many due deliveries of each endpoint, all in one query."""
    of_each = _due().filter(endpoint=OuterRef("pk")).values("pk")
    oldest = {f"oldest_{n}": Subquery(of_each[n : n + 1]) for n in range(count)}
    rows = WebhookEndpoint.objects.filter(pk__in=endpoint_ids).annotate(**oldest).values_list("pk", *oldest)
    return {endpoint_id: [pk for pk in ids if pk] for endpoint_id, *ids in rows}
