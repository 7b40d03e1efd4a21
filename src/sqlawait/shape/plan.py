"""A statement and a schema make a plan: the SQL, where its values come from, how its rows become the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

from pydantic import BaseModel, ValidationError
from sqlalchemy import BindParameter, Select, inspect, literal_column
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import ArgumentError, NoInspectionAvailable
from sqlalchemy.orm import LoaderCriteriaOption
from sqlalchemy.orm.strategy_options import _AbstractLoad

from sqlawait.exceptions import ConfigurationError
from sqlawait.shape.columns import ColumnsBuilder, Level, Unwritten
from sqlawait.shape.expression import Builder, Finish
from sqlawait.shape.kinds import Processor, Stored
from sqlawait.shape.schema import NeedsObjects, NeedsPython, Node, read
from sqlawait.shape.writers import MARK, UNWRITABLE, Writer, writer_of

Amount = Literal["one", "all", "page", "rows", "placed rows"]
"""What is wanted: the JSON of one row, of all as one list, of each with the values that say where it stands;
or the values of which Pydantic makes instances, without or with the latter."""

Way = Literal["json", "columns", "objects"]
"""Who makes the answer: the database; Pydantic of one statement's columns; Pydantic of objects."""

_TOKEN = re.compile(rb"\x01(\d+):([^\x01]*)\x01")
_CACHED = 500
_NOTHING = Level((), ())

_UNBOUNDED = {
    # An aggregate of children is cut off in silence at this length; its default is 1 MB, or even 1 kB.
    True: ("SET STATEMENT group_concat_max_len=1073741824 FOR SELECT", "SELECT"),
    False: ("SELECT /*+ SET_VAR(group_concat_max_len=1073741824) */", "SELECT"),
}


@dataclass(frozen=True, eq=False, slots=True)
class Slot:
    """Where one of the statement's values comes from.

    Attributes:
        index: which of the bind parameters of the statement that is asked, None: the value is the plan's own.
        element: which element of it, where it is a list for IN.
        bind: the bind parameter.
        processor: makes the driver's value of it, or None.
    """

    index: int | None
    element: int | None
    bind: BindParameter[Any]
    processor: Callable[[Any], Any] | None


@dataclass(frozen=True, eq=False, slots=True)
class Plan:
    """How a statement and a schema are read.

    Attributes:
        way: who makes the answer.
        reason: why it is not the database; None where it is.
        sql: the text of the one statement; empty where objects are loaded.
        slots: where its values come from.
        finishes: what is left for Python to do to the JSON.
        level: how a row becomes what Pydantic validates, where it does.
        keys: what makes the values behind the row's own, for a page.
        width: how many values are the row's own.
        joined: whether one text holds all rows.
        locks: whether the statement locks rows.
        statement: the statement that was asked, as it was when the plan was made.
    """

    way: Way
    reason: str | None
    sql: str = ""
    slots: tuple[Slot, ...] = ()
    finishes: tuple[Finish, ...] = ()
    level: Level = _NOTHING
    keys: tuple[Processor | None, ...] = ()
    width: int = 1
    joined: bool = False
    locks: bool = False
    statement: Select[Any] | None = None

    def arguments(self, binds: Sequence[BindParameter[Any]], given: Mapping[str, Any]) -> list[Any]:
        """The values for the driver, in the statement's order."""
        values: list[Any] = []
        for slot in self.slots:
            bind = slot.bind if slot.index is None else binds[slot.index]
            if given and bind.key in given:
                value = given[bind.key]
            elif bind.required:
                raise ArgumentError(f"a value is needed for the bind parameter {bind.key!r}; give it in params")
            else:
                value = bind.effective_value
            if slot.element is not None:
                value = cast("Sequence[Any]", value)[slot.element]
            values.append(value if slot.processor is None else slot.processor(value))
        return values

    def texts(self, rows: Sequence[Any]) -> list[bytes]:
        """The JSON of each row.

        Raises:
            Unwritten: another way has to be taken.
        """
        return [self.text(row) for row in rows]

    def list(self, rows: Sequence[Any]) -> bytes:
        """The JSON of all rows as a list; raises as :meth:`texts` does."""
        if self.joined:
            return self.text(rows[0])
        return b"[" + b",".join(self.texts(rows)) + b"]"

    def text(self, row: Any) -> bytes:
        """The JSON of a row; raises as :meth:`texts` does."""
        text: str | None = row[0]
        if text is None:
            raise Unwritten
        body = text.encode()
        if MARK not in body:
            return body
        if UNWRITABLE in body:
            raise Unwritten
        try:
            return _TOKEN.sub(lambda token: self.finishes[int(token[1])](token[2]), body)
        except ValidationError:
            raise Unwritten from None  # the whole schema then says it better than one value's

    def values(self, rows: Sequence[Any]) -> list[dict[str, Any]]:  # type: ignore[valid-type]  # list() is above
        """What Pydantic validates of each row; raises as :meth:`texts` does."""
        return [self.level.values(row) for row in rows]

    def placed(self, row: Any) -> tuple[Any, ...]:
        """A row and the values that say where it stands, as a page wants them."""
        behind = zip(self.keys, row[self.width :], strict=True)
        return row, *(value if read is None else read(value) for read, value in behind)


_Found = tuple[Plan, Sequence[BindParameter[Any]]]


class Plans:
    """The plans of one dialect, the oldest forgotten first.

    The least recently used would be the better choice, but to note the use is to hash the key once more.

    Attributes:
        connected: whether the dialect has seen its server, and so knows what it can do.
    """

    def __init__(self, dialect: Dialect) -> None:
        self.connected = False
        self._dialect = dialect
        self._known: dict[Any, Plan] = {}
        self._seen: WeakKeyDictionary[Select[Any], dict[Any, _Found]] = WeakKeyDictionary()

    def find(self, statement: Select[Any], schema: type[BaseModel], amount: Amount) -> _Found:
        """The plan for a statement, and the bind parameters that hold its values.

        Raises:
            ConfigurationError: the statement or the schema asks for what cannot be.
        """
        # one that is used again, such as a constant of a module, is known by itself: its key need not be hashed
        seen = self._seen.get(statement)
        if seen is not None and (schema, amount) in seen:
            return seen[schema, amount]
        key = statement._generate_cache_key()
        if key is None:
            return make(statement, schema, amount, self._dialect, ()), ()
        binds = key.bindparams
        lengths = tuple(len(bind.effective_value or ()) for bind in binds if bind.expanding)
        known = (key.key, lengths, schema, amount)
        plan = self._known.get(known)
        if plan is None:
            if len(self._known) >= _CACHED:
                del self._known[next(iter(self._known))]
            plan = self._known[known] = make(statement, schema, amount, self._dialect, binds)
        if not lengths:
            self._seen.setdefault(statement, {})[schema, amount] = plan, binds
        return plan, binds


_plans: WeakKeyDictionary[Dialect, Plans] = WeakKeyDictionary()


def plans_of(dialect: Dialect) -> Plans:
    """The plans made so far for a dialect."""
    plans = _plans.get(dialect)
    if plans is None:
        plans = _plans[dialect] = Plans(dialect)
    return plans


def make(
    statement: Select[Any],
    schema: type[BaseModel],
    amount: Amount,
    dialect: Dialect,
    binds: Sequence[BindParameter[Any]],
) -> Plan:
    """Make the plan of a statement and a schema."""
    placed = amount in {"page", "placed rows"}
    entity = entity_of(statement, placed=placed)
    keys = tuple(statement._raw_columns[1:]) if placed else ()
    refuse_options(statement)
    reason: str | None = None
    try:
        writer = _writer(dialect)
        node = read(schema)
        _refuse_grouped(statement)
        if amount not in {"rows", "placed rows"}:
            try:
                return _written(statement, node, amount, _Parts(entity, keys, writer, binds))
            except NeedsObjects:
                raise
            except NeedsPython as needs:
                reason = str(needs)
        return _carried(statement, node, reason, _Parts(entity, keys, writer, binds))
    except NeedsObjects as needs:
        return Plan("objects", str(needs), locks=statement._for_update_arg is not None)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What a plan is made of, besides the statement and the schema."""

    entity: Any
    keys: tuple[Any, ...]
    writer: Writer
    binds: Sequence[BindParameter[Any]]


def _written(statement: Select[Any], node: Node, amount: Amount, parts: _Parts) -> Plan:
    """The plan by which the database writes the JSON."""
    builder = Builder(parts.writer)
    json = builder.row(node, parts.entity)
    shaped = _only(statement, [json.label("json"), *parts.keys])
    gathered = parts.writer.gather(shaped) if amount == "all" and statement._for_update_arg is None else None
    joined = gathered is not None
    plan = _compiled("json", shaped if gathered is None else gathered, parts)
    return replace(
        plan, finishes=tuple(builder.finishes), joined=joined, locks=_locks(statement), statement=statement
    )


def _carried(statement: Select[Any], node: Node, reason: str | None, parts: _Parts) -> Plan:
    """The plan by which the database gives values, and Pydantic makes the rest of them."""
    columns, level = ColumnsBuilder(parts.writer).row(node, parts.entity)
    columns = columns or [literal_column("1")]
    plan = _compiled("columns", _only(statement, [*columns, *parts.keys]), parts)
    return replace(
        plan, reason=reason, level=level, width=len(columns), locks=_locks(statement), statement=statement
    )


def _only(statement: Select[Any], columns: Sequence[Any]) -> Select[Any]:
    narrowed: Any = statement.with_only_columns(*columns, maintain_column_froms=True)
    only: Select[Any] = narrowed  # its own type counts the columns
    only._with_options = ()  # those left only say how to load objects
    return only


def _locks(statement: Select[Any]) -> bool:
    return statement._for_update_arg is not None


def _compiled(way: Way, statement: Select[Any], parts: _Parts) -> Plan:
    dialect = parts.writer.dialect
    compiled = statement.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    sql = str(compiled)
    if dialect.name in {"mysql", "mariadb"}:
        unbounded, select = _UNBOUNDED[bool(getattr(dialect, "is_mariadb", False))]
        sql = sql.replace(select, unbounded, 1)
    keys = tuple(Stored(key.type, dialect).processor for key in parts.keys)
    return Plan(way, None, sql=sql, slots=tuple(_slots(compiled, parts.binds)), keys=keys)


def entity_of(statement: Select[Any], *, placed: bool = False) -> Any:
    """The one mapped class, or alias of one, that a statement selects.

    Parameters:
        statement: a select.
        placed: what says where each row stands follows the class.

    Raises:
        ConfigurationError: it selects something else.
    """
    described: Any = getattr(statement, "column_descriptions", ())
    if len(described) == 1 or (described and placed):
        selected = described[0]["expr"]
        try:
            inspected = inspect(selected)
        except NoInspectionAvailable:
            inspected = None
        if getattr(inspected, "is_mapper", False) or getattr(inspected, "is_aliased_class", False):
            return selected
    raise ConfigurationError("a shaped read needs a select() of one mapped class, such as select(User)")


def _writer(dialect: Dialect) -> Writer:
    writer = writer_of(dialect)
    if writer is None:
        raise NeedsObjects(f"no JSON is written on {dialect.name}")
    return writer


def _refuse_grouped(statement: Select[Any]) -> None:
    if statement._distinct or statement._distinct_on:
        raise NeedsObjects("the statement is DISTINCT, and would be judged by what the schema names")
    if statement._group_by_clauses or statement._having_criteria:
        raise NeedsObjects("the statement groups its rows")
    if any(isinstance(option, LoaderCriteriaOption) for option in statement._with_options):
        raise NeedsObjects("the statement has with_loader_criteria(), which may follow relationships")


def refuse_options(statement: Select[Any]) -> None:
    """Refuse options that would change the answer, and that no plan can follow.

    Raises:
        ConfigurationError: there is such an option.
    """
    for option in statement._with_options:
        if isinstance(option, LoaderCriteriaOption):
            continue
        if not isinstance(option, _AbstractLoad):
            raise ConfigurationError(
                f"a shaped read cannot honour the option {option!r}; take it off the statement"
            )
        for element in getattr(option, "context", ()):
            strategy = dict(element.strategy)
            if (
                getattr(element, "_extra_criteria", ())
                or "eager_from_alias" in element.local_opts
                or strategy.get("lazy") == "noload"
                or "query_expression" in strategy
            ):
                raise ConfigurationError(
                    "a shaped read cannot honour contains_eager(), noload(), with_expression() or a loader"
                    " option with and_(); load objects instead, or give the class a relationship or a"
                    " column_property() for it"
                )


def _slots(compiled: Any, binds: Sequence[BindParameter[Any]]) -> list[Slot]:
    places = {bind.key: index for index, bind in enumerate(binds)}
    slots = []
    for name in compiled.positiontup or ():
        bind = compiled.binds.get(name)
        element = None
        base = name
        if bind is None:  # an element of a list for IN
            base, _, number = name.rpartition("_")
            bind = compiled.binds[base]
            element = int(number) - 1
        slots.append(Slot(places.get(bind.key), element, bind, compiled._bind_processors.get(base)))
    return slots


__all__ = ["Amount", "Plan", "Plans", "Unwritten", "Way", "entity_of", "make", "plans_of"]
