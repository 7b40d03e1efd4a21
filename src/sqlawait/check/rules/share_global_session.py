"""SAW405: one session for the whole process, or one a task."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis import Analysis
from sqlawait.analysis.declarations import Binding, last_name
from sqlawait.analysis.special import keyword
from sqlawait.analysis.types import members
from sqlawait.check.finding import Finding
from sqlawait.check.rule import Example, Rule

RULE = Rule(
    code="SAW405",
    name="share-global-session",
    summary="A session is global, or scoped to `current_task`.",
    why=(
        "All requests share the global one: they see each other's uncommitted work, and one's rollback is"
        " everybody's."
        " A registry scoped to `current_task` gives every task another session and keeps it for ever unless"
        " `remove()` is"
        " awaited in each."
    ),
    remedy="Make a factory global, and a session for each request by a dependency.",
    wrong=(
        Example("session = Sessions()  # SAW405\n"),
        Example("session = async_scoped_session(Sessions, scopefunc=current_task)  # SAW405\n"),
    ),
    right=(
        Example("Factory = async_sessionmaker(engine, expire_on_commit=False)\n"),
        Example("""\
registry = async_scoped_session(Sessions, scopefunc=current_task)


async def end_of_request():
    yield
    await registry.remove()
"""),
        Example("""\
class Database:
    def __init__(self):
        self.registry = async_scoped_session(Sessions, scopefunc=current_task)

    async def close(self):
        await self.registry.remove()
"""),
        Example("""\
async def get_other_session():
    async with Sessions() as session:
        yield session
"""),
    ),
)


@RULE.check
def find(analysis: Analysis) -> Iterator[Finding]:
    """Sessions bound in modules and class bodies, and registries scoped to tasks."""
    for module in analysis.project.modules.values():
        classes = [cls.scope for cls in analysis.project.classes if cls.module is module]
        for scope in [module.scope, *classes]:
            for bindings in scope.bindings.values():
                for binding in bindings:
                    if _is_session(analysis, binding) and isinstance(binding.value, ast.Call):
                        message = (
                            "one session for the whole process: requests would share its transaction; make one"
                            " a request"
                        )
                        yield RULE.at(module, binding.value, message)
                    elif isinstance(scope.node, ast.Module) and _keeps_session(analysis, binding):
                        assert binding.value is not None
                        message = (
                            "this object lives as long as the process, with one session; give it a factory"
                        )
                        yield RULE.at(module, binding.value, message)
    for default in _defaults(analysis):
        message = "a default is made once: all calls would share this session; make one a request"
        yield RULE.at(analysis.project.module_of(default), default, message)
    for name in ("async_scoped_session", "scoped_session"):
        for call in dict.fromkeys(analysis.project.collected.calls.get(name, ())):
            scope_function = keyword(call, "scopefunc") or (call.args[1] if len(call.args) > 1 else None)
            if _is_removed(analysis, call):
                continue
            if scope_function is not None and _is_current_task(analysis, scope_function):
                message = (
                    "every task gets a session of its own that stays until `remove()` is awaited; make one a"
                    " request"
                )
                yield RULE.at(analysis.project.module_of(call), call, message)


def _is_removed(analysis: Analysis, registry: ast.Call) -> bool:
    """Whether ``remove()`` is awaited on a registry somewhere, as in a dependency that every route has."""
    for call in analysis.project.collected.calls.get("remove", ()):
        if isinstance(call.func, ast.Attribute) and isinstance(analysis.project.parent(call), ast.Await):
            bindings = analysis.types.attributes.bindings(call.func.value)
            if any(each.value is registry for each in bindings):
                return True
    return False


def _is_session(analysis: Analysis, binding: Binding) -> bool:
    if (
        binding.kind not in ("assign", "annotated")
        or not isinstance(binding.value, ast.Call)
        or _is_script(analysis, binding)
    ):
        return False
    return _makes(analysis, binding.value)


def _makes(analysis: Analysis, call: ast.Call) -> bool:
    if last_name(call.func) in ("scoped_session", "async_scoped_session", "next"):
        return False
    found = list(members(analysis.types.type_of(call)))
    if not found or not all(analysis.is_session(each) for each in found):
        return False
    return not any(each.name.endswith("scoped_session") for each in found)


def _is_script(analysis: Analysis, binding: Binding) -> bool:
    """Whether the statement stands in a function or under ``if __name__ == "__main__"``."""
    for parent in analysis.project.ancestors(binding.node):
        if isinstance(parent, ast.If) and "__name__" in ast.unparse(parent.test):
            return True
    return False


def _keeps_session(analysis: Analysis, binding: Binding) -> bool:
    """Whether a global is an object whose ``__init__`` makes a session."""
    if not isinstance(binding.value, ast.Call) or _is_script(analysis, binding):
        return False
    for use in analysis.types.calling.targets(binding.value):
        cls = use.function.cls
        if use.function.name == "__init__" and cls is not None:
            for assigned in (each for many in cls.assigned.values() for each in many):
                made = isinstance(assigned.value, ast.Call) and _makes(analysis, assigned.value)
                if made and assigned.scope is use.function.scope:
                    return True
    return False


def _defaults(analysis: Analysis) -> Iterator[ast.Call]:
    for function in analysis.project.functions:
        for default in function.defaults.values():
            if isinstance(default, ast.Call) and _makes(analysis, default):
                yield default


def _is_current_task(analysis: Analysis, node: ast.expr) -> bool:
    if analysis.names.qualified(node).endswith("current_task"):
        return True
    return isinstance(node, ast.Lambda) and "current_task" in ast.unparse(node)
