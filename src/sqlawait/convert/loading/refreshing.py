"""Where an object can be refreshed so that what is read next is there: above the statement that reads it."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import replace

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.flow import before
from sqlawait.analysis.types import NONE, UNKNOWN, members
from sqlawait.convert.arguments import argument_for
from sqlawait.convert.colours import Colours
from sqlawait.convert.facts import Facts

from .plan import Refresh

SIMPLE = (
    ast.Expr,
    ast.Assign,
    ast.AnnAssign,
    ast.AugAssign,
    ast.Return,
    ast.If,
    ast.For,
    ast.With,
    ast.Assert,
    ast.Raise,
    ast.Delete,
)


class Refreshing:
    """Finds places for refreshes in functions that become async."""

    def __init__(self, facts: Facts, colours: Colours) -> None:
        self.facts = facts
        self.colours = colours

    def touched(self, stack: Sequence[list[ast.expr]], model: Class, attribute: str) -> ast.expr | None:
        """What names the owner where it is touched, in a function that can await.

        ``stack`` are the expressions that ran, the nearest first: the read itself or the call that led to it,
        then the calls around. Where a function cannot await, its caller refreshes the object that it was given.
        """
        wanted: str | None = attribute
        param: ast.arg | None = None
        for nodes in stack:
            owner = self._passed(nodes, param) if param is not None else self._owner(nodes, model, wanted)
            if owner is None:
                return None
            if self.above(owner) is not None:
                return owner
            param = self._param(owner)
            if param is None:
                return None
            wanted = None
        return None

    def before_return(self, function: Function, model: Class, depth: int = 0) -> list[Refresh]:
        """Refreshes above the returns of a function; empty unless every return of the model has one."""
        found: list[Refresh] = []
        for value in function.returns:
            if not self._is(value, model):
                continue
            if isinstance(value, ast.Name):
                place = self.above(value)
                if place is None:
                    return []
                found.append(place)
            elif isinstance(value, ast.Call) and depth < 4:
                targets = self.facts.targets(value)
                inner = [self.before_return(each, model, depth + 1) for each in targets]
                if not targets or not all(inner):
                    return []
                found += [place for each in inner for place in each]
            else:
                return []
        return found

    def above(self, owner: ast.expr, name: str = "") -> Refresh | None:
        """A refresh of an expression, or of a variable, above the statement around it."""
        project = self.facts.project
        function = project.function_of(owner)
        text = name or (ast.unparse(owner) if _is_plain(owner) else "")
        if function is None or not text or isinstance(function.node, ast.Lambda):
            return None
        if not (function.is_async or function in self.colours.awaited):
            return None
        if not name and self._is_local_to_expression(owner):
            return None
        statement = self._statement(owner)
        if statement is None:
            return None
        model = None if name else self._model(owner)
        return Refresh(statement, text, self.facts.sessions.in_reach(owner), model=model)

    def _model(self, owner: ast.expr) -> Class | None:
        """The one model that an expression is an object of."""
        found = {each.decl for each in members(self.facts.type_of(owner)) if each.kind == "instance"}
        models = [each for each in found if isinstance(each, Class) and not each.module.stub]
        return models[0] if len(models) == 1 else None

    def named(self, node: ast.expr, name: str, *, items: bool) -> Refresh | None:
        """A refresh of a variable above the statement that an expression stands in."""
        owner: ast.expr | None = None
        for each in ast.walk(self.facts.project.statement(node)):
            if isinstance(each, ast.Name | ast.Attribute) and ast.unparse(each) == name:
                owner = each
                break
        place = self.above(node, name)
        if place is None or (owner is not None and self._is_local_to_expression(owner)):
            return None
        return replace(place, items=items, optional=not items and not self._is_there(owner))

    def _is_there(self, owner: ast.expr | None) -> bool:
        """Whether an expression is known not to be None."""
        of = self.facts.type_of(owner) if owner is not None else UNKNOWN
        parts = of.args if of.kind == "union" else (of,)
        return all(each.kind == "instance" and each != NONE for each in parts)

    def below(self, node: ast.expr, place: Refresh) -> Refresh | None:
        """The refresh below the statement of an earlier call in the same function; None elsewhere."""
        project = self.facts.project
        call, function = project.statement(node), project.function_of(node)
        if function is None or function is not project.function_of(place.statement):
            return None
        if not isinstance(call, ast.Expr | ast.Assign) or not before(call, place.statement):
            return None
        bound = function.scope.bindings.get(place.owner.partition(".")[0].partition("[")[0], ())
        if any(each.kind != "param" and not before(each.node, call) for each in bound):
            return None
        return replace(place, statement=call, below=True)

    # -- what is read ----------------------------------------------------------------------------------------

    def _owner(self, nodes: list[ast.expr], model: Class, attribute: str | None) -> ast.expr | None:
        """The object whose attribute an expression reads, or that it hands to what reads it."""
        for node in nodes:
            if isinstance(node, ast.Attribute) and (node.attr == attribute or self._is(node.value, model)):
                return node.value
        for node in nodes:
            for each in self._given(node):
                if self._is(each, model):
                    return each
        return None

    def _given(self, node: ast.expr) -> Iterator[ast.expr]:
        if isinstance(node, ast.Call):
            yield from node.args
            yield from (each.value for each in node.keywords)
            if isinstance(node.func, ast.Attribute):
                yield node.func.value

    def _is(self, node: ast.expr, model: Class) -> bool:
        return any(
            each.kind == "instance"
            and isinstance(each.decl, Class)
            and not each.decl.module.stub
            and self.facts.inference.models.are_kin(each.decl, model)
            for each in members(self.facts.type_of(node))
        )

    def _param(self, owner: ast.expr) -> ast.arg | None:
        """The parameter that an expression names."""
        if not isinstance(owner, ast.Name):
            return None
        for binding in self.facts.inference.names.reaching(owner):
            if binding.kind == "param" and isinstance(binding.node, ast.arg):
                return binding.node
        return None

    def _passed(self, nodes: list[ast.expr], param: ast.arg) -> ast.expr | None:
        """What a caller gave for a parameter; for ``self``, the object whose method it named."""
        function = next((f for f in self.facts.project.functions if param in f.params), None)
        if function is None:
            return None
        own = function.cls is not None and function.positional[:1] == [param]
        for node in nodes:
            if own and isinstance(node, ast.Attribute) and node.attr == function.name:
                return node.value
            if isinstance(node, ast.Call):
                if own and isinstance(node.func, ast.Attribute) and node.func.attr == function.name:
                    return node.func.value
                if last_name(node.func) == function.name:
                    return argument_for(node, function, param)
        return None

    # -- where -----------------------------------------------------------------------------------------------

    def _is_local_to_expression(self, owner: ast.expr) -> bool:
        """Whether the name is bound within its own statement: by a comprehension, a lambda, a walrus."""
        root = _root(owner)
        if not isinstance(root, ast.Name):
            return True
        statement = self.facts.project.statement(owner)
        for binding in self.facts.inference.names.reaching(root):
            if binding.kind == "param":
                continue
            if isinstance(
                binding.scope.node, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp | ast.Lambda
            ):
                return True
            if any(each is statement for each in self.facts.project.ancestors(binding.node)) and not isinstance(
                statement, ast.FunctionDef | ast.AsyncFunctionDef
            ):
                return True
        return any(
            isinstance(each, ast.comprehension | ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp)
            and any(
                isinstance(n, ast.Name) and n.id == root.id
                for g in getattr(each, "generators", [each])
                for n in ast.walk(g.target)
            )
            for each in self.facts.project.ancestors(owner)
        )

    def _statement(self, owner: ast.expr) -> ast.stmt | None:
        """The statement above which a line can be put; for an ``elif`` that is the whole ``if``."""
        project = self.facts.project
        statement = project.statement(owner)
        while isinstance(statement, ast.If):
            parent = project.parent(statement)
            if isinstance(parent, ast.If) and parent.orelse == [statement] and self._is_elif(statement, parent):
                statement = parent
                continue
            break
        return statement if isinstance(statement, SIMPLE) else None

    def _is_elif(self, statement: ast.If, parent: ast.If) -> bool:
        line = project_line(self.facts, statement)
        return line.lstrip().startswith("elif") and parent is not statement


def _is_plain(node: ast.expr) -> bool:
    """Whether an expression can be written twice: a name, its attributes, items at a fixed place."""
    if isinstance(node, ast.Subscript):
        fixed = node.slice.operand if isinstance(node.slice, ast.UnaryOp) else node.slice
        return isinstance(fixed, ast.Constant) and _is_plain(node.value)
    return isinstance(node, ast.Name) or (isinstance(node, ast.Attribute) and _is_plain(node.value))


def _root(node: ast.expr) -> ast.expr:
    while isinstance(node, ast.Attribute | ast.Subscript):
        node = node.value
    return node


def project_line(facts: Facts, node: ast.stmt) -> str:
    """The line that a statement starts on."""
    return facts.project.module_of(node).line(node.lineno)


__all__ = ["Refreshing"]
