from urllib.parse import parse_qs, urlsplit

import pytest
from django.apps import apps
from django.test import RequestFactory
from rest_framework.request import Request

from core.api import MAX_PAGE_SIZE, PAGE_SIZE, paginate
from core.errors import ParameterInvalid
from core.ids import new_id

PATH = "/api/v1/customers"


@pytest.fixture
def customers(shop):
    """Forty-five of them, in the order of their ids."""
    model = apps.get_model("accounts", "Customer")
    ids = sorted(new_id("cus") for _n in range(45))
    model.objects.bulk_create(
        [model(pk=pk, merchant=shop, email=f"{n}@example.com", name=str(n)) for n, pk in enumerate(ids)]
    )
    return shop.customers.all()


def page(rows, url=PATH, **options):
    return paginate(Request(RequestFactory().get(url)), rows, **options)


def names(of):
    return [int(row.name) for row in of.rows]


def walk(rows, url=PATH, link="next", **options):
    """Every page from `url` on."""
    while url:
        one = page(rows, url, **options)
        yield one
        url = getattr(one, link)


class TestForward:
    def test_starts_with_the_newest(self, customers):
        first = page(customers)
        assert names(first) == list(range(44, 44 - PAGE_SIZE, -1))
        assert first.previous is None

    def test_visits_every_row_once(self, customers):
        pages = list(walk(customers))
        assert [len(one.rows) for one in pages] == [20, 20, 5]
        assert [name for one in pages for name in names(one)] == list(range(44, -1, -1))
        assert pages[-1].next is None

    def test_oldest_first_when_asked(self, customers):
        pages = list(walk(customers, ascending=True))
        assert [name for one in pages for name in names(one)] == list(range(45))

    def test_a_full_last_page_has_no_next(self, customers):
        pages = list(walk(customers, f"{PATH}?page_size=15"))
        assert [len(one.rows) for one in pages] == [15, 15, 15]

    def test_does_not_move_when_rows_arrive(self, customers, shop):
        first = page(customers)
        shop.customers.create(email="new@example.com", name="99")
        assert names(page(customers, first.next)) == list(range(24, 4, -1))


class TestBack:
    @pytest.mark.parametrize("ascending", [False, True])
    def test_shows_the_same_pages(self, customers, ascending):
        there = list(walk(customers, ascending=ascending))
        back = list(walk(customers, there[-1].previous, "previous", ascending=ascending))
        assert [names(one) for one in back] == [names(one) for one in reversed(there[:-1])]
        assert back[-1].previous is None

    def test_and_forth_again(self, customers):
        second = page(customers, page(customers).next)
        again = page(customers, page(customers, second.previous).next)
        assert names(again) == names(second)

    def test_from_a_first_row_is_empty(self, customers):
        newest = customers.order_by("-id").first()
        empty = page(customers, f"{PATH}?cursor=before.{newest.pk}")
        assert (empty.rows, empty.next, empty.previous) == ([], None, None)


class TestLinks:
    def test_keep_the_filters_and_are_absolute(self, customers):
        link = page(customers, f"{PATH}?page_size=2&status=completed&search=%C3%A9%26x").next
        parts = urlsplit(link)
        assert (parts.scheme, parts.netloc, parts.path) == ("http", "testserver", PATH)
        query = parse_qs(parts.query)
        assert query.pop("cursor")[0].startswith("after.cus_")
        assert query == {"page_size": ["2"], "status": ["completed"], "search": ["é&x"]}

    def test_of_a_page_that_holds_all_are_none(self, customers):
        only = page(customers, f"{PATH}?page_size=45")
        assert (len(only.rows), only.next, only.previous) == (45, None, None)

    def test_of_no_rows_are_none(self, customers):
        empty = page(customers.none())
        assert (list(empty.rows), empty.next, empty.previous) == ([], None, None)


class TestPageSize:
    @pytest.mark.parametrize(("size", "rows"), [("1", 1), ("007", 7), ("45", 45), (str(MAX_PAGE_SIZE), 45)])
    def test_is_kept(self, customers, size, rows):
        assert len(page(customers, f"{PATH}?page_size={size}").rows) == rows

    @pytest.mark.parametrize(
        "size",
        [
            "0", "-1", "101", "1000000000", "9" * 5000, "1.5", "1e2", "", "+", "all", "null", "%D9%A5", "%EF%BC%95",
            "5%00", "%205", "5%20", "0x5", "5;", "5'--", "True", "%C2%B2", "%ff",
        ],
    )  # fmt: skip
    def test_is_refused(self, customers, size):
        with pytest.raises(ParameterInvalid) as caught:
            page(customers, f"{PATH}?page_size={size}")
        assert caught.value.param == "page_size"


class TestCursor:
    @pytest.mark.parametrize(
        "cursor",
        [
            "", "x", "after", "after.", "before.", ".", "after.1", "after.cus_", "around.{id}", "AFTER.{id}",
            "after.{ID}", "{id}", "after.{id}.", "after.{id}%00", "after.{id}'--", "after..{id}", "after.pay_{tail}",
            "after.%F0%9F%98%80", "after.{id}{id}", "%ff", "after.cus_%D9%A5", "after.{id}%0A",
        ],
    )  # fmt: skip
    def test_that_is_forged_is_refused(self, customers, cursor, django_assert_num_queries):
        known = customers.first().pk
        cursor = cursor.format(id=known, ID=known.upper(), tail=known[4:])
        with django_assert_num_queries(0), pytest.raises(ParameterInvalid) as caught:
            page(customers, f"{PATH}?cursor={cursor}")
        assert caught.value.param == "cursor"

    def test_of_a_row_that_is_gone_still_works(self, customers):
        assert len(page(customers, f"{PATH}?cursor=after.cus_{'7' + 'z' * 25}").rows) == PAGE_SIZE


class TestQueries:
    @pytest.mark.parametrize("query", ["", "?page_size=100", "?page_size=1"])
    def test_are_one_however_many_rows(self, customers, query, django_assert_num_queries):
        with django_assert_num_queries(1):
            one = page(customers, PATH + query)
        if one.next:
            with django_assert_num_queries(1):
                page(customers, one.next)
