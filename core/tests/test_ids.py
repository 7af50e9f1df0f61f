from datetime import timedelta
from itertools import pairwise

import pytest
from django.db import models
from django.utils import timezone
from ulid import ULID

from core.ids import IdField, is_id, made_at, new_id

TAIL = "01m7xt2s0arrqj7g231der0e2g"


class TestNewId:
    def test_is_a_prefix_and_a_lower_case_ulid(self):
        made = new_id("pay")
        assert made.startswith("pay_")
        assert len(made) == 30
        assert made == made.lower()
        assert is_id(made, "pay")

    def test_sorts_by_creation(self):
        now = timezone.now()
        ids = [new_id("pay", at=now + timedelta(milliseconds=n)) for n in range(-500, 500)]
        assert ids == sorted(ids)
        assert new_id("pay", at=now - timedelta(seconds=1)) < new_id("pay") < new_id("pay", at=now + timedelta(days=1))

    def test_tells_when_it_was_made(self):
        now = timezone.now().replace(microsecond=123000)
        assert made_at(new_id("pay", at=now)) == now

    def test_is_new_each_time(self):
        assert len({new_id("pay") for _n in range(10_000)}) == 10_000

    def test_cannot_be_guessed_from_the_one_before(self):
        """A generator that counts up within a millisecond would make one client's id out of another's."""
        now = timezone.now()
        tails = sorted(int(ULID.from_str(new_id("pay", at=now)[4:].upper())) for _n in range(1000))
        nearest = min(abs(one - other) for one, other in pairwise(tails))
        assert nearest > 2**30


class TestCanonicalForm:
    @pytest.mark.parametrize(
        "value",
        [
            f"pay_{TAIL}", "pay_00000000000000000000000000", "pay_7zzzzzzzzzzzzzzzzzzzzzzzzz",
        ],
    )  # fmt: skip
    def test_is_an_id(self, value):
        assert is_id(value, "pay")
        assert is_id(value)

    @pytest.mark.parametrize(
        "value",
        [
            "",
            "pay_",
            TAIL,
            f"pay_{TAIL.upper()}",
            f"PAY_{TAIL}",
            f"pay_{TAIL}\n",
            f" pay_{TAIL}",
            f"pay_{TAIL}x",
            f"pay_{TAIL[:-1]}",
            f"pay-{TAIL}",
            f"pay__{TAIL}",
            f"pay_{TAIL[:-1]}i",
            f"pay_{TAIL[:-1]}l",
            f"pay_{TAIL[:-1]}o",
            f"pay_{TAIL[:-1]}u",
            f"pay_8{TAIL[1:]}",  # more than 128 bits
            f"pay_{TAIL[:-1]}\uff10",
            f"pay_{TAIL[:-1]}\u0660",
            f"pay_{TAIL[:-1]}\x00",
            f"cus_{TAIL}",
            None,
            True,
            5,
            [f"pay_{TAIL}"],
            b"pay_" + TAIL.encode(),
        ],
    )
    def test_is_not_any_other(self, value):
        assert not is_id(value, "pay")


class TestIdField:
    def test_is_the_key_and_cannot_be_anything_else(self):
        field = IdField("pay")
        assert field.primary_key
        assert not field.editable
        assert field.max_length == 32
        assert is_id(field.get_default(), "pay")
        assert field.get_default() != field.get_default()

    def test_goes_into_a_migration_and_back(self):
        _name, path, args, options = IdField("pay").deconstruct()
        assert (path, args, options) == ("core.ids.IdField", ["pay"], {})
        assert isinstance(IdField(*args, **options), models.CharField)


class TestPathConverter:
    @pytest.mark.parametrize(
        "tail",
        [
            "x", "pay_", f"pay_{TAIL.upper()}", f"pay_{TAIL}0", f"pay_{TAIL}%0a", f"pay_{TAIL}%00", "%00", "%ff",
            "..", "*", f"PAY_{TAIL}", f"pay_{TAIL[:-1]}u", "pay_" + "0" * 3000, "\u0664", "pay_%F0%9F%98%80", "1",
            "-1", "null",
        ],
    )  # fmt: skip
    def test_makes_a_404_before_any_query(self, tail, api, django_assert_num_queries, db):
        with django_assert_num_queries(0):
            response = api.get(f"/api/v1/payments/{tail}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"

    @pytest.mark.parametrize("prefix", ["pay", "cus", "mer", "txn"])
    def test_lets_an_id_through_that_is_nobodys(self, prefix, api, db):
        response = api.get(f"/api/v1/payments/{prefix}_{TAIL}")
        assert response.status_code == 404
        assert response.json()["error"]["code"] == "not_found"
