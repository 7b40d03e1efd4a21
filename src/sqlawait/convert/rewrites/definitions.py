"""``def`` becomes ``async def``; decorators and annotations follow."""

from __future__ import annotations

import ast
from collections.abc import Iterator

from sqlawait.analysis.declarations import Class, Function, last_name
from sqlawait.analysis.types import members
from sqlawait.convert.context import Context
from sqlawait.convert.operators import METHODS

from .constructors import rewrite_constructor

ASYNCIO = "sqlalchemy.ext.asyncio"
CLASSES = {
    "sqlalchemy.orm.Session": (ASYNCIO, "AsyncSession"),
    "sqlmodel.Session": ("sqlmodel.ext.asyncio.session", "AsyncSession"),
    "sqlalchemy.orm.scoped_session": (ASYNCIO, "async_scoped_session"),
    "sqlalchemy.orm.sessionmaker": (ASYNCIO, "async_sessionmaker"),
    "sqlalchemy.Engine": (ASYNCIO, "AsyncEngine"),
    "sqlalchemy.Connection": (ASYNCIO, "AsyncConnection"),
    "sqlalchemy.orm.Query": ("sqlalchemy", "Select"),
}
"""Classes of the sync side and their counterparts."""
WALKED = {"Generator": "AsyncGenerator", "Iterator": "AsyncIterator", "Iterable": "AsyncIterable"}
MANAGERS = {"contextmanager": "asynccontextmanager", "ContextManager": "AsyncContextManager"}
HELD = {"AbstractContextManager": "contextlib", "ContextManager": "typing"}
"""Annotations of context managers."""
ENTRIES = {"__enter__": "__aenter__", "__exit__": "__aexit__", "__iter__": "__aiter__", "__next__": "__anext__"}


def rewrite_definition(function: Function, awaited: bool, context: Context, *, shared: bool = False) -> None:
    """Rewrite the head of a converted function; ``shared``: sync code gives it a sync session, too."""
    node = function.node
    assert not isinstance(node, ast.Lambda)
    edits = context.edits
    if awaited and function.name == "__init__":
        rewrite_constructor(function, context)
    elif awaited and not function.is_async:
        edits.replace(edits.start(node), edits.start(node), "async ")
        renamed = {**ENTRIES, **METHODS}.get(function.name)
        if renamed:
            at = edits.find(function.name, edits.start(node))
            edits.replace(at, at + len(function.name), renamed)
        for decorator in function.decorators:
            name = last_name(decorator)
            if name in MANAGERS:
                _renamed(decorator, MANAGERS[name], "contextlib", context)
    for annotation in annotations_of(function):
        rewrite_annotation(annotation, context, shared=shared)
    if node.returns is not None and awaited and function.yields:
        _walked(node.returns, context)


def annotations_of(function: Function) -> list[ast.expr]:
    """The annotations of a function's parameters and of its result."""
    node = function.node
    parameters = [*function.params, node.args.vararg, node.args.kwarg]
    found = [each.annotation for each in parameters if each is not None and each.annotation is not None]
    if not isinstance(node, ast.Lambda) and node.returns is not None:
        found.append(node.returns)
    return found


def _renamed(node: ast.expr, name: str, source: str, context: Context) -> None:
    """Replace the last part of a name, importing the new one where it is imported by name."""
    if isinstance(node, ast.Attribute):
        context.edits.rename(node, name)
    else:
        context.edits.replace_node(node, context.need(source, name))


def _walked(node: ast.expr, context: Context) -> None:
    """``Generator[Session, None, None]`` becomes ``AsyncGenerator[AsyncSession, None]``."""
    target = node.value if isinstance(node, ast.Subscript) else node
    name = last_name(target)
    if name not in WALKED:
        return
    source = "collections.abc" if _comes_from(target, "collections.abc", context) else "typing"
    _renamed(target, WALKED[name], source, context)
    if (
        name == "Generator"
        and isinstance(node, ast.Subscript)
        and isinstance(node.slice, ast.Tuple)
        and len(node.slice.elts) == 3
    ):
        edits = context.edits
        edits.replace(edits.end(node.slice.elts[1]), edits.end(node.slice.elts[2]), "")


def _comes_from(node: ast.expr, source: str, context: Context) -> bool:
    return context.facts.inference.names.qualified(node).startswith(source)


def rewrite_annotation(node: ast.expr, context: Context, *, only: str = "", shared: bool = False) -> None:
    """Sync classes named in an annotation become their async counterparts; ``only`` one of them, by name.

    ``shared``: they stay beside their counterparts.
    """
    if shared and any(isinstance(each, ast.Name) and each.id.startswith("Async") for each in _names(node)):
        return
    for each in _names(node):
        if only and not (isinstance(each, ast.Name | ast.Attribute) and last_name(each) == only):
            continue
        if isinstance(each, ast.Constant):
            text = str(each.value)
            if text == "Session" or (text.endswith(".Session") and "sqlalchemy" in text):
                context.need(ASYNCIO, "AsyncSession")
                quote = context.edits.text(each)[0]
                beside = f" | {text}" if shared else ""
                context.edits.replace_node(each, f"{quote}AsyncSession{beside}{quote}")
            continue
        counterpart = counterpart_of(each, context) or _manager_of(each, context)
        if counterpart is not None:
            beside = f" | {context.edits.text(each)}" if shared else ""
            context.edits.replace_node(each, context.need(*counterpart) + beside)


def counterpart_of(node: ast.expr, context: Context) -> tuple[str, str] | None:
    """Where the async class for a name of a sync one is imported from, and its name."""
    if isinstance(node, ast.Name | ast.Attribute):
        for each in members(context.facts.type_of(node)):
            if each.kind == "class" and isinstance(each.decl, Class) and each.name in CLASSES:
                return CLASSES[each.name]
    return None


def _manager_of(node: ast.expr, context: Context) -> tuple[str, str] | None:
    """The counterpart of the context manager of what has one itself: ``AbstractContextManager[Session]``."""
    parent = context.facts.parent(node)
    name = last_name(node)
    if not isinstance(parent, ast.Subscript) or parent.value is not node or name not in HELD:
        return None
    held = any(counterpart_of(each, context) for each in _names(parent.slice))
    return (HELD[name], name.replace("Context", "AsyncContext")) if held else None


def _names(node: ast.expr) -> Iterator[ast.expr]:
    """The names in an annotation; the inside of ``Depends(…)`` is left out."""
    if isinstance(node, ast.Call):
        return
    if isinstance(node, ast.Name | ast.Attribute | ast.Constant):
        yield node
        return
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.expr):
            yield from _names(child)


__all__ = ["ASYNCIO", "CLASSES", "annotations_of", "counterpart_of", "rewrite_annotation", "rewrite_definition"]
