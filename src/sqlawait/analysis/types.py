"""What an expression is: a class, its arguments, and where a session or a row came from.

A :class:`Type` is a value, hashable and small. ``kind`` says what it stands for:

``instance``  an object of class ``name`` (``decl`` is the :class:`~.declarations.Class` where its source is
known)
``class``     the class itself; ``args`` are its type arguments
``function``  a function, bound to ``args[0]`` when there is one
``module``    a module of the code base
``external``  something whose source is not read: ``requests.get``; called, it is ``requests.get()``
``typevar``   a type variable, ``args[0]`` its bound
``union``     one of ``args``
``unknown``   nothing is known
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from .declarations import Class, Function, Module

Kind = Literal["instance", "class", "function", "module", "external", "typevar", "union", "unknown"]


@dataclass(frozen=True, slots=True)
class Origin:
    """Where a session or a row came from: what the name of its class does not say."""

    session: Literal["async", "sync", ""] = ""
    """The kind of session that loaded the row."""
    loaded: frozenset[str] = frozenset()
    """Relationships that loader options named, as dotted paths; ``"*"`` when options could not be read."""
    statement: tuple[str, int] | None = None
    """Path and line of the statement that loaded the row."""
    expires: bool | None = None
    """Of a session: whether a commit expires what it holds; None when that is not known."""
    locked: bool = False
    """The statement takes row locks."""
    new: bool = False
    """The row was made by calling its class and may not be in the database yet."""
    path: tuple[str, ...] = ()
    """The relationships from the row that the statement loaded to this one."""

    @property
    def nested(self) -> bool:
        """Whether the row stands behind a relationship of the row that the statement loaded."""
        return bool(self.path)

    def loads(self, relationship: str) -> bool:
        """Whether options named a relationship, or may have: some could not be read."""
        return bool({relationship, "*"} & self.loaded) or any(path.startswith("self.") for path in self.loaded)

    def below(self, relationship: str, also: Iterable[str] = ()) -> Origin:
        """The origin of what stands behind a relationship; ``also`` are relationships that come with it."""
        head = f"{relationship}."
        paths = {path.removeprefix(head) for path in self.loaded if path.startswith(head)}
        return replace(
            self,
            loaded=frozenset({*paths, *also, *(p for p in self.loaded if p == "*" or p.startswith("self."))}),
            new=False,
            path=(*self.path, relationship),
        )


@dataclass(frozen=True, slots=True)
class Type:
    """What an expression is; see the module's docstring."""

    kind: Kind
    name: str = ""
    args: tuple[Type, ...] = ()
    decl: Class | Function | Module | None = None
    origin: Origin | None = None

    @property
    def known(self) -> bool:
        """Whether anything is known."""
        return self.kind != "unknown"

    def __str__(self) -> str:
        args = f"[{', '.join(map(str, self.args))}]" if self.args else ""
        if self.kind == "union":
            return " | ".join(map(str, self.args))
        if self.kind == "class":
            return f"type[{self.name}{args}]"
        if self.kind == "function":
            return f"def {self.name}"
        return f"{self.name or self.kind}{args}"


UNKNOWN = Type("unknown")
EXECUTABLE = "sqlalchemy.Executable"
"""The base of statements: the first argument of each says what its rows are."""
NONE = Type("instance", "None")


def instance(name: str, *args: Type) -> Type:
    """An object of a built-in or special class, such as ``list`` or ``Coroutine``."""
    return Type("instance", name, args)


def external(name: str) -> Type:
    """Something whose source is not read."""
    return Type("external", name)


def members(of: Type) -> Iterator[Type]:
    """The members of a union without None and the unknown, or the type itself."""
    if of.kind == "union":
        for each in of.args:
            yield from members(each)
    elif of.kind != "unknown" and of != NONE:
        yield of


def union(types: Iterable[Type]) -> Type:
    """One of these; the unknown is left out as long as something is known."""
    flat: dict[Type, None] = {}
    for each in types:
        for one in each.args if each.kind == "union" else (each,):
            if one.kind != "unknown":
                flat[one] = None
    if not flat:
        return UNKNOWN
    # Recursion through data structures can build ever larger types: past a dozen members nobody asks.
    return next(iter(flat)) if len(flat) == 1 else Type("union", "", tuple(flat)[:12])


def rewrite(of: Type, change: Callable[[Type], Type], depth: int = 6) -> Type:
    """The type with ``change`` applied to every part of it, innermost first."""
    if of.args and depth and of.kind != "function":
        args = tuple(rewrite(each, change, depth - 1) for each in of.args)
        if of.kind == "union":
            of = union(args)
        elif args != of.args:
            of = replace(of, args=args)
    return change(of)


def substitute(of: Type, environment: dict[str, Type]) -> Type:
    """The type with its type variables replaced; a row keeps where it came from."""
    if not environment:
        return of

    def change(each: Type) -> Type:
        if each.kind != "typevar" or each.name not in environment:
            return each
        found = environment[each.name]
        return with_origin(found, each.origin) if each.origin else found

    return rewrite(of, change)


def with_origin(of: Type, origin: Origin | None) -> Type:
    """The same type, from there: for a union, each member that is an object."""
    if of.kind == "union":
        return union(with_origin(each, origin) for each in of.args)
    return replace(of, origin=origin) if of.kind in ("instance", "typevar") and of != NONE else of


def unify(pattern: Type, value: Type, into: dict[str, Type]) -> None:
    """Learn type variables by laying the type of an argument over the annotation of its parameter."""
    if pattern.kind == "typevar":
        if value.known and (pattern.name not in into or not into[pattern.name].known):
            into[pattern.name] = value
        return
    if pattern.kind == "union":
        for each in pattern.args:
            unify(each, value, into)
        return
    for one in members(value):
        if pattern.kind == "class" and one.kind == "class" and pattern.name == "" and pattern.args:
            inner = one.args[0] if not one.name and one.args else replace(one, kind="instance", origin=None)
            unify(pattern.args[0], inner, into)
        elif pattern.kind == one.kind and pattern.name in (one.name, EXECUTABLE):
            for left, right in zip(pattern.args, one.args, strict=False):
                unify(left, right, into)


__all__ = [
    "NONE",
    "UNKNOWN",
    "Origin",
    "Type",
    "external",
    "instance",
    "members",
    "rewrite",
    "substitute",
    "unify",
    "union",
    "with_origin",
]
