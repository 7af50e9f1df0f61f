import pytest
from django.db import OperationalError, connection, transaction

from core import transactions
from core.transactions import is_conflict, unit_of_work, with_retries


class DriverError(Exception):
    def __init__(self, sqlstate: str) -> None:
        self.sqlstate = sqlstate


def postgresql(sqlstate: str) -> OperationalError:
    error = OperationalError("deadlock detected")
    error.__cause__ = DriverError(sqlstate)
    return error


DEADLOCKS = [
    OperationalError(1213, "Deadlock found"), OperationalError(1205, "Lock wait timeout"),
    OperationalError(1020, "Record has changed"), postgresql("40001"), postgresql("40P01"), postgresql("55P03"),
]  # fmt: skip
OTHERS = [
    OperationalError("database is locked"), OperationalError(), OperationalError(2006, "gone away"),
    postgresql("57014"),
]  # fmt: skip


@pytest.fixture(autouse=True)
def _no_pause(monkeypatch):
    monkeypatch.setattr(transactions, "LONGEST_PAUSE", 0)


@pytest.fixture
def unit():
    """`unit(error, …)`: a unit of work that raises these in turn, then answers."""

    def make(*errors):
        left = list(errors)

        def run():
            run.calls += 1
            if left:
                raise left.pop(0)
            return "done"

        run.calls = 0
        return run

    return make


class TestIsConflict:
    @pytest.mark.parametrize("error", DEADLOCKS, ids=repr)
    def test_knows_the_three_databases(self, error):
        assert is_conflict(error)

    @pytest.mark.parametrize("error", OTHERS, ids=repr)
    def test_is_no_other_trouble(self, error):
        assert not is_conflict(error)


@pytest.mark.django_db(transaction=True)
class TestWithRetries:
    @pytest.mark.parametrize("error", DEADLOCKS, ids=repr)
    def test_runs_a_unit_again_that_lost_a_conflict(self, unit, error):
        run = unit(error, error)
        assert with_retries(run) == "done"
        assert run.calls == 3

    def test_gives_up_after_the_third_try(self, unit):
        run = unit(*DEADLOCKS)
        with pytest.raises(OperationalError):
            with_retries(run)
        assert run.calls == 3

    @pytest.mark.parametrize("error", [*OTHERS, ValueError("x")], ids=repr)
    def test_does_not_repeat_what_will_not_help(self, unit, error):
        run = unit(error)
        with pytest.raises(type(error)):
            with_retries(run)
        assert run.calls == 1

    def test_does_not_repeat_a_part_of_a_larger_transaction(self, unit):
        run = unit(DEADLOCKS[0])
        with pytest.raises(OperationalError), transaction.atomic():
            with_retries(run)
        assert run.calls == 1
        assert not connection.in_atomic_block


@pytest.mark.django_db(transaction=True)
class TestUnitOfWork:
    def test_is_one_transaction(self):
        @unit_of_work
        def open_one(*, key):
            """Says where it runs."""
            return key, connection.in_atomic_block

        assert open_one(key="a") == ("a", True)
        assert not connection.in_atomic_block
        assert open_one.__doc__ == "Says where it runs."

    def test_runs_again_as_a_whole(self, unit):
        run = unit(*DEADLOCKS[:2])
        assert unit_of_work(run)() == "done"
        assert run.calls == 3

    def test_inside_another_leaves_that_to_the_outermost(self, unit):
        run = unit(DEADLOCKS[0])
        outer = unit_of_work(unit_of_work(run))
        assert outer() == "done"
        assert run.calls == 2
