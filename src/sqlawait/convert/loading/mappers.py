"""Relationships that the code reads are loaded with their owner: reading them can no longer send SQL.

What a schema, a template or the code reads becomes ``lazy="selectin"`` where it was loaded on access. A row
that was just written is refreshed after the commit, as the sync session did when it was next read. Columns that
the database computes on update come back with the update.
"""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

from sqlawait.analysis.declarations import Class, Function, Module, last_name
from sqlawait.analysis.models import Relationship
from sqlawait.analysis.types import members
from sqlawait.convert.colours import Colours
from sqlawait.convert.context import Context
from sqlawait.convert.edits import Edits
from sqlawait.convert.facts import Facts
from sqlawait.convert.rewrites.factories import append_keyword

from .inheritance import add_option
from .plan import Plan

TEMPLATES = (".html", ".jinja", ".jinja2", ".j2", ".txt")
SCHEMA_BASES = {"BaseModel", "SQLModel", "Schema", "ORMModel", "CamelModel", "GenericModel", "TypedDict"}
DEPTH = 10
"""How many levels of a tree are loaded: levels that are not there cost nothing."""


class Mappers:
    """Finds the relationships that are read and not placed yet, and makes them load with every owner."""

    def __init__(self, facts: Facts, colours: Colours, root: Path, skip: set[Module], plan: Plan) -> None:
        self.facts = facts
        self.plan = plan
        self.colours = colours
        self.root = root
        self.skip = skip
        self.models = facts.inference.models
        self._changed: set[ast.AST | None] = set()
        steps = [step for paths in plan.options.values() for path in paths for step in path]
        placed = [self.models.relationship(step.owner, step.name) for step in steps]
        self._with_statements = {each.node for each in placed if each is not None}

    # -- what is read ------------------------------------------------------------------------------------------

    def reached(self) -> list[Relationship]:
        """The relationships on default loading that something reads."""
        by_name: dict[str, list[Relationship]] = defaultdict(list)
        for model in self.models.all():
            for relationship in self.models.relationships(model).values():
                if relationship.on_access and relationship.lazy in ("select", "True"):
                    by_name[relationship.name].append(relationship)
        named = self.fields() | in_templates(self.root, set(by_name))
        found: dict[int, Relationship] = {id(node): each for node, each in self.plan.mapped.items()}
        for name, candidates in by_name.items():
            for each in candidates:
                if each.node is None or each.node in self.plan.placed:
                    continue
                if name in named or self._is_read(each):
                    found[id(each.node)] = each
        self._changed = {each.node for each in found.values()}
        return list(found.values())

    def _is_read(self, relationship: Relationship) -> bool:
        """Whether the code reads it, or sets it where that loads what it was before."""
        collected, owner = self.facts.project.collected, relationship.owner
        nodes = collected.attribute_reads.get(relationship.name, [])
        if relationship.loads_to_set:
            nodes = [*nodes, *collected.attribute_writes.get(relationship.name, ())]
        for node in nodes:
            if self.facts.project.module_of(node) in self.skip or self._is_expression(node):
                continue
            of = list(members(self.facts.type_of(node.value)))
            if not of:
                function = self.facts.project.function_of(node)
                if function in self.colours.touching or function in self.colours.converted:
                    return True
            if any(
                each.kind in ("instance", "typevar")
                and isinstance(each.decl, Class)
                and self.models.are_kin(each.decl, owner)
                for each in of
            ):
                return True
        return False

    def _is_expression(self, node: ast.Attribute) -> bool:
        """Whether the relationship is named on the class, in a join or an option."""
        return any(each.kind == "class" for each in members(self.facts.type_of(node.value)))

    def fields(self) -> set[str]:
        """The names of the fields of all response schemas."""
        names: set[str] = set()
        for cls in self.facts.project.classes:
            if cls.module in self.skip or self.models.is_model(cls) or not self._is_schema(cls):
                continue
            for statement in cls.node.body:
                if isinstance(statement, ast.AnnAssign) and isinstance(statement.target, ast.Name):
                    names.add(statement.target.id)
                    names |= {
                        str(keyword.value.value)
                        for keyword in ast.walk(statement)
                        if isinstance(keyword, ast.keyword)
                        and keyword.arg in ("alias", "validation_alias")
                        and isinstance(keyword.value, ast.Constant)
                    }
        return names

    def _is_schema(self, cls: Class) -> bool:
        outside = {name.rpartition(".")[2] for name in self.facts.inference.attributes.outside_bases(cls)}
        bases = {base.name for base, _ in self.facts.inference.bases(cls)}
        return bool((outside | bases) & SCHEMA_BASES)

    # -- changes -----------------------------------------------------------------------------------------------

    def rewrite(self, relationship: Relationship, context: Context) -> None:
        """Let a relationship load with its owner."""
        node = relationship.node
        if isinstance(node, ast.Call):
            append_keyword(node, 'lazy="selectin"', context)
            return
        call = _call_of(node)
        if call is None:
            if isinstance(node, ast.Constant):
                local = context.need("sqlalchemy.orm", "backref")
                context.edits.wrap_node(node, f"{local}(", ', lazy="selectin")')
            return
        if call.args or call.keywords:
            self._set(call, relationship, context)
        else:
            end = context.edits.end(call) - 1
            context.edits.replace(end, end, self._text(call))

    def _text(self, call: ast.Call) -> str:
        if last_name(call.func) == "Relationship":
            return 'sa_relationship_kwargs={"lazy": "selectin"}'
        return 'lazy="selectin"'

    def _set(self, call: ast.Call, relationship: Relationship, context: Context) -> None:
        for keyword in call.keywords:
            if keyword.arg == "lazy":
                context.edits.replace_node(keyword.value, '"selectin"')
                return
            if keyword.arg == "sa_relationship_kwargs" and isinstance(keyword.value, ast.Dict):
                start = context.edits.start(keyword.value) + 1
                context.edits.replace(start, start, '"lazy": "selectin"' + (", " if keyword.value.keys else ""))
                return
        text = self._text(call)
        tree = relationship.target is not None and self._is_kin(relationship.target, relationship.owner)
        if tree and text.startswith("lazy") and not any(k.arg == "join_depth" for k in call.keywords):
            text += f", join_depth={DEPTH}"
        append_keyword(call, text, context)

    def circles(self) -> list[Relationship]:
        """Eager collections whose owners are now loaded with their items.

        Coming from an item, a mapper stops where it would load items again. The sync session did not: it loaded
        the owner by a statement of its own.
        """
        found: dict[ast.AST, Relationship] = {}
        for model in self.models.all():
            for each in self.models.relationships(model).values():
                if each.eager and each.many and each.node is not None and each.target is not None:
                    back = self.models.relationships(each.target).values()
                    if any(
                        not one.many
                        and one.node in self._changed
                        and one.target is not None
                        and self._is_kin(one.target, each.owner)
                        for one in back
                    ):
                        found[each.node] = each
        return list(found.values())

    def deepen(self, relationship: Relationship, context: Context) -> None:
        """Let a collection load its items where the owner was loaded with one of them, too."""
        call = _call_of(relationship.node)
        if call is None or any(_names(each, "join_depth") for each in ast.walk(call)):
            return
        for keyword in call.keywords:
            if keyword.arg == "sa_relationship_kwargs" and isinstance(keyword.value, ast.Dict):
                add_option(keyword.value, f'"join_depth": {DEPTH}', context.edits)
                return
        append_keyword(call, f"join_depth={DEPTH}", context)

    def _is_kin(self, one: Class, other: Class) -> bool:
        mine = {
            base
            for base, _ in self.facts.inference.bases(one)
            if not base.module.stub and self.models.is_model(base)
        }
        theirs = {
            base
            for base, _ in self.facts.inference.bases(other)
            if not base.module.stub and self.models.is_model(base)
        }
        return bool(mine & theirs)

    def computed(self, cls: Class, edits: Edits) -> None:
        """Let columns that the database computes on update come back with the update."""
        bases = [base for base, _ in self.facts.inference.bases(cls) if not base.module.stub]
        bound = cls.scope.bindings.get("__mapper_args__", [])
        columns = [
            keyword for base in bases for keyword in ast.walk(base.node) if isinstance(keyword, ast.keyword)
        ]
        if "__mapper_args__" in cls.methods or not any(map(_computed, columns)):
            return
        if bound:
            options = bound[0].value
            if isinstance(options, ast.Dict) and "eager_defaults" not in ast.dump(options):
                add_option(options, '"eager_defaults": True', edits)
            return
        if not any(_computed(keyword) for keyword in ast.walk(cls.node) if isinstance(keyword, ast.keyword)):
            return  # a class that it derives from says so
        first = cls.node.body[0]
        if isinstance(first, ast.Expr) and isinstance(first.value, ast.Constant) and len(cls.node.body) > 1:
            first = cls.node.body[1]
        table = next((s for s in cls.node.body if _names_table(s)), None)
        if table is not None:
            line = (table.end_lineno or table.lineno) + 1
            edits.insert_line(
                line, f'{edits.indent_of(table.lineno)}__mapper_args__ = {{"eager_defaults": True}}\n'
            )
        else:
            edits.insert_line(
                first.lineno, f'{edits.indent_of(first.lineno)}__mapper_args__ = {{"eager_defaults": True}}\n'
            )

    def refresh_new(self, function: Function, context: Context) -> None:
        """Refresh a row that the function made and committed, where it is used afterwards."""
        planned = {
            refresh.owner
            for refresh in self.plan.refreshes
            if self.facts.project.function_of(refresh.statement) is function
        }
        made = [
            (name, commit, session)
            for name, commit, session, model in self._made(function)
            if name not in planned or self._is_changed(model)
        ]
        if not any(self._used_after(function, name, commit) for name, commit, _ in made):
            return
        for name, commit, session in reversed(made):
            statement = self.facts.project.statement(commit)
            line = (statement.end_lineno or statement.lineno) + 1
            indent = context.edits.indent_of(statement.lineno)
            context.edits.insert_line(
                line, f"{indent}{context.waits}{session}.refresh({name})\n", beside=statement.lineno
            )

    def _made(self, function: Function) -> Iterator[tuple[str, ast.Call, str, Class]]:
        nodes = [n for n in function.own_nodes if isinstance(n, ast.Call)]
        commits = [
            n
            for n in nodes
            if isinstance(n.func, ast.Attribute)
            and n.func.attr in ("commit", "flush")
            and self.facts.is_session(n.func.value)
        ]
        for statement in function.own_nodes:
            if not isinstance(statement, ast.Assign) or len(statement.targets) != 1:
                continue
            target = statement.targets[0]
            if not isinstance(target, ast.Name) or not isinstance(statement.value, ast.Call):
                continue
            made = [m for m in members(self.facts.type_of(statement.value.func)) if m.kind == "class"]
            if len(made) != 1 or not isinstance(made[0].decl, Class) or not self._loads_more(made[0].decl):
                continue
            added = [
                n for n in nodes if _mentions(n, target.id, {"add", "add_all"}) and n.lineno > statement.lineno
            ]
            after = [n for n in commits if added and n.lineno > added[0].lineno and self._surely(added[0], n)]
            refreshed = any(_mentions(n, target.id, {"refresh", "delete", "expunge"}) for n in nodes)
            if not after or refreshed or not self._bound_once(function, target.id):
                continue
            last = min(after, key=lambda each: each.lineno)
            if isinstance(last.func, ast.Attribute):
                yield target.id, last, context_text(last.func.value), made[0].decl

    def _is_changed(self, model: Class) -> bool:
        return any(r.node in self._changed for r in self.models.relationships(model).values())

    def _loads_more(self, model: Class) -> bool:
        if not self.models.is_model(model):
            return False
        return any(r.node in self._changed or r.eager for r in self.models.relationships(model).values())

    def keeps_collections(self, model: Class) -> bool:
        """Whether objects of a model now come with collections that were read when they were needed before."""
        seen: set[Class] = set()
        pending = [model]
        while pending:
            each = pending.pop()
            if each in seen:
                continue
            seen.add(each)
            for relationship in self.models.relationships(each).values():
                loaded = relationship.node in self._changed or relationship.node in self._with_statements
                if loaded and relationship.many:
                    return True
                if (loaded or relationship.eager) and relationship.target is not None:
                    pending.append(relationship.target)
        return False

    def forgets(self, model: Class, covered: set[ast.AST | None]) -> set[Class]:
        """The models that lose what was loaded of them when objects of a model are read anew.

        That is what only a statement loads (``covered`` is what this one does), and a collection that comes
        back to a model on the way, where a mapper stops.
        """
        found: set[Class] = set()
        pending: list[tuple[Class, tuple[Class, ...]]] = [(model, ())]
        while pending:
            owner, passed = pending.pop()
            for each in self.models.relationships(owner).values():
                loaded = each.node in self._changed or each.eager
                if each.node in self._with_statements and not loaded and each.node not in covered:
                    found.add(owner)
                if not loaded or each.target is None:
                    continue
                if not any(self._is_kin(each.target, one) for one in (*passed, owner)):
                    pending.append((each.target, (*passed, owner)))
                elif each.many and passed:
                    found.add(owner)
        return found

    def _surely(self, added: ast.Call, commit: ast.Call) -> bool:
        """Whether whatever comes to the commit has come by the other place: its block encloses the commit."""
        block = self.facts.parent(self.facts.project.statement(added))
        return block in set(self.facts.project.ancestors(commit)) and isinstance(
            self.facts.parent(commit), ast.Expr
        )

    def _bound_once(self, function: Function, name: str) -> bool:
        """Whether a name is given one object; None, where the commit failed, is no other one."""
        others = [
            binding
            for binding in function.scope.bindings.get(name, ())
            if not (
                isinstance(binding.value, ast.Constant)
                and binding.value.value is None
                and any(
                    isinstance(each, ast.ExceptHandler) for each in self.facts.project.ancestors(binding.node)
                )
            )
        ]
        return len(others) == 1

    def _used_after(self, function: Function, name: str, commit: ast.Call) -> bool:
        return any(
            isinstance(node, ast.Name)
            and node.id == name
            and node.lineno > (commit.end_lineno or commit.lineno)
            for node in function.own_nodes
        )


def context_text(node: ast.expr) -> str:
    """An expression as code."""
    return ast.unparse(node)


def _call_of(node: ast.AST | None) -> ast.Call | None:
    value = getattr(node, "value", None)
    if isinstance(value, ast.Call):
        return value
    if isinstance(node, ast.FunctionDef):
        returned = [each.value for each in ast.walk(node) if isinstance(each, ast.Return)]
        return next((each for each in returned if isinstance(each, ast.Call)), None)
    return None


def _computed(keyword: ast.keyword) -> bool:
    """Whether a column option lets the database compute the value on update."""
    if keyword.arg == "server_onupdate":
        return True
    value = keyword.value
    if keyword.arg != "onupdate" or not isinstance(value, ast.Call | ast.Attribute):
        return False
    target = value.func if isinstance(value, ast.Call) else value
    return (isinstance(target, ast.Attribute) and last_name(target.value) == "func") or last_name(
        target
    ) == "text"


def _names_table(statement: ast.stmt) -> bool:
    targets = statement.targets if isinstance(statement, ast.Assign) else [getattr(statement, "target", None)]
    return any(isinstance(each, ast.Name) and each.id == "__tablename__" for each in targets)


def _names(node: ast.AST, name: str) -> bool:
    return (isinstance(node, ast.keyword) and node.arg == name) or (
        isinstance(node, ast.Constant) and node.value == name
    )


def _mentions(call: ast.Call, name: str, methods: set[str]) -> bool:
    """Whether a call of one of these methods names a variable."""
    if last_name(call.func) not in methods:
        return False
    return any(isinstance(each, ast.Name) and each.id == name for arg in call.args for each in ast.walk(arg))


def in_templates(root: Path, names: set[str]) -> set[str]:
    """Which of the names the templates under a folder read of something."""
    found: set[str] = set()
    if not names or not root.is_dir():
        return found
    pattern = re.compile(r"\.(" + "|".join(map(re.escape, sorted(names))) + r")\b")
    for path in root.rglob("*"):
        if path.suffix in TEMPLATES and "node_modules" not in path.parts and path.is_file():
            try:
                found |= set(pattern.findall(path.read_text(encoding="utf-8")))
            except (OSError, UnicodeError):
                continue
    return found


__all__ = ["Mappers", "in_templates"]
