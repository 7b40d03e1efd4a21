"""A statement and a schema make a plan: the SQL, where its values come from, how its rows become the answer."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, cast
from weakref import WeakKeyDictionary

from pydantic import BaseModel
from sqlalchemy import BindParameter, Select, inspect
from sqlalchemy.engine.interfaces import Dialect
from sqlalchemy.exc import ArgumentError, NoInspectionAvailable
from sqlalchemy.orm import LoaderCriteriaOption
from sqlalchemy.orm.strategy_options import _AbstractLoad

from sqlawait.exceptions import ConfigurationError
from sqlawait.shape.expression import Builder, Finish
from sqlawait.shape.schema import NeedsPython, read
from sqlawait.shape.writers import MARK, UNWRITABLE, Writer, writer_of

Amount = Literal["one", "all"]

_TOKEN = re.compile(rb"\x01(\d+):([^\x01]*)\x01")
_CACHED = 500

_UNBOUNDED = {
    # An aggregate of children is cut off in silence at this length; its default is 1 MB, or even 1 kB.
    True: ("SET STATEMENT group_concat_max_len=1073741824 FOR SELECT", "SELECT"),
    False: ("SELECT /*+ SET_VAR(group_concat_max_len=1073741824) */", "SELECT"),
}


class Unwritten(Exception):
    """A value came that the database can neither write nor carry."""


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
        reason: why the schema takes the way through Python; None where the database writes the JSON.
        sql: the text of the one statement.
        locks: whether the statement locks rows.
    """

    reason: str | None
    sql: str
    slots: tuple[Slot, ...]
    finishes: tuple[Finish, ...]
    joined: bool
    locks: bool

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

    def rows(self, texts: Sequence[str | None]) -> list[bytes]:
        """The JSON of each row.

        Raises:
            Unwritten: the other way has to be taken.
            pydantic.ValidationError: the schema refuses a value.
        """
        return [self._finished(text) for text in texts]

    def list(self, texts: Sequence[str | None]) -> bytes:
        """The JSON of all rows as a list; raises as :meth:`rows` does."""
        if self.joined:
            (text,) = texts
            return self._finished(text)
        return b"[" + b",".join(self.rows(texts)) + b"]"

    def _finished(self, text: str | None) -> bytes:
        if text is None:
            raise Unwritten
        body = text.encode()
        if MARK not in body:
            return body
        if UNWRITABLE in body:
            raise Unwritten
        return _TOKEN.sub(lambda token: self.finishes[int(token[1])](token[2]), body)


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

    def find(
        self, statement: Select[Any], schema: type[BaseModel], amount: Amount
    ) -> tuple[Plan, Sequence[BindParameter[Any]]]:
        """The plan for a statement, and the bind parameters that hold its values.

        Raises:
            ConfigurationError: the statement or the schema asks for what cannot be.
        """
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
    entity = entity_of(statement)
    _refuse_unknown_options(statement)
    try:
        builder = Builder(_writer(dialect))
        shaped, joined = _shape(statement, schema, amount, entity, builder)
    except NeedsPython as reason:
        locks = statement._for_update_arg is not None
        return Plan(str(reason), "", (), (), joined=False, locks=locks)
    compiled = shaped.compile(dialect=dialect, compile_kwargs={"render_postcompile": True})
    sql = str(compiled)
    if dialect.name in {"mysql", "mariadb"}:
        unbounded, select = _UNBOUNDED[bool(getattr(dialect, "is_mariadb", False))]
        sql = sql.replace(select, unbounded, 1)
    return Plan(
        reason=None,
        sql=sql,
        slots=tuple(_slots(compiled, binds)),
        finishes=tuple(builder.finishes),
        joined=joined,
        locks=statement._for_update_arg is not None,
    )


def entity_of(statement: Select[Any]) -> Any:
    """The one mapped class, or alias of one, that a statement selects.

    Raises:
        ConfigurationError: it selects something else.
    """
    described: Any = getattr(statement, "column_descriptions", ())
    if len(described) == 1:
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
        raise NeedsPython(f"no JSON is written on {dialect.name}")
    return writer


def _shape(
    statement: Select[Any], schema: type[BaseModel], amount: Amount, entity: Any, builder: Builder
) -> tuple[Select[Any], bool]:
    """The statement that gives the JSON, and whether it gives one text for all rows."""
    if statement._distinct or statement._distinct_on:
        raise NeedsPython("the statement is DISTINCT, which the database would judge by the JSON")
    if statement._group_by_clauses or statement._having_criteria:
        raise NeedsPython("the statement groups its rows")
    if any(isinstance(option, LoaderCriteriaOption) for option in statement._with_options):
        raise NeedsPython("the statement has with_loader_criteria(), which may follow relationships")
    json = builder.row(read(schema), entity)
    shaped = statement.with_only_columns(json.label("json"), maintain_column_froms=True)
    shaped._with_options = ()  # those left only say how to load objects
    gathered = builder.writer.gather(shaped) if amount == "all" and statement._for_update_arg is None else None
    return (shaped, False) if gathered is None else (gathered, True)


def _refuse_unknown_options(statement: Select[Any]) -> None:
    for option in statement._with_options:
        if isinstance(option, LoaderCriteriaOption):
            continue
        if not isinstance(option, _AbstractLoad):
            raise ConfigurationError(
                f"a shaped read cannot honour the option {option!r}; take it off the statement"
            )
        for element in getattr(option, "context", ()):
            if getattr(element, "_extra_criteria", ()) or "eager_from_alias" in element.local_opts:
                raise ConfigurationError(
                    "a shaped read cannot honour contains_eager() or a loader option with and_();"
                    " load objects instead, or give the relationship its own primaryjoin"
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


__all__ = ["Amount", "Plan", "Plans", "Unwritten", "entity_of", "make", "plans_of"]
