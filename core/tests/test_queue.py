import logging
from datetime import timedelta

import pytest
from django.apps import apps
from django.db import DatabaseError
from django.utils import timezone

from core import queue
from core.queue import (
    LATE,
    LEASE,
    RETRY_DELAYS,
    Task,
    claim,
    claim_batch,
    drain,
    late_rows,
    periodic,
    run_due,
    run_task,
)
from tests.deadlocks import deadlock_at

NOW = timezone.now


@pytest.fixture
def job(db):
    """`job(seconds)`: a row that is due that many seconds from now. A notice of a kind that nobody drains."""
    model = apps.get_model("payments", "ProviderNotice")

    def make(seconds: float | None = -1, **fields):
        due_at = None if seconds is None else NOW() + timedelta(seconds=seconds)
        number = str(model.objects.count())
        return model.objects.create(provider="test", kind="dispute", event_id=number, due_at=due_at, **fields)

    return make


@pytest.fixture
def jobs(job):
    return apps.get_model("payments", "ProviderNotice").objects.filter(provider="test")


@pytest.fixture
def task():
    """Registers a task for the length of the test."""
    names = []

    def register(handler, name="test"):
        periodic(name, 1, handler)
        names.append(name)

    yield register
    for name in names:
        queue.registry.pop(name, None)


def finish(row):
    type(row).objects.filter(pk=row.pk).update(due_at=None)


def explode(row):
    raise ValueError("the provider's answer makes no sense")


class TestClaim:
    def test_takes_a_due_row_for_the_length_of_the_lease(self, job, jobs):
        mine = job()
        before = NOW()
        row = claim(jobs)
        assert row == mine
        assert row.attempts == 1
        assert before + LEASE <= row.due_at <= NOW() + LEASE
        assert claim(jobs) is None

    def test_takes_the_oldest_first(self, job, jobs):
        job(-1), job(-3), job(-2)
        assert [claim(jobs).event_id for _n in range(3)] == ["1", "2", "0"]

    def test_leaves_what_is_not_due_or_done(self, job, jobs):
        job(60), job(None)
        assert claim(jobs) is None
        assert set(jobs.values_list("attempts", flat=True)) == {0}

    def test_comes_again_when_the_lease_has_run_out(self, job, jobs, time_machine):
        time_machine.move_to(NOW(), tick=False)
        job()
        assert claim(jobs).attempts == 1
        time_machine.shift(LEASE - timedelta(seconds=1))
        assert claim(jobs) is None
        time_machine.shift(timedelta(seconds=2))
        assert claim(jobs).attempts == 2

    def test_of_many_at_once_counts_no_attempt(self, job, jobs):
        job(), job(), job()
        rows = claim_batch(jobs, 2)
        assert [row.event_id for row in rows] == ["0", "1"]
        assert len({row.due_at for row in rows}) == 1
        assert {row.attempts for row in rows} == set(jobs.values_list("attempts", flat=True)) == {0}
        assert len(claim_batch(jobs, 2)) == 1

    @pytest.mark.django_db(transaction=True)
    def test_that_loses_a_conflict_is_made_again(self, job, jobs):
        job(), job()
        with deadlock_at("UPDATE"):
            rows = claim_batch(jobs, 2)
        assert {row.due_at for row in rows} == set(jobs.values_list("due_at", flat=True)) == {rows[0].due_at}

    def test_of_nothing_takes_no_lock(self, jobs, django_assert_num_queries):
        with django_assert_num_queries(1):
            assert claim(jobs) is None


class TestDrain:
    def test_runs_the_handler_on_every_due_row(self, job, jobs):
        job(), job(), job(60)
        seen = []
        assert drain(jobs, lambda row: (seen.append(row.event_id), finish(row))) == 2
        assert seen == ["0", "1"]

    def test_of_nothing_answers_zero(self, jobs):
        assert drain(jobs, explode) == 0

    def test_a_handler_may_ask_for_later(self, job, jobs):
        row = job()
        later = NOW() + timedelta(hours=1)
        assert drain(jobs, lambda row: jobs.filter(pk=row.pk).update(due_at=later)) == 1
        row.refresh_from_db()
        assert abs(row.due_at - later) < timedelta(seconds=1)

    def test_a_handler_that_raises_is_tried_again_and_logged(self, job, jobs, caplog):
        row = job()
        before = NOW()
        with caplog.at_level(logging.ERROR):
            assert drain(jobs, explode) == 1
        row.refresh_from_db()
        assert before + RETRY_DELAYS[0] <= row.due_at <= NOW() + RETRY_DELAYS[0]
        assert row.last_error == "ValueError: the provider's answer makes no sense"
        assert f"job ProviderNotice {row.pk} failed" in caplog.text

    def test_waits_longer_after_each_crash(self, job, jobs, time_machine):
        time_machine.move_to(NOW(), tick=False)
        row = job()
        waits = []
        for _attempt in range(len(RETRY_DELAYS) + 2):
            drain(jobs, explode)
            row.refresh_from_db()
            waits.append((row.due_at - NOW()).total_seconds())
            jobs.update(due_at=NOW())
        assert waits == [1, 5, 15, 60, 300, 1800, 1800, 1800]

    def test_one_that_raises_does_not_stop_the_others(self, job, jobs):
        job(), job(), job()

        def handle(row):
            if row.event_id == "0":
                raise ValueError
            finish(row)

        assert drain(jobs, handle) == 3
        assert list(jobs.exclude(due_at=None).values_list("event_id", flat=True)) == ["0"]

    def test_a_crash_does_not_undo_what_the_handler_had_decided(self, job, jobs):
        row = job()

        def handle(row):
            finish(row)
            raise ValueError

        drain(jobs, handle)
        row.refresh_from_db()
        assert row.due_at is None

    @pytest.mark.parametrize("text", ["x" * 5000, "\x00", "\ud800", "\U0001f600" * 600, "card \x00\udfff"])
    def test_keeps_what_it_can_of_any_error(self, job, jobs, text, monkeypatch):
        monkeypatch.setattr(queue.logger, "exception", lambda *args: None)  # xdist cannot carry half a pair
        row = job()

        def handle(row):
            raise ValueError(text)

        assert drain(jobs, handle) == 1
        row.refresh_from_db()
        assert row.last_error.startswith("ValueError: ")
        assert len(row.last_error) <= queue.ERROR_LENGTH

    def test_stops_after_a_batch_so_that_other_queues_have_their_turn(self, job, jobs, monkeypatch):
        monkeypatch.setattr(queue, "BATCH", 2)
        job(), job(), job()
        assert drain(jobs, finish) == 2
        assert drain(jobs, finish) == 1


class TestRunDue:
    def test_runs_every_task_until_nothing_is_due(self, job, jobs, task):
        job(), job()
        task(lambda: drain(jobs, finish))
        assert run_due() == 2
        assert run_due() == 0

    def test_gives_up_on_a_queue_that_never_empties(self, db, task):
        task(lambda: 1)
        with pytest.raises(RuntimeError, match="did not empty in 5 rounds"):
            run_due(limit=5)

    def test_does_not_wait_for_what_is_due_later(self, job, jobs, task):
        job(60)
        task(lambda: drain(jobs, finish))
        assert run_due() == 0


class TestRunTask:
    """The turn of a long-lived process; it closes connections, so nothing here touches the database."""

    @pytest.fixture(autouse=True)
    def _connections_stay(self, monkeypatch):
        monkeypatch.setattr(queue, "close_old_connections", lambda: None)

    def test_answers_how_many_jobs_it_did(self):
        assert run_task(Task("test", 1, lambda: 7)) == 7

    @pytest.mark.parametrize("error", [ValueError("x"), DatabaseError("gone"), AssertionError()])
    def test_survives_an_error_and_logs_it(self, caplog, error):
        def handler():
            raise error

        assert run_task(Task("test", 1, handler)) == 0
        assert "task test failed" in caplog.text


class TestLateRows:
    def test_names_every_queue(self, db):
        of_payments = {"Payment", "Transaction", "ProviderNotice", "Settlement", "Payout", "BankAccount"}
        of_the_sandbox = {"Charge", "Operation", "Transfer"}
        assert late_rows() == dict.fromkeys({"Email", "WebhookDelivery", *of_payments, *of_the_sandbox}, 0)

    def test_counts_what_is_past_due_for_long(self, job):
        job(-LATE.total_seconds() - 1), job(-LATE.total_seconds() + 5), job(60), job(None)
        assert late_rows()["ProviderNotice"] == 1
        assert late_rows(NOW() + timedelta(hours=1))["ProviderNotice"] == 3
