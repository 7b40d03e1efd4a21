"""The conversion of a code base: every file's changes, worked out together and returned, nothing written."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Literal, get_args

from sqlawait.analysis.declarations import Function, Module
from sqlawait.analysis.project import Progress, Project

from .bridge import NAME, bridge_source, import_of_bridge, place_bridge
from .context import Context, Refusal
from .decisions import Decisions, decide
from .edits import Edits
from .finishing import finish
from .functions import Functions
from .loading.loads import Loads
from .options import Options
from .result import Result, Todo
from .rewrites.constructors import rewrite_dependencies
from .rewrites.decorators import rewrite_wrapper
from .rewrites.suite import Suite
from .top_level import TopLevel
from .twins import Twins

Phase = Literal["drivers", "queries", "loading", "async", "tests"]
PHASES: tuple[Phase, ...] = get_args(Phase)
"""The steps of a conversion; the code runs after each. It is sync up to the third."""


class Conversion:
    """Converts one code base.

    Raises :class:`~sqlawait.convert.apply.Refused` for a slice that the code base does not have.
    """

    def __init__(
        self, project: Project, options: Options, *, root: Path | None = None, progress: Progress | None = None
    ) -> None:
        self.project = project
        self.progress = progress
        self.decisions = decide(project, options, root or Path())

    def run(self, phase: Phase = "tests") -> Result:
        """Work out all changes up to the end of a phase, always from the code as it was read."""
        return Run(self.decisions, phase, self.progress).result()


class Run:
    """One run of a conversion, up to the end of a phase."""

    def __init__(self, decisions: Decisions, phase: Phase, progress: Progress | None) -> None:
        self.decisions = decisions
        self.project = decisions.facts.project
        self.colours = decisions.colours
        self.phase = phase
        self.progress = progress
        self.blocking = PHASES.index(phase) < PHASES.index("async")
        self.contexts: dict[Module, Context] = {}
        self.added: dict[Path, str] = {}
        """New files and their text."""
        self.twins = Twins(decisions.facts, self.colours, decisions.resources, self.context)
        self.functions = Functions(decisions, self.twins)
        self.top_level = TopLevel(decisions, self.twins)
        self.loads = Loads(decisions, self.context, blocking=self.blocking)

    def context(self, module: Module) -> Context:
        """The changes of a file."""
        if module not in self.contexts:
            edits = Edits(module.source)
            self.contexts[module] = Context(module, self.decisions.facts, edits, blocking=self.blocking)
        return self.contexts[module]

    def result(self) -> Result:
        """Work it out."""
        if self.phase != "drivers":
            self._application()
        if self.phase == "tests" and self.decisions.options.tests and self.colours.awaited:
            self._suite()
        result = Result(
            functions=0 if self.blocking else len([each for each in self.colours.awaited if not each.is_async]),
            twins=0 if self.blocking else len(self.colours.twins),
            lines=sum(module.source.count("\n") for module in self.project.modules.values()),
            tests=len(self.added),
            notes=list(dict.fromkeys(self.loads.plan.notes)),
        )
        result.changes.update({path: ("", text) for path, text in self.added.items()})
        for module, context in self.contexts.items():
            after = finish(context)
            if after != module.source:
                result.changes[module.path] = (module.source, after)
                result.tests += module in self.decisions.suite
            result.counts += context.counts
            result.todos += [Todo(module.path, *each) for each in sorted(context.todos)]
        return result

    def _application(self) -> None:
        modules = [
            each for each in self.project.modules.values() if each.checked and each not in self.decisions.suite
        ]
        loads = self.phase != "queries" and bool(self.colours.awaited)
        if loads:
            self.loads.place()
        for number, module in enumerate(modules):
            if self.progress is not None:
                self.progress("converting", number, len(modules))
            if self.blocking:
                self._queries(module)
            else:
                self._module(module)
        if loads:
            self.loads.write()

    def _queries(self, module: Module) -> None:
        context = self.context(module)
        for function in self.colours.units:
            if function.module is module and function in self.colours.converted:
                self.functions.rewrite_queries(function, context)

    def _module(self, module: Module) -> None:
        context = self.context(module)
        for function in self.colours.units:
            if function.module is not module:
                continue
            if function in self.colours.stuck:
                reason = f"{function.qualname} waits for the database and cannot be a coroutine function"
                context.refuse(function.own_nodes[0], Refusal("SAW904", reason))
            if function in self.colours.converted:
                if function in self.colours.single:
                    self._refuse_single(function, context)
                self.functions.rewrite(function, context)
                if function in self.colours.twins and not self.twins.has_around(function):
                    self.twins.put_behind(function, context)
            elif not self.twins.has_around(function):
                self.twins.rename([*function.own_nodes, *_signature(function)], context.edits, context)
        for wrapper in self.decisions.wrappers:
            if wrapper.function.module is module:
                rewrite_wrapper(wrapper, self.colours, context)
        rewrite_dependencies(module.tree, self.colours.awaited, context)
        self.top_level.rewrite(context)

    def _refuse_single(self, function: Function, context: Context) -> None:
        """Leave to be done by hand what a constructor makes for async code and for sync code at once."""
        uses = self.colours.units[function].uses
        beside = {node for each in self.decisions.resources.values() for node in ast.walk(each.call)}
        made: list[ast.expr] = [each.node for each in uses.waits]
        made += [call for call, targets in uses.calls if self.colours.twins.intersection(targets)]
        for node in made:
            if node not in beside:
                reason = (
                    f"{function.qualname} makes this for async code and for sync code; make it in two classes"
                )
                context.refuse(node, Refusal("SAW908", reason))

    def _suite(self) -> None:
        decisions = self.decisions
        tests = [module for module in decisions.suite if module.checked]
        suite = Suite(
            decisions.facts, self.colours, decisions.resources, decisions.options.drivers, decisions.unbound
        )
        bridge = suite.needs_bridge(tests)
        for module in tests:
            suite.rewrite(module, self.context(module), bridge=bridge)
        if bridge:
            self._bridge(tests)

    def _bridge(self, tests: list[Module]) -> None:
        """Add the file that the converted suite runs on, and import it from each test file that needs it."""
        path, conftest = place_bridge(tests)
        for module in tests:
            context = self.context(module)
            source = import_of_bridge(module, path, self.project.modules)
            context.imports = {
                (source if key[0] == NAME else key[0], key[1]): v for key, v in context.imports.items()
            }
            if module is conftest:
                context.stars.add(source)
        self.added[path] = bridge_source(self.project, self.decisions.suite)
        if conftest is None:
            start = path.parent / "conftest.py"
            package = (path.parent / "__init__.py") in self.project.modules
            self.added[start] = f"from {'.' if package else ''}{NAME} import *  # noqa: F403\n"


def _signature(function: Function) -> list[ast.AST]:
    """The nodes of the defaults and annotations of a function, where dependencies are named."""
    spec = function.node.args
    parts: list[ast.expr] = [*spec.defaults, *(each for each in spec.kw_defaults if each is not None)]
    parts += [each.annotation for each in function.params if each.annotation is not None]
    return [node for part in parts for node in ast.walk(part)]


__all__ = ["PHASES", "Conversion", "Phase"]
