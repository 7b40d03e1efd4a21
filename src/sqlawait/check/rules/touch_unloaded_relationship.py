"""SAW301: a relationship read in async code that no option loaded."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Class
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding
from sqlawait.check.loading import remedy, touched, unloaded, with_option
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import in_greenlet

RULE = Rule(
    code="SAW301",
    name="touch-unloaded-relationship",
    summary="A relationship is read on a row of an `AsyncSession`, and nothing loaded it.",
    why=(
        "Reading it sends a statement at that moment, outside any `await`, and raises MissingGreenlet. It"
        " works in a"
        " test whose rows happen to be loaded, and fails in production."
    ),
    remedy=(
        "Load it with the statement (`selectinload` for collections, `joinedload` for single rows), or await"
        ' `session.refresh(row, ["name"])`, or declare it `lazy="selectin"`.'
    ),
    wrong=(
        Example(
            code="""\
@router.get("/users/{user_id}/titles")
async def read_titles(user_id: int, session: SessionDep):
    user = await session.scalar(select(User).where(User.id == user_id))
    return [post.title for post in user.posts]  # SAW301
""",
            fixed="""\
@router.get("/users/{user_id}/titles")
async def read_titles(user_id: int, session: SessionDep):
    user = await session.scalar(select(User).options(selectinload(User.posts)).where(User.id == user_id))
    return [post.title for post in user.posts]  # SAW301
""",
        ),
    ),
    right=(
        Example("""\
@router.get("/users/{user_id}/titles")
async def read_titles(user_id: int, session: SessionDep):
    user = await session.get(User, user_id, options=[selectinload(User.posts)])
    return [post.title for post in user.posts]
"""),
        Example("""\
@router.get("/users/{user_id}/titles")
async def read_titles(user_id: int, session: SessionDep):
    user = await session.get(User, user_id)
    await session.refresh(user, ["posts"])
    return [post.title for post in user.posts]
"""),
    ),
    fix="unsafe",
    limits=(
        "Rows whose statement cannot be found, and options that cannot be read, are not judged. A row that"
        " another"
        " statement of the session has loaded is not recognised."
    ),
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Reads of relationships on rows that came without them, the first on each row."""
    seen: set[tuple[object, ...]] = set()
    models = analysis.models.all()
    names = {name for model in models for name in (*analysis.models.relationships(model), *model.methods)}
    for name in sorted(names):
        for node in analysis.project.collected.attribute_reads.get(name, ()):
            for relationship in _names(analysis, node, name):
                found = unloaded(analysis, node.value, relationship)
                function = analysis.project.function_of(node)
                if found is None or in_greenlet(analysis, function) or _asks(analysis, node):
                    continue
                origin = found.row.origin
                key = (
                    function,
                    ast.unparse(node.value),
                    relationship,
                    origin.statement if origin else None,
                    name,
                )
                if key in seen:
                    continue
                seen.add(key)
                label = found.relationship.label
                through = f", which `{name}` reads," if relationship != name else ""
                message = f"relationship {label}{through} was not loaded: MissingGreenlet; {remedy(found)}"
                module = analysis.project.module_of(node)
                yield RULE.at(module, node, message, fix=with_option(analysis, found, node))


def _names(analysis: Analysis, node: ast.Attribute, name: str) -> set[str]:
    """The relationships that reading an attribute reads: itself, or those of a property or method."""
    found: set[str] = set()
    for row in members(analysis.types.type_of(node.value)):
        if row.kind == "instance" and isinstance(row.decl, Class) and analysis.models.is_model(row.decl):
            if analysis.models.relationship(row.decl, name) is not None:
                found.add(name)
            elif row.origin is not None:
                found |= touched(analysis, row.decl, name)
    return found


def _asks(analysis: Analysis, node: ast.Attribute) -> bool:
    """Whether the read is an argument of what only looks: ``inspect``, ``hasattr``."""
    parent = analysis.project.parent(node)
    return (
        isinstance(parent, ast.Call)
        and isinstance(parent.func, ast.Name)
        and parent.func.id in ("inspect", "hasattr")
    )
