"""Texts that a code base builds: which URL an engine gets, as far as the source says."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING

from .declarations import Binding, Class, Function, last_name
from .types import members

if TYPE_CHECKING:
    from .inference import Inference

UNKNOWN_PART = "\0"
"""Stands in a text for a part that is not known."""
Texts = list[tuple[str, ast.expr]]


def texts_of(inference: Inference, node: ast.expr, depth: int = 0) -> Texts:
    """The texts that an expression can be, each with the literal that it begins with; empty where nothing is
    known."""
    if depth > 10:
        return []
    if isinstance(node, ast.Constant):
        return [(node.value, node)] if isinstance(node.value, str) else []
    if isinstance(node, ast.JoinedStr):
        return _joined(inference, node, depth)
    if isinstance(node, ast.BinOp) and isinstance(node.op, ast.Add):
        right = texts_of(inference, node.right, depth + 1)
        tail = right[0][0] if right else UNKNOWN_PART
        return [(text + tail, literal) for text, literal in texts_of(inference, node.left, depth + 1)]
    if isinstance(node, ast.BoolOp | ast.IfExp):
        values = node.values if isinstance(node, ast.BoolOp) else [node.body, node.orelse]
        return [each for value in values for each in texts_of(inference, value, depth + 1)]
    if isinstance(node, ast.Call):
        return _call(inference, node, depth)
    if isinstance(node, ast.Name):
        found: Texts = []
        for definition in inference.names.definitions(node):
            if isinstance(definition, Binding):
                found += _bound(inference, definition, depth)
        return found
    if isinstance(node, ast.Attribute):
        return _attribute(inference, node, depth)
    return []


def _bound(inference: Inference, binding: Binding, depth: int) -> Texts:
    if binding.kind == "param" and isinstance(binding.node, ast.arg):
        function = inference.project.collected.functions[binding.scope.node]
        default = function.defaults.get(binding.node.arg)
        found = [] if default is None else texts_of(inference, default, depth + 1)
        for use in inference.calling.uses(function):
            argument = use.argument(binding.node)
            found += [] if argument is None else texts_of(inference, argument, depth + 1)
        return found
    if binding.value is None or binding.path or binding.kind not in ("assign", "annotated", "other"):
        return []
    return texts_of(inference, binding.value, depth + 1)


def _joined(inference: Inference, node: ast.JoinedStr, depth: int) -> Texts:
    text = ""
    for part in node.values:
        if isinstance(part, ast.Constant):
            text += str(part.value)
        elif isinstance(part, ast.FormattedValue):
            known = texts_of(inference, part.value, depth + 1)
            text += known[0][0] if known else UNKNOWN_PART
    return [(text, node)]


def _attribute(inference: Inference, node: ast.Attribute, depth: int) -> Texts:
    found: Texts = []
    definitions = inference.names.definitions(node)
    for definition in definitions:
        if isinstance(definition, Binding):
            found += _bound(inference, definition, depth)
    if definitions:
        return found
    for owner in members(inference.type_of(node.value)):
        if not isinstance(owner.decl, Class):
            continue
        for base, _ in inference.bases(owner.decl):
            method = base.methods.get(node.attr)
            if method is not None:
                found += [t for value in method.returns for t in texts_of(inference, value, depth + 1)]
                break
            bindings = [*base.scope.bindings.get(node.attr, ()), *base.assigned.get(node.attr, ())]
            if bindings:
                found += [t for binding in bindings for t in _bound(inference, binding, depth)]
                break
    return found


def _call(inference: Inference, node: ast.Call, depth: int) -> Texts:
    name = last_name(node.func)
    if name == "replace" and isinstance(node.func, ast.Attribute) and len(node.args) >= 2:
        old, new = (texts_of(inference, each, depth + 1) for each in node.args[:2])
        if not old or not new:
            return []
        texts = texts_of(inference, node.func.value, depth + 1)
        return [(text.replace(old[0][0], new[0][0]), literal) for text, literal in texts]
    if name in ("get", "getenv", "env", "config") and len(node.args) >= 2:
        return texts_of(inference, node.args[1], depth + 1)
    if name in ("getenv", "get", "Field", "PostgresDsn", "config", "env"):
        default = next((k.value for k in node.keywords if k.arg == "default"), None)
        if default is None and name in ("Field", "PostgresDsn") and node.args:
            default = node.args[0]
        return [] if default is None else texts_of(inference, default, depth + 1)
    if name in ("make_url", "str", "URL", "AnyUrl") and node.args:
        return texts_of(inference, node.args[0], depth + 1)
    if name in ("create", "build") and isinstance(node.func, ast.Attribute):
        return _built(inference, node, depth)
    if name in ("render_as_string", "unicode_string", "strip", "set") and isinstance(node.func, ast.Attribute):
        if any(k.arg == "drivername" for k in node.keywords):
            return _built(inference, node, depth)
        return texts_of(inference, node.func.value, depth + 1)
    if name == "format" and isinstance(node.func, ast.Attribute):
        return texts_of(inference, node.func.value, depth + 1)
    return _returned(inference, node, depth)


def _returned(inference: Inference, node: ast.Call, depth: int) -> Texts:
    """The texts that a function of the code base returns."""
    found: Texts = []
    for callee in members(inference.type_of(node.func)):
        if callee.kind == "function" and isinstance(callee.decl, Function) and not callee.decl.module.stub:
            found += [t for value in callee.decl.returns for t in texts_of(inference, value, depth + 1)]
    return found


def _built(inference: Inference, node: ast.Call, depth: int) -> Texts:
    driver = next((k.value for k in node.keywords if k.arg in ("drivername", "scheme")), None)
    driver = driver if driver is not None else (node.args[0] if node.args else None)
    if driver is None:
        return []
    return [(f"{text}://", literal) for text, literal in texts_of(inference, driver, depth + 1)]


__all__ = ["UNKNOWN_PART", "texts_of"]
