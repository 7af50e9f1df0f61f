"""The parameters of a list: read as strictly as a body, and bounded in what they let the database walk.

A list walks an index in the order of its ids. A filter that this index does not hold is tried row by row, so it
looks at a window of time only.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Any, ClassVar, Generic, TypeVar, cast

from django import forms
from django.db.models import Model, QuerySet
from django.http import QueryDict
from django.utils import timezone
from django_filters import Filter, FilterSet
from drf_spectacular.utils import extend_schema_field, inline_serializer
from rest_framework import serializers

from core.api import MAX_PAGE_SIZE, PAGE_SIZE, ApiField, read_cursor, read_page_size
from core.errors import ApiError, ParameterInvalid, ParameterUnknown, shown_name
from core.fields import OneOfField
from core.ids import EPOCH, ULID_PATTERN, first_id, is_id
from core.indexes import list_index, shared_columns

WINDOW = timedelta(days=90)  # that a filter without an index looks back, unless it says from when
MAX_WINDOW = timedelta(days=366)
CLOCK_SLACK = timedelta(seconds=1)  # between a row's id and its created_at, which are two looks at the clock
LATEST = datetime(9999, 1, 1, tzinfo=UTC)
# ISO 8601. The clocks of the world are no further than 14 hours from UTC.
INSTANT = r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-](0\d|1[0-4]):[0-5]\d))?"

Row = TypeVar("Row", bound=Model)


# --- How parameters are read ------------------------------------------------------------------
class ParameterField(forms.Field):
    """Reads a parameter as `reader` reads the same value out of a body."""

    def __init__(self, *, reader: serializers.Field, **options: Any) -> None:
        super().__init__(**options)
        self.reader = reader

    def clean(self, value: str) -> Any:
        if not value.strip():
            raise forms.ValidationError("Send a value, or leave the parameter out.", ParameterInvalid.code)
        try:
            return self.reader.run_validation(value)
        except serializers.ValidationError as error:
            details = cast(list[serializers.ErrorDetail], error.detail)
            raise forms.ValidationError([forms.ValidationError(str(it), it.code) for it in details]) from error


@extend_schema_field({"type": "string", "pattern": f"^{INSTANT}$", "examples": ["2026-11-01", "2026-11-01T09:30:00Z"]})
class InstantField(ApiField):
    """A point in time with its offset, or a date, which begins at midnight in UTC. Answers in UTC."""

    def read(self, data: Any) -> datetime:
        try:
            value = datetime.fromisoformat(data if re.fullmatch(INSTANT, data, re.ASCII) else "")
            value = value.replace(tzinfo=UTC) if value.tzinfo is None else value.astimezone(UTC)
        except (ValueError, OverflowError):
            raise ParameterInvalid(
                "Send ISO 8601: a date, or a time with its offset such as 2026-11-01T09:30:00Z (+ is %2B in a URL)."
            ) from None
        return min(max(value, EPOCH), LATEST)


@extend_schema_field(str)
class SeveralField(ApiField):
    """One of a few words, or several, separated by commas. Answers with each of them once."""

    def __init__(self, choices: Any, **options: Any) -> None:
        super().__init__(**options)
        self.word = OneOfField(choices)
        words = "|".join(self.word.choices)
        self.rules = {"pattern": f"^({words})(,({words}))*$"}

    def read(self, data: Any) -> list[str]:
        return sorted({self.word.run_validation(word) for word in data.split(",")})


@extend_schema_field(str)
class RowIdField(ApiField):
    """The id of a row, which has this prefix."""

    def __init__(self, prefix: str, **options: Any) -> None:
        super().__init__(**options)
        self.prefix = prefix
        self.rules = {"pattern": f"^{prefix}_{ULID_PATTERN}$"}

    def read(self, data: Any) -> str:
        if not is_id(data, self.prefix):
            raise ParameterInvalid(f"An id begins with {self.prefix}_ and has 26 characters after it.")
        return data


@extend_schema_field({"type": "integer", "minimum": 1, "maximum": MAX_PAGE_SIZE, "default": PAGE_SIZE})
class PageSizeField(ApiField):
    def read(self, data: Any) -> int:
        return read_page_size(data)


# --- What they do to the rows -----------------------------------------------------------------
class Parameter(Filter):
    """A parameter that keeps the rows whose column compares to its value. `reader`, with the arguments that are
    not named here, makes the field that reads it."""

    field_class = ParameterField

    def __init__(
        self,
        reader: Callable[..., serializers.Field],
        *args: Any,
        column: str | None = None,
        lookup: str = "exact",
        **options: Any,
    ) -> None:
        super().__init__(column, lookup, label="", reader=reader(*args, required=False, **options))


class Option(Parameter):
    """A parameter that leaves no row out."""

    def filter(self, rows: QuerySet[Row], value: Any) -> QuerySet[Row]:
        return rows


class OneOrSeveral(Parameter):
    """One value of the column, which an index may hold, or several."""

    def filter(self, rows: QuerySet[Row], value: list[str]) -> QuerySet[Row]:
        if len(value) == 1:
            return rows.filter(**{self.field_name: value[0]})
        return rows.filter(**{f"{self.field_name}__in": value})


class CreatedAfter(Parameter):
    def filter(self, rows: QuerySet[Row], value: datetime) -> QuerySet[Row]:
        return created_since(rows, value)


class CreatedBefore(Parameter):
    def filter(self, rows: QuerySet[Row], value: datetime) -> QuerySet[Row]:
        return created_until(rows, value)


def created_since(rows: QuerySet[Row], start: datetime) -> QuerySet[Row]:
    """Rows from this moment on. Their ids tell the index where to end."""
    return rows.filter(created_at__gte=start, pk__gte=first_id(_prefix(rows), start - CLOCK_SLACK))


def created_until(rows: QuerySet[Row], end: datetime) -> QuerySet[Row]:
    """Rows before this moment. Their ids tell the index where to begin."""
    return rows.filter(created_at__lt=end, pk__lt=first_id(_prefix(rows), end + CLOCK_SLACK))


def _prefix(rows: QuerySet[Any]) -> str:
    return rows.model._meta.pk.prefix


# --- A list -----------------------------------------------------------------------------------
@dataclass(frozen=True)
class Listing(Generic[Row]):
    """What `paginate` turns into a page, and a sentence on the window when the request did not name one, or ""."""

    rows: QuerySet[Row]
    ascending: bool
    note: str


class ListFilters(FilterSet):
    """The parameters that every list has. A subclass adds the filters of its model."""

    created_after = CreatedAfter(
        InstantField, column="id", help_text="Created then or later: a date, from midnight in UTC, or a time (ISO 8601)"
    )
    created_before = CreatedBefore(
        InstantField, column="id", help_text="Created before then, which is written likewise"
    )
    ordering = Option(OneOfField, ["created", "-created"], help_text="Oldest or newest first; `-created` when absent")
    cursor = Option(serializers.CharField, trim_whitespace=False, help_text="From `next` or `previous` of a page")
    page_size = Option(PageSizeField, help_text="Rows of a page")

    elsewhere: ClassVar[frozenset[str]] = frozenset()  # parameters that the view reads itself
    narrow: ClassVar[frozenset[str]] = frozenset()  # columns of which a value has few rows: no filter needs a window

    def __init__(self, params: QueryDict, rows: QuerySet[Any]) -> None:
        self.known = self.get_filters()
        self.base_filters = {name: known for name, known in self.known.items() if name in params}  # others cost nothing
        super().__init__(params, rows)

    @classmethod
    def described(cls) -> serializers.Serializer:
        """For the `parameters` of extend_schema."""
        fields = {name: parameter.extra["reader"] for name, parameter in cls.get_filters().items()}
        return inline_serializer(cls.__name__, fields)

    def listing(self) -> Listing[Any]:
        """Raises ValidationError with all faults by parameter, or ParameterInvalid for too long a window."""
        if faults := self._faults():
            raise serializers.ValidationError(faults)
        rows, note = self._in_window(self.qs)
        return Listing(rows, self.value("ordering") == "created", note)

    def value(self, name: str) -> Any:
        """What the request says, or None."""
        return self.form.cleaned_data.get(name)

    # --- Faults -------------------------------------------------------------------------------
    def faults(self) -> Iterator[ApiError]:
        """What is wrong with parameters that can be read each for itself."""
        try:
            read_cursor(self.value("cursor"), self.queryset.model._meta.pk)
        except ParameterInvalid as error:
            yield error

    def _faults(self) -> dict[str, list[serializers.ErrorDetail]]:
        found: dict[str, list[serializers.ErrorDetail]] = {}
        for name in self.data:
            if name not in self.known and name not in self.elsewhere:
                found[shown_name(name)] = [_detail(ParameterUnknown())]
            elif len(self.data.getlist(name)) > 1:
                found[name] = [_detail(ParameterInvalid("Send this parameter once."))]
        for name, errors in self.errors.as_data().items():
            found.setdefault(name, [serializers.ErrorDetail(error.message, error.code) for error in errors])
        for error in self.faults():
            found.setdefault(error.param or "", [_detail(error)])
        return found

    # --- The window ---------------------------------------------------------------------------
    def _in_window(self, rows: QuerySet[Row]) -> tuple[QuerySet[Row], str]:
        """The rows, of the window only if the filters walk one, and a sentence on it if the request named none."""
        if not self._walks(rows):
            return rows, ""
        end = min(self.value("created_before") or LATEST, timezone.now())
        start = self.value("created_after")
        if start is None:
            start = datetime.combine(end - WINDOW, time(), UTC)
            noun = str(rows.model._meta.verbose_name_plural).capitalize()
            note = f"{noun} since {start:%Y-%m-%d}; send created_after for older ones."
            return created_since(rows, start), note
        if end - start > MAX_WINDOW:
            raise ParameterInvalid(
                f"With these filters, from created_after to created_before is at most {MAX_WINDOW.days} days.",
                param="created_after",
            )
        return rows, ""

    def _walks(self, rows: QuerySet[Any]) -> bool:
        """Whether a filter has to try row after row, for the index of the list does not hold its column."""
        shared, index = shared_columns(rows), list_index(rows)
        if shared & self.narrow:
            return False
        given = {parameter.field_name for parameter in self.filters.values() if not isinstance(parameter, Option)}
        return not given <= set(index.fields if index else ())


def _detail(error: ApiError) -> serializers.ErrorDetail:
    return serializers.ErrorDetail(error.message, error.code)
