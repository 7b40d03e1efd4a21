"""What tests put in the place of the application's functions, dependencies and sessions."""

from __future__ import annotations

import ast

from sqlawait.analysis.declarations import Binding, Class, Function, Module, last_name
from sqlawait.analysis.names import Definition
from sqlawait.analysis.types import members
from sqlawait.convert.arguments import argument_for
from sqlawait.convert.bridge import NAME
from sqlawait.convert.classes import SESSION
from sqlawait.convert.colours import Colours
from sqlawait.convert.context import Context
from sqlawait.convert.facts import Facts
from sqlawait.convert.resources import Resource

MOCKS = {"MagicMock", "Mock"}
SESSION_ATTRIBUTES = {
    "commit", "rollback", "execute", "scalars", "scalar", "get", "refresh", "flush", "add", "query", "delete",
}  # fmt: skip


def _like_session(mock: str, context: Context) -> str:
    """The arguments of a mock for an async session: what its coroutines give has plain methods."""
    results = ", ".join(f'"{name}.return_value": {mock}()' for name in ("execute", "scalars"))
    return f"spec={context.need('sqlalchemy.ext.asyncio', 'AsyncSession')}, **{{{results}}}"


class StandIns:
    """Rewrites them, so that they give what the async application waits for."""

    def __init__(self, facts: Facts, colours: Colours, resources: dict[Binding, Resource]) -> None:
        self.facts = facts
        self.colours = colours
        self.resources = resources

    # -- functions

    def replacing(self, call: ast.Call) -> bool:
        """Whether a call puts a sync function in the place of one that waits now, or gives an async session."""
        return self._waiting(call) is not None or bool(self._given(call))

    def replace(self, call: ast.Call, context: Context) -> None:
        """Let what replaces a coroutine function be one, and what gave sync sessions give async ones."""
        function = self._waiting(call)
        if function is not None:
            context.edits.wrap_node(function, f"{context.need(NAME, 'override')}(", ")")
        for session in self._given(call):
            context.edits.wrap_node(session, f"{context.need(NAME, 'asynchronous')}(", ")")

    def _waiting(self, call: ast.Call) -> ast.expr | None:
        """The sync function in the place of a coroutine function."""
        new, functions = self._replaced(call)
        return new if any(each in self.colours.awaited for each in functions) else None

    def _given(self, call: ast.Call) -> list[ast.expr]:
        """The sync sessions that a function gives in the place of one that makes async ones."""
        new, functions = self._replaced(call)
        if new is None or not any(each in self.colours.changed - self.colours.awaited for each in functions):
            return []
        given = self.facts.type_of(new).decl
        assert isinstance(given, Function)
        return [each for each in given.returns if self.facts.is_session(each)]

    def _replaced(self, call: ast.Call) -> tuple[ast.expr | None, list[Function]]:
        """A sync function of the tests, and those that a call puts it in the place of."""
        name = last_name(call.func)
        if name not in ("patch", "object", "setattr") or not call.args:
            return None, []
        first, second, rest = call.args[0], call.args[1:2], call.args[1:]
        if isinstance(first, ast.Constant) and isinstance(first.value, str):
            found = self._named(first.value, self.facts.project.module_of(call))
        elif name != "patch" and isinstance(second[0] if second else None, ast.Constant):
            found, rest = self._held(first, ast.literal_eval(second[0])), call.args[2:]
        else:
            return None, []
        rest += [each.value for each in call.keywords if each.arg == "new"]
        declared = [self.facts.inference.names.declared(each) for each in found]
        stands_in = self.facts.type_of(rest[0]).decl if rest else None
        if not isinstance(stands_in, Function) or stands_in.is_async or stands_in in self.colours.awaited:
            return None, []
        return rest[0], [each for each in declared if isinstance(each, Function) and not each.is_async]

    def _named(self, name: str, module: Module) -> list[Definition]:
        """What a dotted name stands for."""
        names, project = self.facts.inference.names, self.facts.project
        head, _, last = name.rpartition(".")
        if (found := project.find_module(head, module)) is not None and not found.stub:
            return names.member(found, last)
        head, _, owner = head.rpartition(".")
        found = project.find_module(head, module)
        classes = [names.declared(each) for each in names.member(found, owner)] if found is not None else []
        return [b for each in classes if isinstance(each, Class) for b in each.scope.bindings.get(last, ())]

    def _held(self, owner: ast.expr, name: str) -> list[Definition]:
        """What an attribute of a module or a class stands for."""
        decl = self.facts.type_of(owner).decl
        if isinstance(decl, Module):
            return self.facts.inference.names.member(decl, name)
        return list(decl.scope.bindings.get(name, ())) if isinstance(decl, Class) else []

    def overriding(self, node: ast.Attribute) -> ast.expr | None:
        """The override that is put in the place of a converted dependency."""
        subscript = self.facts.parent(node)
        if not isinstance(subscript, ast.Subscript):
            return None
        statement = self.facts.parent(subscript)
        if not isinstance(statement, ast.Assign) or subscript not in statement.targets:
            return None
        replaced = self.facts.type_of(subscript.slice).decl
        return (
            statement.value if isinstance(replaced, Function) and replaced in self.colours.converted else None
        )

    def override(self, node: ast.Attribute, context: Context) -> None:
        """Let an override give the async session."""
        value = self.overriding(node)
        if value is not None:
            context.edits.wrap_node(value, f"{context.need(NAME, 'override')}(", ")")

    def mock(self, call: ast.Call, context: Context) -> None:
        """A mock in the place of a session knows which of the session's methods are coroutines."""
        if last_name(call.func) not in MOCKS or call.args or call.keywords:
            return
        statement = self.facts.parent(call)
        if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
            return
        target = statement.targets[0]
        if not isinstance(target, ast.Name) or not self._stands_for_session(call, target.id):
            return
        end = context.edits.end(call) - 1
        context.edits.replace(end, end, _like_session(self.facts.text(call.func), context))

    def patch(self, call: ast.Call, context: Context) -> None:
        """A patched session factory gives mocks that know which methods are coroutines."""
        if last_name(call.func) != "patch" or len(call.args) != 1 or call.keywords:
            return
        target = call.args[0]
        if not isinstance(target, ast.Constant) or not isinstance(target.value, str):
            return
        name = target.value.rpartition(".")[2]
        if any(
            r.name == name and r.asynchronous and r.kind in ("maker", "scoped") for r in self.resources.values()
        ):
            mock = context.need("unittest.mock", "MagicMock")
            end = context.edits.end(target)
            context.edits.replace(end, end, f", return_value={mock}({_like_session(mock, context)})")

    def _stands_for_session(self, call: ast.Call, name: str) -> bool:
        function = self.facts.project.function_of(call)
        if function is None:
            return False
        used = {
            node.attr
            for node in function.own_nodes
            if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
        }
        named = "session" in name.lower() or name.lower() in ("db", "mock_db")
        return bool(used & SESSION_ATTRIBUTES) and named and not self._is_something_else(function, name)

    def _is_something_else(self, function: Function, name: str) -> bool:
        """Whether the application takes it for an object that is no session of SQLAlchemy's."""
        inference = self.facts.inference
        for call in (node for node in function.own_nodes if isinstance(node, ast.Call)):
            for target in self.facts.targets(call):
                for param in target.params:
                    given = argument_for(call, target, param)
                    wanted = inference.annotations.type_of(param.annotation)
                    if isinstance(given, ast.Name) and given.id == name and wanted.known:
                        return not any(inference.is_a(each, SESSION) for each in members(wanted))
        return False


__all__ = ["StandIns"]
