"""Loader options as text: the relationships that a statement's rows need, merged and nested."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

from sqlawait.analysis.declarations import Class

Loader = Literal["selectinload", "joinedload", "defaultload", "undefer", "selectin_polymorphic"]


@dataclass(frozen=True, slots=True)
class Step:
    """One attribute on the way from a statement's row to what is read."""

    owner: Class
    name: str
    loader: Loader = "selectinload"
    of: Class | None = None
    """For ``selectin_polymorphic``: the subclass whose columns are loaded too."""


Path = tuple[Step, ...]


@dataclass
class _Node:
    step: Step
    below: dict[tuple[Class, str, Class | None], _Node] = field(default_factory=dict)


def option_texts(
    paths: Iterable[Path], name_of: Callable[[Class], str], need: Callable[[str], str]
) -> list[str]:
    """The options that load these paths, each once.

    :param name_of: What a class is called in the file.
    :param need: Imports a loader; gives what it is called in the file.
    """
    root: dict[tuple[Class, str, Class | None], _Node] = {}
    for path in paths:
        level = root
        for step in path:
            node = level.setdefault((step.owner, step.name, step.of), _Node(step))
            if node.step.loader == "defaultload" and step.loader != "defaultload":
                node.step = step
            level = node.below
    return _merged([_text(node, name_of, need) for node in root.values()])


def _text(node: _Node, name_of: Callable[[Class], str], need: Callable[[str], str]) -> str:
    below = list(node.below.values())
    text = f"{need(node.step.loader)}({_argument(node.step, name_of)})"
    if len(below) == 1:
        return text + _chained(below[0], name_of, need)
    if below:
        return f"{text}.options({', '.join(_merged([_text(each, name_of, need) for each in below]))})"
    return text


def _chained(node: _Node, name_of: Callable[[Class], str], need: Callable[[str], str]) -> str:
    below = list(node.below.values())
    argument = f"[{name_of(node.step.of)}]" if node.step.of is not None else _argument(node.step, name_of)
    text = f".{node.step.loader}({argument})"
    if len(below) == 1:
        return text + _chained(below[0], name_of, need)
    if below:
        return f"{text}.options({', '.join(_merged([_text(each, name_of, need) for each in below]))})"
    return text


def _argument(step: Step, name_of: Callable[[Class], str]) -> str:
    if step.of is not None:
        return f"{name_of(step.owner)}, [{name_of(step.of)}]"
    return f"{name_of(step.owner)}.{step.name}"


def _merged(texts: list[str]) -> list[str]:
    """Several subclasses of one class in one ``selectin_polymorphic``, which comes first."""
    heads: dict[str, list[str]] = {}
    rest: list[str] = []
    for text in texts:
        head, bracket, tail = text.partition(", [")
        if "selectin_polymorphic(" in head and tail.endswith("])") and "." not in tail:
            heads.setdefault(head, []).append(tail[:-2])
        else:
            rest.append(head + bracket + tail)
    return [f"{head}, [{', '.join(names)}])" for head, names in heads.items()] + rest


__all__ = ["Loader", "Path", "Step", "option_texts"]
