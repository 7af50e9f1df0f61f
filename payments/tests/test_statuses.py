"""The state tables, cell by cell, against a copy written by hand."""

import pytest

from core.state import can_move
from payments.models import HOLDS_ORDER, Payment, Status, Transaction, TransactionStatus

# Rows: from. Columns: to, in the same order. x: may move.
PAYMENT = """
                 pending requires_action processing authorized completed failed cancelled refunded
pending             .           x             x          .         x        x       x        .
requires_action     x           .             x          .         .        x       x        .
processing          x           x             .          x         x        x       x        .
authorized          .           .             .          .         x        .       x        .
completed           .           .             .          .         .        .       .        x
failed              .           .             .          .         x        .       .        x
cancelled           .           .             .          .         .        .       .        x
refunded            .           .             .          .         x        x       x        .
"""
TRANSACTION = """
                 pending processing requires_action succeeded failed cancelled
pending             .         x            .            .        x       x
processing          .         .            x            x        x       x
requires_action     .         x            .            x        x       x
succeeded           .         .            .            .        .       .
failed              .         .            .            x        .       .
cancelled           .         .            .            x        .       .
"""


def cells(table: str) -> list[tuple[str, str, bool]]:
    header, *rows = (line.split() for line in table.strip().splitlines())
    return [(old, new, mark == "x") for old, *marks in rows for new, mark in zip(header, marks, strict=True)]


class TestPayment:
    @pytest.mark.parametrize(("old", "new", "may"), cells(PAYMENT))
    def test_moves_along_the_table_only(self, old, new, may):
        assert can_move(Payment(status=old), new) is may

    def test_has_no_status_beside_the_table(self):
        assert {old for old, _new, _may in cells(PAYMENT)} == set(Status.values)

    def test_holds_its_order_from_the_call_of_the_provider_on(self):
        assert sorted(HOLDS_ORDER) == ["authorized", "completed", "processing", "refunded"]


class TestTransaction:
    @pytest.mark.parametrize(("old", "new", "may"), cells(TRANSACTION))
    def test_moves_along_the_table_only(self, old, new, may):
        assert can_move(Transaction(status=old), new) is may

    def test_has_no_status_beside_the_table(self):
        assert {old for old, _new, _may in cells(TRANSACTION)} == set(TransactionStatus.values)
