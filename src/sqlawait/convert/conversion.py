"""The conversion of a code base: every file's changes, worked out together and returned, nothing written."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal, get_args

from sqlawait.analysis.declarations import Class, Function, Module, last_name
from sqlawait.analysis.inference import Inference
from sqlawait.analysis.injection import METHODS
from sqlawait.analysis.project import Progress, Project
from sqlawait.analysis.syntax import parse
from sqlawait.check.finding import Finding

from .barriers import Barriers
from .bridge import NAME, bridge_source, import_of_bridge, place_bridge
from .colours import SYNC_CALLS, Colours, Painter
from .context import Context, Refusal
from .drivers import Drivers
from .edits import Edits
from .facts import Facts
from .imports import add_imports, add_star, remove_unused
from .kinds import kind_of
from .loading.deferred import load_deferred
from .loading.inheritance import load_subclass
from .loading.mappers import Mappers, in_templates
from .loading.outdated import Outdated
from .loading.placing import Placing
from .loading.plan import Plan
from .loading.rereading import Rereading, reading_anew
from .loading.statements import Statements
from .loading.traced import Traced
from .loading.writing import write_options, write_refreshes
from .resources import add_dependencies, find_resources, is_listener
from .rewrites.awaits import (
    make_awaitable,
    on_sync_engine,
    on_sync_session,
    put_await,
    rewrite_wait,
    rewrite_with,
)
from .rewrites.blocking import Blocking, rewrite_blocking
from .rewrites.calls import rewrite_call, rewrite_handed, rewrite_manager, rewrite_walk
from .rewrites.constructors import rewrite_dependencies
from .rewrites.decorators import find_wrappers, rewrite_wrapper
from .rewrites.definitions import annotations_of, rewrite_annotation, rewrite_definition
from .rewrites.factories import (
    append_keyword,
    keep_after_commit,
    rewrite_factory,
    rewrite_session_of_state,
)
from .rewrites.lambdas import PER_ITEM, rewrite_per_item
from .rewrites.operators import rewrite_operator
from .rewrites.pagination import rewrite_pagination
from .rewrites.query import rewrite_query
from .rewrites.schema import rewrite_schema
from .rewrites.suite import Suite
from .slices import selection
from .tracing.trace import Trace
from .twins import Twins
from .unbound import find_unbound, hand_session, take_session
from .waits import TO_THREAD, Wait

Step = tuple[int, Callable[[], None], ast.AST]
Phase = Literal["drivers", "queries", "loading", "async", "tests"]
ORM = "sqlalchemy.orm"
PHASES: tuple[Phase, ...] = get_args(Phase)
"""The steps of a conversion; the code runs after each. It is sync up to the third."""


@dataclass(frozen=True, slots=True)
class Options:
    """What is converted, and how."""

    tests: bool = False
    drivers: Drivers = field(default_factory=Drivers)
    only: Sequence[str] = ()
    """The routes, modules, functions or folders of a slice; without any, all of the code base."""
    trace: Trace | None = None
    """What a run of the suite loaded on access."""


@dataclass(frozen=True, slots=True)
class Todo:
    """A construct that was not converted."""

    path: Path
    line: int
    code: str
    reason: str


@dataclass
class Result:
    """What a conversion comes to."""

    changes: dict[Path, tuple[str, str]] = field(default_factory=dict)
    """The files that change: before and after."""
    todos: list[Todo] = field(default_factory=list)
    functions: int = 0
    """How many functions became async."""
    twins: int = 0
    """How many functions are there in both kinds."""
    lines: int = 0
    """Lines of Python that were read."""
    tests: int = 0
    """How many of the changed files belong to the test suite."""
    counts: Counter[str] = field(default_factory=Counter)
    """How many places were rewritten, by what they are."""
    findings: list[Finding] = field(default_factory=list)
    """What ``sqlawait check`` finds in the result and did not find before."""
    notes: list[str] = field(default_factory=list)
    """What else its reader should know."""


def is_test(module: Module) -> bool:
    """Whether a file holds tests or what only tests need."""
    name = module.path.name
    if name == "conftest.py" or any(part in ("tests", "test", "testing") for part in module.path.parts[-4:-1]):
        return True
    return (name.startswith("test_") or name.endswith("_test.py")) and _has_tests(module.tree)


def _has_tests(tree: ast.Module) -> bool:
    """Whether pytest finds something in a file: an application may deal with tests, too."""
    for node in tree.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and node.name.startswith("test"):
            if not any(
                isinstance(each, ast.Call) and last_name(each.func) in METHODS for each in node.decorator_list
            ):
                return True
        elif isinstance(node, ast.ClassDef):
            methods = [
                each.name for each in node.body if isinstance(each, ast.FunctionDef | ast.AsyncFunctionDef)
            ]
            if any(each.startswith("test") for each in methods):
                return True
    return False


class Conversion:
    """Converts one code base.

    Raises :class:`~sqlawait.convert.apply.Refused` for a slice that the code base does not have.
    """

    def __init__(
        self, project: Project, options: Options, *, root: Path | None = None, progress: Progress | None = None
    ) -> None:
        self.project = project
        self.root = root or Path()
        self.progress = progress
        self.options = options
        self.facts = Facts(project, Inference(project))
        selected = selection(self.facts.inference, options.only)
        self.skipped = {m for m in project.modules.values() if is_test(m)}
        self.resources = find_resources(self.facts, self.skipped)
        barriers = Barriers(self.facts, self.root)
        painter = Painter(
            self.facts, barriers=barriers, is_test=is_test, resources=self.resources, selected=selected
        )
        self.colours: Colours = painter.paint()
        add_dependencies(self.facts, self.resources, self.colours, self.skipped)
        self.unbound = find_unbound(self.facts, self.colours)
        self.threads = Blocking(self.facts, self.colours.awaited)
        self.wrappers = find_wrappers(self.facts, self.colours)
        self.contexts: dict[Module, Context] = {}
        self.added: dict[Path, str] = {}
        self.loads = Plan()

    def run(self, phase: Phase = "tests") -> Result:
        """Work out all changes up to the end of a phase, always from the code as it was read."""
        self.contexts = {}
        self.added = {}
        self.twins = Twins(self.facts, self.colours, self.resources, self._context)
        self.loads = Plan()
        self.blocking = PHASES.index(phase) < PHASES.index("async")
        if phase != "drivers":
            self._rewrite(phase)
        result = Result(
            functions=0 if self.blocking else len([each for each in self.colours.awaited if not each.is_async]),
            twins=0 if self.blocking else len(self.colours.twins),
            lines=sum(module.source.count("\n") for module in self.project.modules.values()),
            tests=len(self.added),
            notes=list(dict.fromkeys(self.loads.notes)),
        )
        result.changes.update({path: ("", text) for path, text in self.added.items()})
        for module, context in self.contexts.items():
            after = self._finish(module, context)
            if after != module.source:
                result.changes[module.path] = (module.source, after)
                result.tests += module in self.skipped
            result.counts += context.counts
            result.todos += [
                Todo(module.path, line, code, reason) for line, code, reason in sorted(context.todos)
            ]
        return result

    def _rewrite(self, phase: Phase) -> None:
        modules = [each for each in self.project.modules.values() if each.checked and each not in self.skipped]
        if phase != "queries" and self.colours.awaited:
            self._plan_loads()
        for number, module in enumerate(modules):
            if self.progress is not None:
                self.progress("converting", number, len(modules))
            self._module(module)
        if phase != "queries" and self.colours.awaited:
            self._load()
        if phase == "tests" and self.options.tests and self.colours.awaited:
            self._suite()

    # -- one file ----------------------------------------------------------------------------------------------

    def _context(self, module: Module) -> Context:
        if module not in self.contexts:
            self.contexts[module] = Context(module, self.facts, Edits(module.source), blocking=self.blocking)
        return self.contexts[module]

    def _module(self, module: Module) -> None:
        context = self._context(module)
        if self.blocking:
            self._still_sync(module, context)
            return
        for function in self.colours.units:
            if function.module is not module:
                continue
            if function in self.colours.stuck:
                reason = f"{function.qualname} waits for the database and cannot be a coroutine function"
                context.refuse(function.own_nodes[0], Refusal("SAW904", reason))
            if function in self.colours.converted:
                self._function(function, context)
                if function in self.colours.twins and not self.twins.has_around(function):
                    self.twins.put_behind(function, context)
            elif not self.twins.has_around(function):
                self.twins.rename([*function.own_nodes, *_signature(function)], context.edits, context)
        for wrapper in self.wrappers:
            if wrapper.function.module is module:
                rewrite_wrapper(wrapper, self.colours, context)
        rewrite_dependencies(module.tree, self.colours.awaited, context)
        self._resources(module, context)
        self._top(module, context)

    def _still_sync(self, module: Module, context: Context) -> None:
        """Rewrite the queries, and leave it to a later phase to await them."""
        for function in self.colours.units:
            if function.module is module and function in self.colours.converted:
                chains = [wait for wait in self.colours.units[function].uses.waits if wait.chain is not None]
                self._take([(self._span(w.node), self._waiting(w, context), w.node) for w in chains], context)
                for annotation in annotations_of(function):
                    rewrite_annotation(annotation, context, only="Query")
                if function in self.unbound.functions:
                    take_session(function, self.unbound.functions[function], context)
                for call, _ in self.colours.units[function].uses.calls:
                    if call in self.unbound.arguments:
                        hand_session(call, self.unbound.arguments[call], context)

    def _suite(self) -> None:
        """Convert the test suite."""
        tests = [module for module in self.skipped if module.checked]
        suite = Suite(self.facts, self.colours, self.resources, self.options.drivers, self.unbound)
        bridge = suite.needs_bridge(tests)
        for module in tests:
            suite.rewrite(module, self._context(module), bridge=bridge)
        if not bridge:
            return
        path, conftest = place_bridge(tests)
        for module in tests:
            context = self._context(module)
            source = import_of_bridge(module, path, self.project.modules)
            context.imports = {
                (source if key[0] == NAME else key[0], key[1]): v for key, v in context.imports.items()
            }
            if module is conftest:
                context.stars.add(source)
        self.added[path] = bridge_source(self.project, self.skipped)
        if conftest is None:
            start = path.parent / "conftest.py"
            package = (path.parent / "__init__.py") in self.project.modules
            self.added[start] = f"from {'.' if package else ''}{NAME} import *  # noqa: F403\n"

    def _plan_loads(self) -> None:
        """Load with its statement what was loaded when it was read, where that statement is known."""
        if self.options.trace is not None:
            Traced(self.facts, self.colours, self.loads, self.options.trace, str(self.root)).place()
        models = self.facts.inference.models
        names = {name for model in models.all() for name in models.relationships(model)}
        read = in_templates(self.root, names)
        Placing(self.facts, self.colours, self.loads, self.skipped, read).place()
        self.loads.notes += write_options(self.loads, self.facts, self._context)
        write_refreshes(self.loads, self.facts, self._context)

    def _load(self) -> None:
        """Load what can no longer be loaded when it is read, and is not loaded with a statement."""
        loading = Mappers(self.facts, self.colours, self.root, self.skipped, self.loads)
        if self.blocking:
            for resource in self.resources.values():
                if resource.asynchronous and isinstance(resource.call, ast.Call):
                    keep_after_commit(resource.call, resource.kind, self._context(resource.module))
        reached = loading.reached()
        for relationship in reached:
            assert relationship.node is not None
            module = self.project.module_of(relationship.node)
            if module.checked and module not in self.skipped:
                loading.rewrite(relationship, self._context(module))
                self._context(module).counts["relationships"] += 1
        for relationship in loading.circles():
            assert relationship.node is not None
            module = self.project.module_of(relationship.node)
            if module.checked and module not in self.skipped:
                loading.deepen(relationship, self._context(module))
        fields = loading.fields()
        for cls in self.project.classes:
            if cls.module.checked and cls.module not in self.skipped:
                edits = self._context(cls.module).edits
                loading.computed(cls, edits)
                load_deferred(cls, self.facts, self.loads, fields, edits)
                load_subclass(cls, self.facts, self._context(cls.module))
        for function in self.colours.awaited:
            loading.refresh_new(function, self._context(function.module))
        mapped = {each.node for each in reached if each.node is not None}
        write_refreshes(Outdated(self.facts, self.colours).returned(mapped), self.facts, self._context)
        self._read_again(loading)

    def _read_again(self, loading: Mappers) -> None:
        """Let what is read after a write replace what was loaded before it."""
        rereading = Rereading(self.facts, self.colours)
        if not rereading.flushes():
            return
        statements = Statements(self.facts)
        for function in self.colours.awaited:
            for call, models in rereading.calls(function):
                statement = statements.at(call)
                covered = self.loads.nodes(statement, self.facts.inference.models)
                if (
                    any(map(loading.keeps_collections, models))
                    and statement not in self.loads.circles
                    and not any(
                        rereading.holds(function, call, loading.forgets(each, covered)) for each in models
                    )
                ):
                    context = self._context(function.module)
                    append_keyword(call, reading_anew(call), context)

    def _function(self, function: Function, context: Context) -> None:
        awaited = function in self.colours.awaited
        shared = function in self.colours.kept and function not in self.colours.twins
        rewrite_definition(function, awaited, context, shared=shared)
        if function in self.unbound.functions:
            take_session(function, self.unbound.functions[function], context)
        self._take(self._steps(function, context), context)

    def _steps(self, function: Function, context: Context) -> list[Step]:
        """What is to be done in a function, each with how much source it covers."""
        unit = self.colours.units[function]
        steps: list[Step] = [
            (self._span(wait.node), self._waiting(wait, context), wait.node)
            for wait in unit.uses.waits
            if wait.kind not in {"with", "new"}
        ]
        for call, targets in unit.uses.calls:
            steps.append((self._span(call), self._calling(call, targets, context), call))
        for reference, handed in unit.uses.references:
            if handed in self.colours.awaited and not handed.is_async and handed.name != "__call__":
                steps.append((self._span(reference), self._handing(reference, handed, context), reference))
        for read, targets in unit.uses.reads:
            if any(each in self.colours.awaited and not each.is_async for each in targets):
                steps.append((self._span(read), self._reading(read, targets, context), read))
        for operation, targets in unit.uses.operators:
            hit = [each for each in targets if each in self.colours.awaited and not each.is_async]
            if hit:
                steps.append((self._span(operation), self._operating(operation, hit[0], context), operation))
        if function in self.colours.awaited and not function.is_async:
            blocking = self.threads.calls_of(function)
            steps += [(self._span(call), self._blocking(call, context), call) for call in blocking]
        return steps + self._made_and_entered(function, context)

    def _made_and_entered(self, function: Function, context: Context) -> list[Step]:
        """What is to be done where a function makes a session or an engine, enters it, or listens to it."""
        steps: list[Step] = []
        for node in function.own_nodes:
            if isinstance(node, ast.Call):
                kind = kind_of(node, self.facts)
                if kind and node not in self.twins.making:
                    steps.append((self._span(node), self._making(node, kind, context), node))
                for session in self.facts.lending.sessions(node):
                    on_sync_session(session, context)
                rewrite_handed(node, self.colours.awaited, context)
                rewrite_manager(node, self.colours.awaited, context)
            elif isinstance(node, ast.With):
                waits = self.colours.units[function].uses.waits
                steps.append((0, self._entering(node, waits, context), node))
            elif isinstance(node, ast.AnnAssign):
                rewrite_annotation(node.annotation, context)
            elif isinstance(node, ast.Attribute) and self.facts.is_session_of_state(node):
                rewrite_session_of_state(node, context)
            elif isinstance(node, ast.Name | ast.Attribute) and self._listened_to(node):
                on_sync_engine(node, context)
        return steps

    def _listened_to(self, node: ast.Name | ast.Attribute) -> bool:
        return is_listener(node, self.facts) and self.facts.is_engine(node)

    def _take(self, steps: list[Step], context: Context) -> None:
        """Do what is to be done, the inner before the outer, whose text it becomes part of."""
        for _, step, node in sorted(steps, key=lambda each: each[0]):
            try:
                step()
            except Refusal as refusal:
                context.refuse(node, refusal)

    def _span(self, node: ast.expr) -> int:
        return (
            (node.end_lineno or 0) * 10000 + (node.end_col_offset or 0) - node.lineno * 10000 - node.col_offset
        )

    def _waiting(self, wait: Wait, context: Context) -> Callable[[], None]:
        def step() -> None:
            if wait.chain is not None:
                if wait.waits:
                    make_awaitable(wait.node, context)
                try:
                    rewrite_query(wait.chain, context)
                except Refusal:  # the queries inside stay as they were too
                    context.edits.discard(context.edits.start(wait.node), context.edits.end(wait.node))
                    raise
                context.counts["queries"] += wait.chain.session is not None
            elif wait.kind == "schema" and isinstance(wait.node, ast.Call):
                rewrite_schema(wait.node, context)
            elif wait.kind == "paginate" and isinstance(wait.node, ast.Call):
                rewrite_pagination(wait.node, context)
            else:
                rewrite_wait(wait, context)

        return step

    def _calling(self, call: ast.Call, targets: list[Function], context: Context) -> Callable[[], None]:
        def step() -> None:
            if call in self.unbound.arguments:
                hand_session(call, self.unbound.arguments[call], context)
            rewrite_call(call, targets, self.colours.awaited, context)

        return step

    def _handing(self, node: ast.expr, handed: Function, context: Context) -> Callable[[], None]:
        def step() -> None:
            receiver = self.facts.receiver(node)
            if not isinstance(node, ast.Name | ast.Attribute):
                return
            if receiver in PER_ITEM:
                rewrite_per_item(node, context)
                make_awaitable(node, context)
            elif receiver in SYNC_CALLS - TO_THREAD and handed in self.colours.twins:
                self.twins.write_name(node, self.twins.name(handed), context.edits, context)

        return step

    def _operating(self, node: ast.expr, target: Function, context: Context) -> Callable[[], None]:
        return lambda: rewrite_operator(node, target, context)

    def _reading(self, node: ast.Attribute, targets: list[Function], context: Context) -> Callable[[], None]:
        def step() -> None:
            if any(each.yields for each in targets):
                rewrite_walk(node, context)
                return
            make_awaitable(node, context)
            put_await(node, context)

        return step

    def _blocking(self, call: ast.Call, context: Context) -> Callable[[], None]:
        def step() -> None:
            rewrite_blocking(call, self.threads, context)
            context.counts["threads"] += 1

        return step

    def _making(self, call: ast.Call, kind: str, context: Context) -> Callable[[], None]:
        def step() -> None:
            rewrite_factory(call, kind, context, self.options.drivers)
            context.counts[kind] += 1

        return step

    def _entering(self, node: ast.With, waits: Iterable[Wait], context: Context) -> Callable[[], None]:
        entered = {wait.node for wait in waits if wait.kind == "with"}
        for item in node.items:
            call = item.context_expr
            if isinstance(call, ast.Call):
                for target in self.facts.targets(call):
                    manager = target in self.colours.awaited and target.yields
                    if manager or (target.cls is not None and self._enters(target.cls)):
                        entered.add(call)
        asynchronous = [item.context_expr for item in node.items if item.context_expr in entered]

        def step() -> None:
            if asynchronous:
                rewrite_with(node, asynchronous, context)

        return step

    def _enters(self, cls: Class) -> bool:
        """Whether entering an object of a class became asynchronous."""
        for base, _ in self.facts.inference.bases(cls):
            if (
                base.methods.get("__enter__") in self.colours.awaited
                or base.methods.get("__exit__") in self.colours.awaited
            ):
                return True
        return False

    # -- what is made at the top -----------------------------------------------------------------------------

    def _resources(self, module: Module, context: Context) -> None:
        for resource in self.resources.values():
            if resource.module is not module or not resource.asynchronous:
                continue
            events = resource.kind == "maker" and resource.listened
            if resource.synchronous:
                self.twins.put_beside(resource, context, before=events)
            elif events:
                line = self.project.statement(resource.call).lineno
                context.edits.insert_line(line, f"{resource.twin} = {context.need(ORM, 'sessionmaker')}()\n")
            try:
                for call in ast.walk(resource.call):
                    kind = kind_of(call, self.facts) if isinstance(call, ast.Call) else ""
                    if isinstance(call, ast.Call) and kind:
                        rewrite_factory(call, kind, context, self.options.drivers)
                        context.counts[kind] += 1
                if events and isinstance(
                    resource.call, ast.Call
                ):  # events are those of the sync session inside
                    append_keyword(resource.call, f"sync_session_class={resource.twin}", context)
                if isinstance(resource.binding.node, ast.AnnAssign):
                    rewrite_annotation(resource.binding.node.annotation, context)
            except Refusal as refusal:
                context.refuse(resource.call, refusal)

    def _top(self, module: Module, context: Context) -> None:
        """The code that runs at import, and the annotations of classes."""
        skip = {
            node
            for resource in self.resources.values()
            if resource.module is module and resource.asynchronous
            for node in ast.walk(resource.call)
        }
        for resource in self.resources.values():
            for node, function in resource.uses:
                listens = function is None and resource.asynchronous and is_listener(node, self.facts)
                if not listens or self.project.module_of(node) is not module:
                    continue
                if resource.kind == "engine":
                    on_sync_engine(node, context)
                    skip.add(node)
                elif resource.kind == "maker" and isinstance(node, ast.Name | ast.Attribute):
                    self.twins.write_name(node, resource.twin, context.edits, context)
                    skip.add(node)
        nodes = [node for statement in module.tree.body for node in _loads(statement)]
        self.twins.rename([node for node in nodes if node not in skip], context.edits, context)
        for statement in ast.walk(module.tree):
            if (
                isinstance(statement, ast.Assign | ast.AnnAssign)
                and self.project.function_of(statement) is None
            ):
                value = statement.value
                if isinstance(value, ast.Subscript):
                    rewrite_annotation(value, context)
                if isinstance(statement, ast.AnnAssign) and self._class_converted(statement):
                    rewrite_annotation(statement.annotation, context)

    def _class_converted(self, statement: ast.stmt) -> bool:
        parent = self.facts.parent(statement)
        cls = self.project.collected.classes.get(parent) if parent is not None else None
        return cls is not None and any(method in self.colours.converted for method in cls.methods.values())

    def _finish(self, module: Module, context: Context) -> str:
        after = context.edits.apply()
        if after == module.source and not context.imports and not context.stars:
            return after
        for helper in context.helpers.values():
            after = _with_helper(after, helper)
        after = add_imports(after, dict(context.imports.items()))
        for source in context.stars:
            after = add_star(after, source)
        exported = self._imported_from(module)
        after = remove_unused(module.source, after, exported=exported)
        parse(after)
        return after

    def _imported_from(self, module: Module) -> set[str]:
        """Names that other files import from this one."""
        names: set[str] = set()
        for other in self.project.modules.values():
            for node in ast.walk(other.tree):
                if not isinstance(node, ast.ImportFrom) or other is module:
                    continue
                if self.project.find_module(node.module or "", other, node.level) is module:
                    names |= {alias.name for alias in node.names}
        if "__all__" in module.scope.bindings or module.package:
            names |= set(module.scope.bindings)
        return names


def _signature(function: Function) -> list[ast.AST]:
    """The nodes of the defaults and annotations of a function, where dependencies are named."""
    spec = function.node.args
    parts: list[ast.expr] = [*spec.defaults, *(each for each in spec.kw_defaults if each is not None)]
    parts += [each.annotation for each in function.params if each.annotation is not None]
    return [node for part in parts for node in ast.walk(part)]


def _loads(statement: ast.stmt) -> list[ast.AST]:
    """The nodes of a statement that run at import; functions are looked at elsewhere."""
    found: list[ast.AST] = []
    pending: list[ast.AST] = [statement]
    while pending:
        node = pending.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            continue
        found.append(node)
        pending += list(ast.iter_child_nodes(node))
    return found


def _with_helper(source: str, helper: str) -> str:
    """Put a function of ours behind the imports."""
    tree = parse(source)
    line = 0
    for node in tree.body:
        if isinstance(node, ast.Import | ast.ImportFrom):
            line = node.end_lineno or 0
        elif line:
            break
    edits = Edits(source)
    lines = source.splitlines()[line:]
    gap = len(lines) - len("\n".join(lines).lstrip("\n").splitlines())
    edits.insert_line(line + 1, f"\n{helper}" + "\n" * max(0, 2 - gap))
    return edits.apply()


__all__ = ["PHASES", "Conversion", "Options", "Phase", "Result", "Todo", "is_test"]
