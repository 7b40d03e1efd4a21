"""SAW303: an attribute read after a commit that expired it."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Class, Function
from sqlawait.analysis.flow import before, reach
from sqlawait.analysis.types import Type, members
from sqlawait.check.finding import Finding
from sqlawait.check.loading import commits_before
from sqlawait.check.rule import Example, Rule
from sqlawait.check.support import coroutines

RULE = Rule(
    code="SAW303",
    name="read-expired-attribute",
    summary="An attribute of a row is read after a commit, and the session expires rows on commit.",
    why=(
        "The commit empties the row. Reading any attribute, the primary key included, sends a statement at"
        " that moment,"
        " outside any `await`, and raises MissingGreenlet."
    ),
    remedy=(
        "Make the session with `expire_on_commit=False`, or await `session.refresh(row)` after the commit, or"
        " read what"
        " you need before it."
    ),
    wrong=(
        Example("""\
@router.post("/users")
async def create_user(name: str, session: ExpiringDep):
    user = User(name=name)
    session.add(user)
    await session.commit()
    return {"id": user.id}  # SAW303
"""),
    ),
    right=(
        Example("""\
@router.post("/users")
async def create_user(name: str, session: SessionDep):
    user = User(name=name)
    session.add(user)
    await session.commit()
    return {"id": user.id}
"""),
        Example("""\
@router.post("/users")
async def create_user(name: str, session: ExpiringDep):
    user = User(name=name)
    session.add(user)
    await session.commit()
    await session.refresh(user)
    return {"id": user.id}
"""),
    ),
    limits=(
        "Sessions whose making cannot be found are not judged. A rollback expires rows too, whatever the"
        " setting."
    ),
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Reads of attributes, and returns of routes, after a commit of an expiring session."""
    for function in coroutines(analysis):
        if not _expiring(analysis, function):
            continue
        seen: set[tuple[str, int]] = set()
        for node, row in _reads(analysis, function):
            commit = _expired_by(analysis, function, node, row)
            if commit is None:
                continue
            key = (ast.unparse(row), getattr(commit, "lineno", 0))
            if key in seen:
                continue
            seen.add(key)
            message = (
                f"`{ast.unparse(row)}` was expired by the commit at line {getattr(commit, 'lineno', 0)}:"
                f" reading it raises"
                " MissingGreenlet; set `expire_on_commit=False`, or await `session.refresh(…)` after the commit"
            )
            yield RULE.at(function.module, node, message)


def _expiring(analysis: Analysis, function: Function) -> bool:
    """Whether any session that the function uses expires on commit, and all are known."""
    found: list[bool | None] = []
    for node in function.own_nodes:
        if isinstance(node, ast.Name | ast.Attribute) and isinstance(node.ctx, ast.Load):
            found += [
                each.origin.expires if each.origin is not None else None
                for each in members(analysis.types.type_of(node))
                if analysis.is_session(each, kind="async")
            ]
    if found:
        return True in found and False not in found
    return _holds_expiring(analysis, function)


def _holds_expiring(analysis: Analysis, function: Function) -> bool:
    """Whether what the function works with holds an expiring session: a repository, a service."""
    for node in function.own_nodes:
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load):
            for each in members(analysis.types.type_of(node)):
                if not isinstance(each.decl, Class) or each.kind != "instance" or each.decl.module.stub:
                    continue
                for name in analysis.holding.session_attributes(each.decl):
                    sessions = list(members(analysis.types.attributes.of(each, name)))
                    if sessions and all(s.origin is not None and s.origin.expires is True for s in sessions):
                        return True
    return False


def _reads(analysis: Analysis, function: Function) -> Iterator[tuple[ast.expr, ast.expr]]:
    """Reads of a row's attributes, and returns of rows by routes that serialise them."""
    route = analysis.injection.routes.get(function)
    answered: list[ast.expr] = []
    if route is not None and isinstance(function.node, ast.AsyncFunctionDef):
        answer = route.option("response_model") or function.node.returns
        if answer is not None and analysis.schemas.inside(analysis.types.annotations.type_of(answer)):
            answered = [value for value in function.returns if isinstance(value, ast.Name)]
    for node in function.own_nodes:
        if (
            isinstance(node, ast.Attribute)
            and isinstance(node.ctx, ast.Load)
            and isinstance(node.value, ast.Name)
        ):
            if any(
                _has_attribute(analysis, each, node.attr)
                for each in members(analysis.types.type_of(node.value))
            ):
                yield node, node.value
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            if (
                node.func.attr in ("model_validate", "from_orm")
                and node.args
                and isinstance(node.args[0], ast.Name)
            ) and any(analysis.models.is_model(m.decl) for m in members(analysis.types.type_of(node.args[0]))):
                yield node, node.args[0]
        elif (
            node in answered
            and isinstance(node, ast.Name)
            and any(analysis.models.is_model(each.decl) for each in members(analysis.types.type_of(node)))
        ):
            yield node, node


def _has_attribute(analysis: Analysis, of: Type, name: str) -> bool:
    if of.kind != "instance" or not isinstance(of.decl, Class) or not analysis.models.is_model(of.decl):
        return False
    if name in analysis.models.columns(of.decl):
        return True
    sqlmodel = analysis.types.is_a(of, "sqlmodel.SQLModel")
    return sqlmodel and any(
        name in base.scope.bindings for base, _ in analysis.types.bases(of.decl) if not base.module.stub
    )


def _expired_by(analysis: Analysis, function: Function, place: ast.expr, row: ast.expr) -> ast.AST | None:
    """The last commit before the place that expired the row, unless it was loaded or made again since."""
    assert isinstance(row, ast.Name)
    row = _collection(analysis, row)
    found: ast.AST | None = None
    for commit in commits_before(analysis, function, place):
        if _attached(analysis, function, row, commit) and not _renewed(analysis, function, row, commit, place):
            found = commit
    return found


def _collection(analysis: Analysis, row: ast.Name) -> ast.Name:
    """The variable that a loop takes the row from: the rows of a list are expired as one."""
    bindings = analysis.names.reaching(row)
    for binding in bindings:
        if binding.kind == "for" and isinstance(binding.value, ast.Name) and len(bindings) == 1:
            return binding.value
    return row


def _attached(analysis: Analysis, function: Function, row: ast.Name, commit: ast.AST) -> bool:
    """Whether the session held the row at the commit: loaded by it, or added to it."""
    bindings = analysis.names.reaching(row)
    made = [each for each in bindings if each.kind != "param"]
    if any(not before(each.node, commit) and not _inside(analysis, each.node, commit) for each in made):
        # bound after the commit, or by the very statement that commits and gives the row back
        return any(_commits_itself(analysis, each.value, commit) for each in made)
    for each in members(analysis.types.type_of(row)):
        if each.origin is not None and each.origin.session == "async":
            return True
    if any(_added_by(analysis, each.value) for each in made):
        return True
    for node in function.own_nodes:
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and (before(node, commit) or _inside(analysis, node, commit))
            and node.func.attr in ("add", "add_all", "refresh", "save", "create")
            and _mentions(node, row.id)
        ):
            return True
    return False


def _added_by(analysis: Analysis, value: ast.expr | None) -> bool:
    """Whether a row comes back from a helper that adds what it is given: ``user = users.add(User(…))``."""
    call = value.value if isinstance(value, ast.Await) else value
    if not isinstance(call, ast.Call):
        return False
    return any(
        outward.name.endswith("AsyncSession.add")
        for target in analysis.calls.reached(call)
        for outward in analysis.calls.outward(target)
    )


def _inside(analysis: Analysis, node: ast.AST, block: ast.AST) -> bool:
    return isinstance(block, ast.AsyncWith) and any(each is block for each in analysis.project.ancestors(node))


def _commits_itself(analysis: Analysis, value: ast.expr | None, commit: ast.AST) -> bool:
    """``user = await repository.save(user)``: the row comes back from the call that commits, expired."""
    if value is None or not any(each is commit for each in ast.walk(value)) or not isinstance(commit, ast.Call):
        return False
    return any(_returns_expired(analysis, target) for target in analysis.calls.reached(commit))


def _returns_expired(analysis: Analysis, function: Function) -> bool:
    for value in function.returns:
        if not isinstance(value, ast.Name):
            continue
        commits = list(commits_before(analysis, function, value))
        if commits and not any(_renewed(analysis, function, value, commit, value) for commit in commits):
            return True
    return False


def _renewed(analysis: Analysis, function: Function, row: ast.Name, commit: ast.AST, place: ast.AST) -> bool:
    """Whether the row was loaded again between a commit and a place."""
    for node in function.own_nodes:
        if not before(commit, node) or not before(node, place):
            continue
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and _mentions(node, row.id):
            if node.func.attr in ("refresh", "expunge") and reach(analysis.project, node, place) == "always":
                return True
            if node.func.attr == "refresh" and analysis.project.statement(node) is not None:
                return True
    return any(
        before(commit, binding.node) for binding in analysis.names.reaching(row) if binding.kind != "param"
    ) and not any(_commits_itself(analysis, binding.value, commit) for binding in analysis.names.reaching(row))


def _mentions(call: ast.Call, name: str) -> bool:
    return any(isinstance(each, ast.Name) and each.id == name for arg in call.args for each in ast.walk(arg))
