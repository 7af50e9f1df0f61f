"""Which index a list walks, said to the databases that would choose another.

A list shows what one owner has in the order of ids, so its index starts with the columns that all its rows share
and ends with the id. MariaDB and MySQL look up the shared columns only and walk every newer row to the cursor, so
a page is the slower the deeper it lies; told the index, they start at the cursor.
"""

from collections.abc import Iterator
from typing import Any, TypeVar

from django.db.models import Index, Model, QuerySet
from django.db.models.expressions import Col
from django.db.models.lookups import Exact
from django.db.models.sql.datastructures import BaseTable
from django.db.models.sql.where import AND, WhereNode

Row = TypeVar("Row", bound=Model)


class IndexedTable(BaseTable):
    """A table of a FROM clause with the one index that MariaDB and MySQL may read it by."""

    def __init__(self, table_name: str, alias: str | None, index: str) -> None:
        super().__init__(table_name, alias)
        self.index = index

    def as_sql(self, compiler: Any, connection: Any) -> tuple[str, tuple[str | int, ...]]:
        sql, params = super().as_sql(compiler, connection)
        if connection.vendor == "mysql":
            sql = f"{sql} FORCE INDEX ({connection.ops.quote_name(self.index)})"
        return sql, params

    def relabeled_clone(self, change_map: dict[str | None, str]) -> "IndexedTable":
        alias = change_map.get(self.table_alias, self.table_alias)
        return IndexedTable(self.table_name, alias, self.index)


def force_index(rows: QuerySet[Row], index: str) -> QuerySet[Row]:
    """The same rows, read by this index on MariaDB and MySQL; other databases choose for themselves."""
    rows = rows.all()
    alias = rows.query.get_initial_alias()
    rows.query.alias_map[alias] = IndexedTable(rows.model._meta.db_table, alias, index)
    return rows


def along_index(rows: QuerySet[Row]) -> QuerySet[Row]:
    """The same rows, read by the index that serves them as a list, if there is one."""
    index = list_index(rows)
    return force_index(rows, index.name) if index else rows


def list_index(rows: QuerySet[Any]) -> Index | None:
    """The first of the model's indexes that holds these rows side by side in the order of their ids. None where
    another index may find fewer rows: that of a unique column, or of one that this index does not hold."""
    shared, meta = shared_columns(rows), rows.model._meta
    if any(shared.issuperset(constraint.fields) for constraint in meta.total_unique_constraints):
        return None
    for index in meta.indexes:
        *columns, last = index.fields
        if last == meta.pk.name and shared.issuperset(columns):
            others = [field for field in meta.local_fields if field.name in shared.difference(columns)]
            return None if any(field.unique or field.db_index for field in others) else index
    return None


def shared_columns(rows: QuerySet[Any]) -> set[str]:
    """The names of the columns in which all these rows are the same, by the conditions of the query itself."""
    table = rows.query.get_initial_alias()
    return {column.target.name for column in _compared(rows.query.where) if column.alias == table}


def _compared(where: WhereNode) -> Iterator[Col]:
    """The columns that must equal a value."""
    if where.connector != AND or where.negated:
        return
    for condition in where.children:
        if isinstance(condition, WhereNode):
            yield from _compared(condition)
        elif isinstance(condition, Exact) and isinstance(condition.lhs, Col):
            yield condition.lhs
