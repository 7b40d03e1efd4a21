"""Reads a legacy ``Query`` chain: what it starts from, its steps, how it ends, and what its rows are."""

from __future__ import annotations

import ast
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .facts import Facts

Rows = Literal["entity", "rows", "unknown"]

REFINES = {
    "filter", "where", "filter_by", "join", "outerjoin", "select_from", "options", "order_by", "group_by",
    "having", "distinct", "limit", "offset", "slice", "with_for_update", "execution_options", "params",
    "prefix_with", "suffix_with", "with_hint", "with_statement_hint", "correlate", "correlate_except",
    "add_columns", "add_column", "add_entity", "with_entities", "populate_existing", "autoflush",
    "yield_per", "union", "union_all", "except_", "except_all", "intersect", "intersect_all",
    "from_statement", "tuples", "add_criteria",
}  # fmt: skip
"""Methods of Query that give a Query and that ``select()`` has, as they are or under another name."""
PLAIN = {"filter", "where", "filter_by"}
SETS = {"union", "union_all", "except_", "except_all", "intersect", "intersect_all"}
ENDS = {
    "all", "first", "one", "one_or_none", "scalar", "count", "get", "delete", "update", "exists",
    "subquery", "cte", "scalar_subquery", "as_scalar", "label",
}  # fmt: skip
RUNS = {"all", "first", "one", "one_or_none", "scalar", "count", "get", "delete", "update"}
"""The ends that talk to the database."""
SAME_ROWS = {
    "order_by",
    "limit",
    "offset",
    "slice",
    "with_for_update",
    "execution_options",
    "params",
    "distinct",
}
"""Steps that can neither repeat a row nor make rows of models into something else."""


@dataclass(frozen=True, slots=True)
class Step:
    """One link: ``.filter(…)``, or an attribute, or a subscript."""

    node: ast.Call | ast.Attribute | ast.Subscript
    name: str

    @property
    def call(self) -> ast.Call:
        """The call; only for steps that are calls."""
        assert isinstance(self.node, ast.Call)
        return self.node


@dataclass(frozen=True, slots=True)
class Shape:
    """What a query gives and what may be done with it."""

    rows: Rows = "unknown"
    """``entity``: objects of one model; ``rows``: tuples."""
    distinct: bool = False
    """No row can come twice, so that Query's own de-duplication had nothing to do."""
    simple: bool = False
    """One model, and nothing but conditions on it."""
    aggregate: bool = False
    """One value, always exactly one row."""
    filtered: bool = False
    """At least one condition is certainly there."""
    model: str = ""
    """The source of the one model that is queried."""
    mapped: bool = True
    """Whether a whole model is among what is queried."""
    subject: str = ""
    """The source of the model that ``filter_by`` means, where there are several to choose from."""
    special: str = ""
    """``union`` or ``statement``: the rows come from a statement of another form."""


@dataclass(slots=True)
class Chain:
    """A query expression from its root to its end."""

    root: ast.expr
    """``session.query(…)``, or a name, attribute or call that holds a query."""
    steps: list[Step]
    end: Step | None
    """The step that leaves the world of queries; None for a query that goes on somewhere else."""
    base: Shape
    session: ast.expr | None = None
    """The session, where the chain starts from one."""
    shape: Shape = field(default_factory=Shape)
    """What it gives after all its steps."""

    @property
    def statement(self) -> ast.expr:
        """The expression up to the end, which becomes the ``select``."""
        return self.steps[-1].node if self.steps else self.root

    @property
    def top(self) -> ast.expr:
        """The whole expression."""
        return self.end.node if self.end else self.statement


def read_chain(root: ast.expr, facts: Facts) -> Chain:
    """Follow a query outward from its root, as far as it is one."""
    session = (
        root.func.value
        if facts.is_root(root) and isinstance(root, ast.Call) and isinstance(root.func, ast.Attribute)
        else None
    )
    base = root_shape(root, facts)
    steps: list[Step] = []
    end: Step | None = None
    node: ast.expr = root
    while end is None:
        parent = facts.parent(node)
        if isinstance(parent, ast.Subscript) and parent.value is node:
            end = Step(parent, "[]")
        elif isinstance(parent, ast.Attribute) and parent.value is node:
            call = facts.parent(parent)
            if isinstance(call, ast.Call) and call.func is parent:
                if parent.attr in REFINES:
                    steps.append(Step(call, parent.attr))
                    node = call
                    continue
                end = Step(call, parent.attr)
            else:
                end = Step(parent, parent.attr)
        else:
            break
    chain = Chain(root, steps, end, base, session)
    shape = base
    for step in steps:
        shape = refine(shape, step, facts)
    chain.shape = shape
    return chain


def root_shape(root: ast.expr, facts: Facts, depth: int = 0) -> Shape:
    """What the root of a chain gives; looks through variables and through functions that return a query."""
    if depth > 12:
        return Shape()
    if isinstance(root, ast.Call) and facts.is_root(root):
        return _queried(root.args, facts)
    sources = facts.sources(root)
    shapes = [expression_shape(each, facts, depth + 1) for each in sources]
    if not shapes:
        return Shape()
    first = shapes[0]
    for other in shapes[1:]:
        first = Shape(
            rows=first.rows if first.rows == other.rows else "unknown",
            distinct=first.distinct and other.distinct,
            simple=first.simple and other.simple,
            aggregate=first.aggregate and other.aggregate,
            filtered=first.filtered and other.filtered,
            model=first.model if first.model == other.model else "",
            mapped=first.mapped or other.mapped,
            subject=first.subject if first.subject == other.subject else "",
            special=first.special or other.special,
        )
    return first


def expression_shape(node: ast.expr, facts: Facts, depth: int = 0) -> Shape:
    """What any query-valued expression gives."""
    steps: list[Step] = []
    while isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in REFINES:
        if facts.is_root(node):
            break
        steps.append(Step(node, node.func.attr))
        node = node.func.value
    if isinstance(node, ast.IfExp):
        shape = expression_shape(node.body, facts, depth + 1)
    else:
        shape = root_shape(node, facts, depth)
    for step in reversed(steps):
        shape = refine(shape, step, facts)
    return shape


def _queried(entities: list[ast.expr], facts: Facts) -> Shape:
    if len(entities) == 1 and not isinstance(entities[0], ast.Starred):
        only = entities[0]
        kind = facts.entities.kind(only)
        if kind == "entity":
            return Shape("entity", distinct=not facts.entities.eager(only), simple=True, model=facts.text(only))
        if kind == "column":
            return Shape("rows", distinct=True, aggregate=facts.entities.is_aggregate(only), mapped=False)
        return Shape("unknown", model=facts.text(only))
    kinds = [facts.entities.kind(each) for each in entities]
    mapped = any(kind != "column" for kind in kinds)
    return Shape(
        "rows", distinct=not mapped, mapped=mapped, subject=subject_of(entities[0], facts) if entities else ""
    )


def subject_of(node: ast.expr, facts: Facts) -> str:
    """The model that an entity, a column of one or a join target belongs to, as the file names it."""
    if isinstance(node, ast.Name | ast.Attribute):
        if facts.entities.kind(node) == "entity":
            return facts.text(node)
        related = facts.entities.related_model(node)
        if related:
            return related
        if (
            isinstance(node, ast.Attribute)
            and facts.entities.kind(node.value) == "entity"
            and not facts.entities.is_relationship(node)
        ):
            return facts.text(node.value)
    elif isinstance(node, ast.Call):
        found = {
            subject_of(each, facts) for each in [*node.args, node.func] if isinstance(each, ast.Attribute)
        } - {""}
        return found.pop() if len(found) == 1 else ""
    return ""


def refine(shape: Shape, step: Step, facts: Facts) -> Shape:
    """What a query gives after one more step."""
    name = step.name
    if name in PLAIN:
        some = bool(step.call.args or step.call.keywords) and not any(
            isinstance(a, ast.Starred) for a in step.call.args
        )
        return replace(shape, filtered=shape.filtered or some)
    if name in ("with_entities", "add_columns", "add_column", "add_entity"):
        if name == "with_entities":
            fresh = _queried(step.call.args, facts)
            return replace(fresh, distinct=fresh.distinct and shape.distinct, simple=False, model="")
        return replace(shape, rows="rows", simple=False, aggregate=False, model="")
    if name in SETS:
        once = shape.distinct and name != "union_all"
        return replace(shape, simple=False, aggregate=False, distinct=once, special="union")
    if name == "from_statement":
        return replace(shape, simple=False, aggregate=False, distinct=False, special="statement")
    if name == "options":
        safe = all(facts.entities.is_safe_option(each) for each in step.call.args)
        return replace(shape, simple=False, distinct=shape.distinct and (safe or not shape.mapped))
    if name in SAME_ROWS:
        return replace(shape, simple=False)
    if name in ("populate_existing", "autoflush", "yield_per", "tuples"):
        return replace(shape, simple=False)
    if name == "group_by":
        return replace(shape, simple=False, aggregate=False)
    if name in ("join", "outerjoin"):
        shape = replace(shape, subject=subject_of(step.call.args[0], facts) if step.call.args else "")
    # Joins and the like: a model may come once for each row on the other side, and Query gave it once.
    return replace(shape, simple=False, distinct=shape.distinct and not shape.mapped)


__all__ = [
    "ENDS",
    "PLAIN",
    "REFINES",
    "RUNS",
    "SETS",
    "Chain",
    "Rows",
    "Shape",
    "Step",
    "expression_shape",
    "read_chain",
]
