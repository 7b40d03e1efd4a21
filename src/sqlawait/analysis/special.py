"""Calls whose result their signature does not say: factories, statements, loader options, asyncio,
built-ins."""

from __future__ import annotations

import ast
from collections.abc import Callable
from dataclasses import replace
from typing import TYPE_CHECKING

from .declarations import Binding, Function
from .loading import with_options
from .types import NONE, UNKNOWN, Origin, Type, external, instance, members, rewrite, union, with_origin

if TYPE_CHECKING:
    from .inference import Inference

Special = Callable[["Inference", ast.Call, Type], Type | None]
ASYNC_SESSION = "sqlalchemy.ext.asyncio.AsyncSession"
ASYNC_CONNECTION = "sqlalchemy.ext.asyncio.AsyncConnection"
SESSION = "sqlalchemy.orm.Session"
FACTORIES = ("sqlalchemy.orm.sessionmaker", "sqlalchemy.ext.asyncio.async_sessionmaker")


def keyword(call: ast.Call, name: str) -> ast.expr | None:
    """The value of a keyword argument."""
    return next((each.value for each in call.keywords if each.arg == name), None)


def constant(node: ast.expr | None) -> object:
    """The value of a literal; None for what is not one."""
    return node.value if isinstance(node, ast.Constant) else None


def stub_class(inference: Inference, name: str) -> Type:
    """An object of a class of the stubs, by its dotted name."""
    module, _, short = name.rpartition(".")
    return inference.instance_of(inference.module_member(inference.project.stubs[module], short))


def _spread(inference: Inference, call: ast.Call) -> dict[str, object] | None:
    """The literal keyword arguments of a call, those of a literal ``**options`` too; None if one is not."""
    found: dict[str, object] = {}
    for each in call.keywords:
        if each.arg is not None:
            found[each.arg] = constant(each.value)
            continue
        value: ast.expr | None = each.value
        if isinstance(value, ast.Name):
            bindings = inference.names.definitions(value)
            value = next((each.value for each in bindings if isinstance(each, Binding)), None)
        if isinstance(value, ast.Call) and not value.args:
            found.update({k.arg: constant(k.value) for k in value.keywords if k.arg})
        elif isinstance(value, ast.Dict) and all(isinstance(k, ast.Constant) for k in value.keys):
            found.update({str(constant(k)): constant(v) for k, v in zip(value.keys, value.values, strict=True)})
        else:
            return None
    return found


def _expires(inference: Inference, call: ast.Call, default: bool | None) -> bool | None:
    options = _spread(inference, call)
    if options is None:
        return None
    if "expire_on_commit" not in options:
        return default
    value = options["expire_on_commit"]
    return value if isinstance(value, bool) else None


def expiry(inference: Inference, call: ast.Call, made: Type) -> Type:
    """A session with what its making says about ``expire_on_commit``."""
    if made.kind == "instance" and (inference.is_a(made, ASYNC_SESSION) or inference.is_a(made, SESSION)):
        before = made.origin.expires if made.origin is not None else True
        return with_origin(made, Origin(expires=_expires(inference, call, before)))
    return made


def _factory(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    default = ASYNC_SESSION if callee.name.endswith("async_sessionmaker") else SESSION
    given = keyword(call, "class_")
    made = callee.args[0] if callee.args else UNKNOWN
    if given is not None:
        made = inference.instance_of(inference.type_of(given))
    if not made.known or made.kind != "instance":
        made = stub_class(inference, default)
    made = with_origin(made, Origin(expires=_expires(inference, call, True)))
    return replace(callee, kind="instance", args=(made,))


def _scoped(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    made = inference.calling.apply(inference.type_of(call.args[0])) if call.args else UNKNOWN
    return replace(callee, kind="instance", args=(made,))


def _entity(inference: Inference, node: ast.expr) -> Type:
    if isinstance(node, ast.Starred):
        return UNKNOWN
    found = inference.type_of(node)
    for each in members(found):
        if each.kind == "class":
            module = inference.project.module_of(node)
            origin = Origin(statement=(str(module.path), node.lineno))
            return with_origin(inference.calling.normal(inference.instance_of(each)), origin)
        if each.kind == "external" and each.name.startswith("attribute:"):
            return each
    return UNKNOWN


def _rows(inference: Inference, entities: list[ast.expr]) -> Type:
    found = [_entity(inference, each) for each in entities]
    return found[0] if len(found) == 1 else Type("instance", "sqlalchemy.Row", tuple(found))


def _select(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    return replace(stub_class(inference, "sqlalchemy.Select"), args=(_rows(inference, call.args),))


def _query(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    return replace(stub_class(inference, "sqlalchemy.orm.Query"), args=(_rows(inference, call.args),))


def _options(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    if not callee.args or not callee.args[0].args:
        return None
    return rewrite(callee.args[0], lambda each: with_options(inference, each, call.args))


def _inspect(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    if has_sync_bind(inference, call):
        return None
    for each in members(inference.type_of(call.args[0])) if call.args else ():
        if each.kind == "instance" and inference.models.is_model(each.decl):
            return stub_class(inference, "sqlalchemy.orm.InstanceState")
    return external("sqlalchemy.inspection")


def has_sync_bind(inference: Inference, call: ast.Call) -> bool:
    """Whether schema work is given a blocking engine or connection."""
    binds = [each for each in (keyword(call, "bind"), keyword(call, "autoload_with"), *call.args[:1]) if each]
    wanted = ("sqlalchemy.Engine", "sqlalchemy.Connection", SESSION)
    return any(
        inference.is_a(of, name) for bind in binds for of in members(inference.type_of(bind)) for name in wanted
    )


def _optional(inference: Inference, node: ast.expr) -> bool:
    """Whether an expression is, or stands under, a parameter that callers may leave false."""
    function = inference.project.function_of(node)
    if function is None:
        return False
    params = {each.arg for each in function.params}
    if isinstance(node, ast.Name):
        return node.id in params
    return any(
        isinstance(parent, ast.If) and isinstance(parent.test, ast.Name) and parent.test.id in params
        for parent in inference.project.ancestors(node)
    )


def _locked(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    if _optional(inference, call):
        return callee.args[0] if callee.args else None

    def change(each: Type) -> Type:
        if each.kind == "instance" and inference.models.is_model(each.decl):
            return with_origin(each, replace(each.origin or Origin(), locked=True))
        return each

    return rewrite(callee.args[0], change) if callee.args else None


def _columns(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    return replace(callee.args[0], args=(_rows(inference, call.args),)) if callee.args else None


def stamped(inference: Inference, call: ast.Call, function: Function, owner: Type, found: Type) -> Type:
    """The result of a session's method, its rows marked with the kind of session they came from."""
    if function.cls is None or function.name in ("add", "add_all", "begin", "begin_nested"):
        return found
    kind = ""
    for name in (ASYNC_SESSION, ASYNC_CONNECTION):
        kind = "async" if inference.is_a(owner, name) else kind
    kind = "sync" if inference.is_a(owner, SESSION) else kind
    if not kind:
        return found
    module = inference.project.module_of(call)
    options = keyword(call, "options") if function.name in ("get", "get_one") else None
    lock = keyword(call, "with_for_update")
    locks = lock is not None and not (isinstance(lock, ast.Constant) and not lock.value)
    locks = locks and not (isinstance(lock, ast.Name) and _optional(inference, lock))

    def change(each: Type) -> Type:
        if each.kind != "typevar" and (each.kind != "instance" or not inference.models.is_model(each.decl)):
            return each
        origin = each.origin or Origin()
        place = origin.statement or (str(module.path), call.lineno)
        origin = replace(origin, session="sync" if kind == "sync" else "async", statement=place, new=False)
        origin = replace(origin, locked=origin.locked or locks)
        marked = with_origin(each, replace(origin, expires=owner.origin.expires if owner.origin else None))
        return with_options(inference, marked, [options]) if options is not None else marked

    return rewrite(found, change)


def _typevar(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    bound = keyword(call, "bound")
    name = constant(call.args[0]) if call.args else ""
    limits = (inference.annotations.type_of(bound),) if bound is not None else ()
    return Type("typevar", str(name), limits)


def _newtype(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    """``NewType("ReadSession", AsyncSession)`` is an AsyncSession when the program runs."""
    return inference.type_of(call.args[1]) if len(call.args) == 2 else None


def _cast(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    if len(call.args) != 2:
        return None
    return inference.refine(inference.annotations.type_of(call.args[0]), inference.type_of(call.args[1]))


def _partial(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    return instance("partial", inference.type_of(call.args[0])) if call.args else None


def _same(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    return inference.type_of(call.args[0]) if call.args else None


def _gather(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    if any(isinstance(each, ast.Starred) for each in call.args):
        first = call.args[0]
        inner = (
            inference.iterated(inference.type_of(first.value)) if isinstance(first, ast.Starred) else UNKNOWN
        )
        return instance("Coroutine", instance("list", inference.awaited(inner)))
    results = [inference.awaited(inference.type_of(each)) for each in call.args]
    return instance("Coroutine", instance("tuple", *results))


def _handed_on(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    handed = inference.calling.handed_on(callee, call)
    if handed is None:
        return None
    return instance("Coroutine", inference.calling.apply(inference.type_of(handed[0])))


def _context_factory(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    if not call.args:
        return None
    kind = "AsyncContextManager" if "async" in callee.name else "ContextManager"
    made = inference.calling.apply(inference.type_of(call.args[0]))
    manager = instance(kind, inference.iterated(made))
    return instance("partial", Type("external", "returns", (manager, inference.type_of(call.args[0]))))


def _closing(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    kind = "AsyncContextManager" if "aclosing" in callee.name else "ContextManager"
    return instance(kind, inference.type_of(call.args[0])) if call.args else None


def _entered(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    if not call.args:
        return None
    found = inference.entered(inference.type_of(call.args[0]))
    return instance("Coroutine", found) if "async" in callee.name else found


def _next(inference: Inference, call: ast.Call, callee: Type) -> Type | None:
    found = inference.iterated(inference.type_of(call.args[0])) if call.args else UNKNOWN
    return instance("Coroutine", found) if callee.name.endswith("anext") else found


def _listed(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    return instance("list", inference.iterated(inference.type_of(call.args[0])) if call.args else UNKNOWN)


def _enumerate(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    item = inference.iterated(inference.type_of(call.args[0])) if call.args else UNKNOWN
    return instance("list", instance("tuple", instance("int"), item))


def _zip(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    return instance(
        "list", instance("tuple", *(inference.iterated(inference.type_of(each)) for each in call.args))
    )


def _mapped(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    if not call.args:
        return None
    return instance("list", inference.calling.apply(inference.type_of(call.args[0])))


def _getattr(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    if len(call.args) < 2 or not isinstance(name := constant(call.args[1]), str):
        return None
    owner = call.args[0]
    found = inference.attributes.of(inference.type_of(owner), name)
    return found if found.kind != "external" else None


def _max(inference: Inference, call: ast.Call, _callee: Type) -> Type | None:
    return inference.iterated(inference.type_of(call.args[0])) if len(call.args) == 1 else UNKNOWN


def _dict_get(_inference: Inference, _call: ast.Call, callee: Type) -> Type | None:
    owner = callee.args[0]
    return union([owner.args[1], NONE]) if len(owner.args) == 2 and owner.args[1].known else None


def _dict_part(part: str) -> Special:
    def special(_inference: Inference, _call: ast.Call, callee: Type) -> Type | None:
        owner = callee.args[0]
        if len(owner.args) != 2:
            return None
        whole = {"keys": owner.args[0], "values": owner.args[1], "items": instance("tuple", *owner.args)}
        return instance("list", whole[part])

    return special


def _popped(inference: Inference, _call: ast.Call, callee: Type) -> Type | None:
    return inference.iterated(callee.args[0]) if callee.args else None


def new_row(inference: Inference, call: ast.Call, callee: Type) -> Type:
    """``Model(…)``: a row that is not loaded, with the attributes it was given."""
    given = frozenset(each.arg if each.arg is not None else "*" for each in call.keywords)
    module = inference.project.module_of(call)
    origin = Origin(loaded=given, new=True, statement=(str(module.path), call.lineno))
    return with_origin(inference.instance_of(callee), origin)


SPECIAL: dict[str, Special] = {
    **dict.fromkeys(FACTORIES, _factory),
    "sqlalchemy.orm.scoped_session": _scoped,
    "sqlalchemy.ext.asyncio.async_scoped_session": _scoped,
    "sqlalchemy.select": _select,
    "sqlalchemy.orm.Session.query": _query,
    "sqlalchemy.Select.options": _options,
    "sqlalchemy.orm.Query.options": _options,
    "sqlalchemy.inspect": _inspect,
    "sqlalchemy.Select.with_for_update": _locked,
    "sqlalchemy.orm.Query.with_for_update": _locked,
    "sqlalchemy.Select.with_only_columns": _columns,
    "sqlalchemy.orm.Query.with_entities": _columns,
    "typing.TypeVar": _typevar,
    "typing_extensions.TypeVar": _typevar,
    "typing.NewType": _newtype,
    "typing_extensions.NewType": _newtype,
    "typing.cast": _cast,
    "functools.partial": _partial,
    "functools.lru_cache": _same,
    "functools.cache": _same,
    "copy.copy": _same,
    "asyncio.wait_for": _same,
    "asyncio.shield": _same,
    "asyncio.create_task": _same,
    "asyncio.ensure_future": _same,
    "asyncio.run": lambda i, c, _: i.awaited(i.type_of(c.args[0])) if c.args else None,
    "asyncio.gather": _gather,
    "asyncio.to_thread": _handed_on,
    "fastapi.concurrency.run_in_threadpool": _handed_on,
    "starlette.concurrency.run_in_threadpool": _handed_on,
    "anyio.to_thread.run_sync": _handed_on,
    "sqlalchemy.ext.asyncio.AsyncSession.run_sync": _handed_on,
    "sqlalchemy.ext.asyncio.AsyncConnection.run_sync": _handed_on,
    "contextlib.contextmanager": _context_factory,
    "contextlib.asynccontextmanager": _context_factory,
    "contextlib.closing": _closing,
    "contextlib.aclosing": _closing,
    "contextlib.ExitStack().enter_context": _entered,
    "contextlib.AsyncExitStack().enter_context": _entered,
    "contextlib.AsyncExitStack().enter_async_context": _entered,
    "returns": lambda _i, _c, callee: callee.args[0],
    "builtins.next": _next,
    "builtins.anext": _next,
    **dict.fromkeys(
        ("builtins.list", "builtins.sorted", "builtins.reversed", "builtins.set", "builtins.tuple"), _listed
    ),
    "builtins.iter": _same,
    "builtins.enumerate": _enumerate,
    "builtins.zip": _zip,
    "builtins.map": _mapped,
    "builtins.filter": lambda i, c, _: (
        instance("list", i.iterated(i.type_of(c.args[1]))) if len(c.args) > 1 else None
    ),
    "builtins.max": _max,
    "builtins.min": _max,
    "builtins.getattr": _getattr,
    **dict.fromkeys(("builtins.len", "builtins.int", "builtins.hash"), lambda *_: instance("int")),
    **dict.fromkeys(("builtins.str", "builtins.repr"), lambda *_: instance("str")),
    "dict.get": _dict_get,
    "dict.pop": _dict_get,
    "dict.setdefault": _dict_get,
    "dict.keys": _dict_part("keys"),
    "dict.values": _dict_part("values"),
    "dict.items": _dict_part("items"),
    "list.pop": _popped,
    "list.copy": lambda _i, _c, callee: callee.args[0],
}

__all__ = [
    "ASYNC_SESSION",
    "SESSION",
    "SPECIAL",
    "constant",
    "expiry",
    "external",
    "keyword",
    "new_row",
    "stamped",
    "stub_class",
]
