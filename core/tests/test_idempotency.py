import hashlib
from datetime import UTC, datetime
from decimal import Decimal

import pytest
from django.apps import apps
from django.db import IntegrityError
from django.utils import timezone

from core.idempotency import (
    IdempotencyKeyConflict,
    IdempotencyKeyInvalid,
    IdempotencyKeyReused,
    create_once,
    fingerprint,
    read_key,
)
from core.money import Money

BAD_KEYS = [
    "", " ", "a b", "key ", " key", "\tkey", "key\n", "key\r\nSet-Cookie: a=b", "é", "\xff", "😀", "\x00", "\x7f",
    "a" * 256,
]  # fmt: skip


class TestReadKey:
    def test_is_none_when_none_is_sent(self):
        assert read_key(None, None) is None

    @pytest.mark.parametrize(("header", "body"), [("order-1", None), (None, "order-1"), ("order-1", "order-1")])
    def test_takes_header_or_body(self, header, body):
        assert read_key(header, body) == hashlib.sha256(b"order-1").hexdigest()

    @pytest.mark.parametrize("key", ["a", "~", "!", "a" * 255, '{"a":1}', "0", "'OR'1'='1", "\\", '"'])
    def test_takes_any_visible_ascii(self, key):
        assert len(read_key(key, None)) == 64

    def test_tells_apart_what_mariadb_would_not(self):
        assert len({read_key(key, None) for key in ["key", "KEY", "Key", "key-", "key_"]}) == 5

    @pytest.mark.parametrize("key", BAD_KEYS)
    def test_refuses_any_other(self, key):
        for header, body in [(key, None), (None, key), (key, key)]:
            with pytest.raises(IdempotencyKeyInvalid):
                read_key(header, body)

    @pytest.mark.parametrize(("header", "body"), [("a", "b"), ("a", "A"), ("a", "a "), ("", "a"), ("a", "")])
    def test_refuses_two_that_differ(self, header, body):
        with pytest.raises(IdempotencyKeyConflict):
            read_key(header, body)


class TestFingerprint:
    def test_does_not_depend_on_the_order_of_fields(self):
        assert fingerprint({"a": 1, "b": {"c": 2, "d": 3}}) == fingerprint({"b": {"d": 3, "c": 2}, "a": 1})

    @pytest.mark.parametrize(
        "other",
        [{"a": 2}, {"a": "1"}, {"a": 1.0}, {"a": None}, {"a": True}, {"b": 1}, {}, {"a": 1, "b": None}, {"a": [1]}],
    )
    def test_depends_on_every_value(self, other):
        assert fingerprint({"a": 1}) != fingerprint(other)

    def test_takes_what_validated_data_holds(self):
        now = datetime(2030, 1, 1, tzinfo=UTC)
        assert len(fingerprint({"money": Money(1, "USD"), "at": now, "rate": Decimal("1.5"), "text": "é😀"})) == 64


class LooksTooEarly:
    """Rows whose first lookup comes before the winner's commit."""

    def __init__(self, rows):
        self.rows, self.early = rows, True

    def filter(self, **lookup):
        early, self.early = self.early, False
        return self.rows.none() if early else self.rows.filter(**lookup)


class TestCreateOnce:
    """With Payment, the first row of its kind."""

    @pytest.fixture
    def rows(self, shop):
        return shop.payments.all()

    @pytest.fixture
    def make(self, shop):
        calls = []

        def create(key, body="body"):
            calls.append(key)
            return apps.get_model("payments", "Payment").objects.create(
                merchant=shop,
                customer=shop.customers.get_or_create(email="john@example.com", defaults={"name": "John Doe"})[0],
                amount=1,
                currency="USD",
                provider="sandbox",
                expires_at=timezone.now(),
                idempotency_key=key,
                fingerprint=body,
            )

        create.calls = calls
        return create

    def test_creates_the_first_and_finds_it_again(self, rows, make):
        first, replayed = create_once(rows, "key", "body", lambda: make("key"))
        assert not replayed
        again, replayed = create_once(rows, "key", "body", lambda: make("key"))
        assert replayed
        assert again == first
        assert make.calls == ["key"]

    def test_creates_each_time_without_a_key(self, rows, make):
        one, _replayed = create_once(rows, None, "body", lambda: make(None))
        other, replayed = create_once(rows, None, "body", lambda: make(None))
        assert one != other
        assert not replayed

    def test_refuses_the_key_with_another_body(self, rows, make):
        create_once(rows, "key", "body", lambda: make("key"))
        with pytest.raises(IdempotencyKeyReused):
            create_once(rows, "key", "other", lambda: make("key", "other"))
        assert make.calls == ["key"]

    def test_that_loses_the_race_answers_with_the_winners_row(self, rows, make):
        winner = make("key")
        row, replayed = create_once(LooksTooEarly(rows), "key", "body", lambda: make("key"))
        assert replayed
        assert row == winner
        assert rows.get() == winner

    def test_that_loses_the_race_with_another_body_is_refused(self, rows, make):
        make("key", "other")
        with pytest.raises(IdempotencyKeyReused):
            create_once(LooksTooEarly(rows), "key", "body", lambda: make("key"))
        assert rows.count() == 1

    def test_passes_on_an_error_that_is_not_about_the_key(self, rows):
        def create():
            raise IntegrityError("amount")

        for key in ("key", None):
            with pytest.raises(IntegrityError, match="amount"):
                create_once(rows, key, "body", create)

    def test_that_fails_leaves_the_key_free(self, rows, make):
        def create():
            make("key")
            raise ValueError("later")

        with pytest.raises(ValueError, match="later"):
            create_once(rows, "key", "body", create)
        assert not rows.exists()
        _row, replayed = create_once(rows, "key", "body", lambda: make("key"))
        assert not replayed
