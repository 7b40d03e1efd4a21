"""What is decided about a code base before any of it is written anew."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from sqlawait.analysis.declarations import Binding, Module
from sqlawait.analysis.inference import Inference
from sqlawait.analysis.project import Project

from .barriers import Barriers
from .colours import Colours, Painter
from .facts import Facts
from .options import Options
from .resources import Resource, add_dependencies, find_resources
from .rewrites.blocking import Blocking
from .rewrites.decorators import Wrapper, find_wrappers
from .slices import selection
from .suite_files import is_test
from .unbound import Unbound, find_unbound


@dataclass(frozen=True, slots=True)
class Decisions:
    """All of them; what writes the code asks here."""

    options: Options
    root: Path
    facts: Facts
    suite: set[Module]
    """The files of the test suite."""
    resources: dict[Binding, Resource]
    """The engines and session factories."""
    colours: Colours
    """Which functions become async."""
    unbound: Unbound
    """Functions that are given a session."""
    threads: Blocking
    """Calls that move to a thread."""
    wrappers: list[Wrapper]
    """The wrappers of decorators."""


def decide(project: Project, options: Options, root: Path) -> Decisions:
    """Decide about a code base.

    Raises :class:`~sqlawait.convert.apply.Refused` for a slice that the code base does not have.
    """
    facts = Facts(project, Inference(project))
    selected = selection(facts.inference, options.only)
    suite = {module for module in project.modules.values() if is_test(module)}
    resources = find_resources(facts, suite)
    painter = Painter(
        facts, barriers=Barriers(facts, root), resources=resources, suite=suite, selected=selected
    )
    colours = painter.paint()
    add_dependencies(facts, resources, colours, suite)
    return Decisions(
        options=options,
        root=root,
        facts=facts,
        suite=suite,
        resources=resources,
        colours=colours,
        unbound=find_unbound(facts, colours),
        threads=Blocking(facts, colours.awaited),
        wrappers=find_wrappers(facts, colours),
    )


__all__ = ["Decisions", "decide"]
