"""SAW302: a response model that reads a relationship which no option loaded."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Class, last_name
from sqlawait.analysis.types import Type, members
from sqlawait.check.finding import Finding
from sqlawait.check.loading import Unloaded, remedy, touched, unloaded, with_option
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import functions, in_greenlet

RULE = Rule(
    code="SAW302",
    name="serialize-unloaded-relationship",
    summary="A response model or `model_validate` reads a relationship of an async row, and nothing loaded it.",
    why=(
        "The schema reads every attribute that it has a field for. A relationship that is not loaded sends a"
        " statement at"
        " that moment and raises MissingGreenlet, after the route's own code is done: the traceback names no"
        " line of it."
    ),
    remedy="Load the relationship with the statement, or answer with a schema that does not have the field.",
    wrong=(
        Example(
            code="""\
@router.get("/users/{user_id}", response_model=UserWithPosts)
async def read_user(user_id: int, session: SessionDep):
    user = await session.scalar(select(User).where(User.id == user_id))
    return user  # SAW302
""",
            fixed="""\
@router.get("/users/{user_id}", response_model=UserWithPosts)
async def read_user(user_id: int, session: SessionDep):
    user = await session.scalar(select(User).options(selectinload(User.posts)).where(User.id == user_id))
    return user  # SAW302
""",
        ),
        Example("""\
@router.get("/users/{user_id}")
async def read_user(user_id: int, session: SessionDep):
    user = await session.get(User, user_id)
    return UserWithPosts.model_validate(user)  # SAW302
"""),
    ),
    right=(
        Example("""\
@router.get("/users/{user_id}", response_model=UserRead)
async def read_user(user_id: int, session: SessionDep):
    return await session.get(User, user_id)
"""),
        Example("""\
@router.get("/users/{user_id}", response_model=UserWithPosts)
async def read_user(user_id: int, session: SessionDep):
    return await session.get(User, user_id, options=[selectinload(User.posts)])
"""),
    ),
    fix="unsafe",
    limits="Validators and computed fields are not looked into.",
)
VALIDATORS = ("model_validate", "from_orm", "validate_python")


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Returns of routes and calls of validators whose schema reads more than was loaded."""
    for function, route in analysis.injection.routes.items():
        if not function.module.checked or isinstance(function.node, ast.Lambda):
            continue
        answer = route.option("response_model") or function.node.returns
        if answer is None:
            continue
        wanted = analysis.types.annotations.type_of(answer)
        for value in function.returns:
            yield from _judge(analysis, value, value, wanted)
    for function in functions(analysis):
        if in_greenlet(analysis, function):
            continue
        for node in function.own_nodes:
            if isinstance(node, ast.Call):
                validated = _validated(analysis, node)
                if validated is not None:
                    yield from _judge(analysis, validated[1], node, validated[0])
                yield from _constructed(analysis, node)


def _judge(analysis: Analysis, value: ast.expr, place: ast.expr, wanted: Type) -> Iterator[Finding]:
    found = _read(analysis, value, wanted, 0)
    if found is not None:
        field, missing = found
        message = (
            f"`{field}` of the response reads {missing.relationship.label}, which was not loaded:"
            f" MissingGreenlet;"
            f" {remedy(missing)}"
        )
        yield RULE.at(
            analysis.project.module_of(place), place, message, fix=with_option(analysis, missing, place)
        )


def _read(analysis: Analysis, value: ast.expr, wanted: Type, depth: int) -> tuple[str, Unloaded] | None:
    """The first field of a schema that reads what was not loaded."""
    if isinstance(value, ast.Dict):
        return _read_dict(analysis, value, wanted, depth)
    if isinstance(value, ast.IfExp):
        return _read(analysis, value.body, wanted, depth) or _read(analysis, value.orelse, wanted, depth)
    for schema in analysis.schemas.inside(wanted):
        for row in _rows(analysis.types.type_of(value)):
            found = _fields(analysis, value, row, schema, 0)
            if found is not None:
                return found
    return None


def _read_dict(analysis: Analysis, value: ast.Dict, wanted: Type, depth: int) -> tuple[str, Unloaded] | None:
    if depth > 4:
        return None
    for schema in members(wanted):
        if not analysis.schemas.is_schema(schema.decl):
            continue
        fields = {each.reads: each.type for each in analysis.schemas.fields_of(schema)}
        for key, inner in zip(value.keys, value.values, strict=True):
            if isinstance(key, ast.Constant) and key.value in fields:
                found = _read(analysis, inner, fields[str(key.value)], depth + 1)
                if found is not None:
                    return found
    return None


def _fields(
    analysis: Analysis, value: ast.expr, row: Type, schema: Class, depth: int
) -> tuple[str, Unloaded] | None:
    """The first field that reads a missing relationship, of the row or of what is loaded behind it."""
    if depth > 4 or not isinstance(row.decl, Class) or row.origin is None:
        return None
    for field in analysis.schemas.fields(schema):
        own = {field.reads} if analysis.models.relationship(row.decl, field.reads) is not None else set()
        for name in own or touched(analysis, row.decl, field.reads):
            missing = _missing(analysis, value, row, name, depth)
            if missing is not None:
                return field.name, missing
        if own:
            behind = analysis.models.related(row, field.reads)
            for inner in analysis.schemas.inside(field.type):
                for each in _rows(behind) if behind is not None else ():
                    found = _fields(analysis, value, each, inner, depth + 1)
                    if found is not None:
                        return f"{field.name}.{found[0]}", found[1]
    return None


def _missing(analysis: Analysis, value: ast.expr, row: Type, name: str, depth: int) -> Unloaded | None:
    if depth == 0 and any(each == row for each in members(analysis.types.type_of(value))):
        return unloaded(analysis, value, name)
    relationship = analysis.models.relationship(row.decl, name)
    if relationship is None or relationship.eager or not relationship.on_access or row.origin is None:
        return None
    if row.origin.loads(name) or row.origin.session != "async":
        return None
    return Unloaded(relationship, row)


def _rows(of: Type) -> Iterator[Type]:
    """The rows in a type: itself, or the items of a list."""
    for each in members(of):
        if (
            each.kind == "instance" and each.name in ("list", "tuple")
        ) or each.name == "sqlalchemy.ScalarResult":
            for arg in each.args:
                yield from _rows(arg)
        elif each.kind == "instance" and isinstance(each.decl, Class):
            yield each


def _validated(analysis: Analysis, call: ast.Call) -> tuple[Type, ast.expr] | None:
    """The schema and the value of a call that validates."""
    if not isinstance(call.func, ast.Attribute) or call.func.attr not in VALIDATORS or not call.args:
        return None
    owner = call.func.value
    if call.func.attr == "validate_python":
        adapter = owner if isinstance(owner, ast.Call) else _adapter(analysis, owner)
        if adapter is None or last_name(adapter.func) != "TypeAdapter" or not adapter.args:
            return None
        return analysis.types.annotations.type_of(adapter.args[0]), call.args[0]
    of = analysis.types.type_of(owner)
    return (analysis.types.instance_of(of), call.args[0]) if of.kind == "class" else None


def _adapter(analysis: Analysis, node: ast.expr) -> ast.Call | None:
    for definition in analysis.names.definitions(node):
        value = getattr(definition, "value", None)
        if isinstance(value, ast.Call):
            return value
    return None


def _constructed(analysis: Analysis, call: ast.Call) -> Iterator[Finding]:
    """``Page(items=rows)``: a schema made of rows."""
    of = analysis.types.type_of(call.func)
    if of.kind != "class" or not analysis.schemas.is_schema(of.decl) or not isinstance(of.decl, Class):
        return
    fields = {each.reads: each.type for each in analysis.schemas.fields(of.decl)}
    for keyword in call.keywords:
        if keyword.arg in fields:
            yield from _judge(analysis, keyword.value, call, fields[keyword.arg])
