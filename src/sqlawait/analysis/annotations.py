"""What an annotation says: ``Annotated[AsyncSession, Depends(get_session)]`` is an AsyncSession."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .declarations import Binding
from .types import NONE, UNKNOWN, Type, external, instance, union

if TYPE_CHECKING:
    from .inference import Inference

SEQUENCES = {
    "list", "List", "Sequence", "MutableSequence", "Iterable", "Collection", "set", "Set", "frozenset",
    "FrozenSet", "AbstractSet", "MutableSet", "deque", "Deque", "InstrumentedList",
}  # fmt: skip
MAPPINGS = {"dict", "Dict", "Mapping", "MutableMapping", "defaultdict", "DefaultDict", "OrderedDict"}
GENERATORS = {"Generator", "Iterator"}
ASYNC_GENERATORS = {"AsyncGenerator", "AsyncIterator", "AsyncIterable"}
COROUTINES = {"Coroutine", "Awaitable", "Future", "Task"}
CONTEXTS = {
    "ContextManager": "ContextManager",
    "AbstractContextManager": "ContextManager",
    "AsyncContextManager": "AsyncContextManager",
    "AbstractAsyncContextManager": "AsyncContextManager",
}
CANONICAL = {
    "Callable": "Callable",
    **dict.fromkeys(SEQUENCES, "list"),
    **dict.fromkeys(GENERATORS, "Generator"),
    **dict.fromkeys(ASYNC_GENERATORS, "AsyncGenerator"),
    **dict.fromkeys(COROUTINES, "Coroutine"),
    **CONTEXTS,
}
"""The special class that stands for each of ``typing``'s and ``collections.abc``'s."""
TRANSPARENT = {
    "Annotated", "Mapped", "WriteOnlyMapped", "DynamicMapped", "ClassVar", "Final", "Required", "NotRequired",
    "ReadOnly", "InitVar",
}  # fmt: skip
TYPING = (
    "typing.",
    "typing_extensions.",
    "collections.",
    "builtins.",
    "contextlib.",
    "asyncio.",
    "sqlalchemy.orm.",
)

STRAWBERRY = {"strawberry.Info()", "strawberry.types.Info()", "strawberry.types.info.Info()"}
"""GraphQL's counterpart of a dependency: ``Info[Context, Root].context`` is a Context."""


class Annotations:
    """Evaluates annotations."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._strings: dict[ast.Constant, ast.expr | None] = {}
        self._depth = 0

    def type_of(self, node: ast.expr | None) -> Type:
        """The type that an annotation names."""
        if node is None or self._depth > 20:
            return UNKNOWN
        self._depth += 1
        try:
            return self._evaluate(node)
        finally:
            self._depth -= 1

    def unquoted(self, node: ast.expr) -> ast.expr | None:
        """The annotation itself, also where it is written as a string."""
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            return node
        if node not in self._strings:
            try:
                parsed = ast.parse(node.value.strip(), mode="eval").body
            except (SyntaxError, ValueError):
                parsed = None
            if parsed is not None:
                self.inference.project.adopt(parsed, node)
                for each in ast.walk(parsed):
                    ast.copy_location(each, node)
            self._strings[node] = parsed
        return self._strings[node]

    def _evaluate(self, node: ast.expr) -> Type:
        if isinstance(node, ast.Constant):
            if node.value is None:
                return NONE
            parsed = self.unquoted(node)
            return self.type_of(parsed) if parsed is not node else UNKNOWN
        if isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitOr):
            return _optional([self.type_of(node.left), self.type_of(node.right)])
        if isinstance(node, ast.Subscript):
            return self._subscript(node)
        if isinstance(node, ast.Name | ast.Attribute):
            return self._named(node)
        if isinstance(node, ast.Call):
            return self._declared_class(node)
        return UNKNOWN

    def _named(self, node: ast.Name | ast.Attribute) -> Type:
        found = union(self._definition(each, node) for each in self.inference.names.definitions(node))
        if not found.known and isinstance(node, ast.Attribute):
            cls = self.inference.type_of(node)
            if cls.kind == "class":
                return self.inference.instance_of(cls)
        return found

    def _definition(self, definition: object, node: ast.expr) -> Type:
        inference = self.inference
        if isinstance(definition, str):
            return _special(definition) or external(f"{definition}()")
        if not isinstance(definition, Binding):
            return UNKNOWN
        cls = inference.project.collected.classes.get(definition.node)
        if cls is not None:
            return inference.instance_of(inference.class_type(cls))
        if definition.kind == "other" and definition.value is None:
            return Type("typevar", definition.name)
        if definition.kind in ("assign", "annotated") and definition.value is not None:
            value = definition.value
            if isinstance(value, ast.Call):
                kind = inference.type_of(value)
                return kind if kind.kind == "typevar" else inference.instance_of(kind)
            if value is not node:
                return self.type_of(value)
        if definition.kind == "param":
            return inference.instance_of(inference.binding_type(definition))
        return UNKNOWN

    def _declared_class(self, node: ast.Call) -> Type:
        return self.inference.instance_of(self.inference.type_of(node))

    def _subscript(self, node: ast.Subscript) -> Type:
        name = self.inference.names.qualified(node.value)
        short = name.rpartition(".")[2]
        given = node.slice.elts if isinstance(node.slice, ast.Tuple) else [node.slice]
        if name.startswith(TYPING) or name == short:
            found = self._typing(short, given)
            if found is not None:
                return found
        base = self.type_of(node.value)
        args = tuple(self.type_of(each) for each in given)
        if base.kind == "instance" and base.decl is not None:
            if base.name.startswith("sqlalchemy.") and args and args[0].name == "tuple" and args[0].args:
                # Select[tuple[User]] has rows of one column, which are Users here
                columns = args[0].args
                args = columns if len(columns) == 1 else (Type("instance", "sqlalchemy.Row", columns),)
            return Type("instance", base.name, args, base.decl)
        if base.kind == "external" and base.name in STRAWBERRY:
            return Type("external", base.name, args)
        return base

    def _typing(self, short: str, given: list[ast.expr]) -> Type | None:
        first = self.type_of(given[0]) if given else UNKNOWN
        if short in TRANSPARENT:
            return first
        if short in ("Optional", "Union"):
            extra = [NONE] if short == "Optional" else []
            return _optional([*(self.type_of(each) for each in given), *extra])
        if short in ("tuple", "Tuple"):
            if len(given) == 2 and isinstance(given[1], ast.Constant) and given[1].value is ...:
                return instance("list", first)
            return instance("tuple", *(self.type_of(each) for each in given))
        if short in ("type", "Type"):
            return self.inference.class_of(first)
        if short in MAPPINGS:
            return instance("dict", *(self.type_of(each) for each in given[:2]))
        if short == "Callable" or short in COROUTINES:
            return instance(CANONICAL[short], self.type_of(given[-1]))
        return instance(CANONICAL[short], first) if short in CANONICAL else None


def _optional(types: list[Type]) -> Type:
    """A union that keeps None but is as unknown as its only other member."""
    found = union(types)
    return UNKNOWN if found == NONE and any(not each.known for each in types) else found


def _special(name: str) -> Type | None:
    short = name.rpartition(".")[2]
    if not name.startswith(TYPING) and name != short:
        return None
    if short in ("Any", "object"):
        return UNKNOWN
    if short == "Self":
        return Type("typevar", "Self")
    if short in MAPPINGS:
        return instance("dict", UNKNOWN, UNKNOWN)
    if short in ("type", "Type"):
        return UNKNOWN
    if short in CANONICAL:
        return instance(CANONICAL[short], UNKNOWN)
    if short in ("int", "str", "bool", "float", "bytes"):
        return instance(short)
    return None


__all__ = ["STRAWBERRY", "Annotations"]
