"""Models and their relationships: Declarative 1.x and 2.x, SQLModel, mixins, backrefs."""

from __future__ import annotations

import ast
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from .declarations import Binding, Class, Function, last_name
from .types import NONE, Origin, Type, instance, members, union

if TYPE_CHECKING:
    from .inference import Inference

BASES = ("sqlalchemy.orm.DeclarativeBase",)
COLUMNS = {"Column", "mapped_column", "deferred", "column_property", "Field"}
FOLLOWED = 3
"""How many relationships, one behind the other, are followed from a statement."""
EAGER = {"selectin", "joined", "subquery", "immediate", "False", "noload"}
"""Values of ``lazy`` that load with the owner, or never run SQL."""


@dataclass(frozen=True, slots=True)
class Relationship:
    """A relationship of a model."""

    owner: Class
    name: str
    target: Class | None
    many: bool
    lazy: str
    """``select`` where nothing is said."""
    reverse: str = ""
    """The relationship of the target that leads back."""
    node: ast.AST | None = None

    @property
    def eager(self) -> bool:
        """Whether it is loaded with its owner, without an option."""
        return self.lazy in EAGER

    @property
    def on_access(self) -> bool:
        """Whether reading it, when not loaded, runs SQL at that moment."""
        return self.lazy in ("select", "True", "raise", "raise_on_sql")

    @property
    def loads_to_set(self) -> bool:
        """Whether giving it a new value loads the old one: the key stands in the other table."""
        call = getattr(self.node, "value", self.node)
        one_to_one = isinstance(call, ast.Call) and any(
            keyword.arg == "uselist" and isinstance(keyword.value, ast.Constant) and not keyword.value.value
            for keyword in ast.walk(call)
            if isinstance(keyword, ast.keyword)
        )
        return self.on_access and (self.many or one_to_one)

    @property
    def label(self) -> str:
        """``User.posts``."""
        return f"{self.owner.name}.{self.name}"


class Models:
    """What is a model, and which relationships it has."""

    def __init__(self, inference: Inference) -> None:
        self.inference = inference
        self._is_model: dict[Class, bool] = {}
        self._own: dict[Class, dict[str, Relationship]] = {}
        self._by_name: dict[str, list[Class]] | None = None
        self._backrefs: dict[Class, dict[str, Relationship]] | None = None

    def all(self) -> list[Class]:
        """The models of the code base."""
        return [each for each in self.inference.project.classes if self.is_model(each)]

    def is_model(self, cls: object) -> bool:
        """Whether a class is mapped, or may be: it has a table, columns or relationships."""
        if not isinstance(cls, Class) or cls.module.stub:
            return False
        if cls not in self._is_model:
            self._is_model[cls] = False
            self._is_model[cls] = self._mapped(cls)
        return self._is_model[cls]

    def relationships(self, model: Class) -> dict[str, Relationship]:
        """The relationships of a model by name, those of its bases and backrefs included."""
        found: dict[str, Relationship] = {}
        for base, _ in reversed(self.inference.bases(model)):
            if not base.module.stub:
                found.update({k: replace(r, owner=model) for k, r in self._declared(base).items()})
                found.update(self.backrefs().get(base, {}))
        return found

    def relationship(self, model: object, name: str) -> Relationship | None:
        """The relationship of that name."""
        if not isinstance(model, Class) or not self.is_model(model):
            return None
        for base, _ in self.inference.bases(model):
            if base.module.stub:
                continue
            found = self._declared(base).get(name) or self.backrefs().get(base, {}).get(name)
            if found is not None:
                return found
        return None

    def are_kin(self, one: Class, other: Class) -> bool:
        """Whether a class is the other one, or one of them derives from the other."""
        return other in self._line_of(one) or one in self._line_of(other)

    def _line_of(self, cls: Class) -> set[Class]:
        return {base for base, _ in self.inference.bases(cls)}

    def related(self, owner: Type, name: str) -> Type | None:
        """The type of a relationship of an object, with what is known to be loaded behind it."""
        relationship = self.relationship(owner.decl, name)
        if relationship is None:
            return None
        if relationship.target is None:
            return None
        origin: Origin | None = None
        loaded = relationship.eager or (owner.origin is not None and owner.origin.loads(name))
        if owner.origin is not None and not owner.origin.new and (loaded or self._follows(owner.origin, name)):
            origin = owner.origin.below(name, self._back(relationship) if loaded else ())
        one = Type("instance", relationship.target.id, (), relationship.target, origin)
        return instance("list", one) if relationship.many else union([one, NONE])

    def _follows(self, origin: Origin, name: str) -> bool:
        """Whether what a sync session loads on access is followed too: not round a circle, nor far."""
        return origin.session != "async" and name not in origin.path and len(origin.path) < FOLLOWED

    def columns(self, model: Class) -> set[str]:
        """The names of a model's mapped columns."""
        found: set[str] = set()
        for base, _ in self.inference.bases(model):
            if base.module.stub:
                continue
            for name, bindings in base.scope.bindings.items():
                if any(self._is_column(each) for each in bindings) and name not in self._declared(base):
                    found.add(name)
        return found

    def backrefs(self) -> dict[Class, dict[str, Relationship]]:
        """Relationships that another model's ``backref`` makes."""
        if self._backrefs is None:
            self._backrefs = {}
            for cls in self.inference.project.classes:
                for relationship in self._declared(cls).values():
                    made = self._backref(relationship)
                    if made is not None and relationship.target is not None:
                        self._backrefs.setdefault(relationship.target, {})[made.name] = made
        return self._backrefs

    def named(self, name: str, near: Class) -> Class | None:
        """The model of that name, as a relationship's string names it."""
        if self._by_name is None:
            self._by_name = {}
            for cls in self.inference.project.classes:
                self._by_name.setdefault(cls.name, []).append(cls)
        candidates = self._by_name.get(name.rpartition(".")[2], [])
        mapped = [each for each in candidates if each.module is near.module]
        mapped = mapped or [each for each in candidates if self.is_model(each)] or candidates
        if len(mapped) < 2:
            return mapped[0] if mapped else None
        here = near.module.path.parts
        return max(
            mapped, key=lambda each: sum(a == b for a, b in zip(each.module.path.parts, here, strict=False))
        )

    # -- reading declarations

    def _mapped(self, cls: Class) -> bool:
        inference = self.inference
        if {"__tablename__", "__table__"} & (set(cls.scope.bindings) | set(cls.methods)):
            return True
        for each in cls.node.keywords:
            if each.arg == "table":
                return isinstance(each.value, ast.Constant) and each.value.value is True
        if any(last_name(d) in ("mapped", "mapped_as_dataclass") for d in cls.node.decorator_list):
            return True
        if any(self._is_column(each) for bindings in cls.scope.bindings.values() for each in bindings):
            names = {base.id for base, _ in inference.bases(cls)}
            return "sqlmodel.SQLModel" not in names
        return any(
            self.is_model(base) and not inference.is_a(inference.class_type(base), "sqlmodel.SQLModel")
            for base, _ in inference.bases(cls)[1:]
        )

    def _is_column(self, binding: Binding) -> bool:
        value = binding.value
        if isinstance(value, ast.Call):
            name = last_name(value.func)
            if name in ("relationship", "Relationship"):
                return True
            if name in COLUMNS and name != "Field":
                return True
        node = binding.node
        if isinstance(node, ast.AnnAssign):
            annotation = node.annotation
            if isinstance(annotation, ast.Subscript) and last_name(annotation.value).endswith("Mapped"):
                return True
        return False

    def _declared(self, cls: Class) -> dict[str, Relationship]:
        if cls not in self._own:
            self._own[cls] = {}
            for name, bindings in cls.scope.bindings.items():
                for binding in bindings:
                    call = self._relationship_call(binding)
                    if call is not None:
                        self._own[cls][name] = self._read(cls, name, binding, call)
            for name, method in cls.methods.items():
                call = self._declared_attr(method)
                if call is not None:
                    binding = Binding(name, "other", method.node, method.scope, call)
                    self._own[cls][name] = self._read(cls, name, binding, call)
        return self._own[cls]

    def _relationship_call(self, binding: Binding) -> ast.Call | None:
        value = binding.value
        if isinstance(value, ast.Call) and last_name(value.func) in (
            "relationship",
            "Relationship",
            "relation",
            "dynamic_loader",
        ):
            return value
        return None

    def _declared_attr(self, method: Function) -> ast.Call | None:
        if not any("declared_attr" in ast.unparse(each) for each in method.decorators):
            return None
        for value in method.returns:
            if isinstance(value, ast.Call) and last_name(value.func) in ("relationship", "Relationship"):
                return value
        return None

    def _read(self, cls: Class, name: str, binding: Binding, call: ast.Call) -> Relationship:
        options: dict[str, ast.expr] = {each.arg: each.value for each in call.keywords if each.arg}
        extra = options.get("sa_relationship_kwargs")
        if isinstance(extra, ast.Dict):
            for key, value in zip(extra.keys, extra.values, strict=True):
                if isinstance(key, ast.Constant):
                    options.setdefault(str(key.value), value)
        elif isinstance(extra, ast.Call):
            options |= {each.arg: each.value for each in extra.keywords if each.arg}
        target, many = self._target(cls, binding, call, options)
        lazy = "select"
        if last_name(call.func) == "dynamic_loader":
            lazy = "dynamic"
        given = options.get("lazy")
        if isinstance(given, ast.Constant):
            lazy = "select" if given.value in (True, None) else str(given.value)
        elif given is not None or any(each.arg is None for each in call.keywords):
            lazy = "?"
        if extra is not None and not isinstance(extra, ast.Dict | ast.Call):
            lazy = "?"
        annotation = binding.node.annotation if isinstance(binding.node, ast.AnnAssign) else None
        if isinstance(annotation, ast.Subscript) and last_name(annotation.value) in (
            "WriteOnlyMapped",
            "DynamicMapped",
        ):
            lazy = "dynamic"
        reverse = options.get("back_populates")
        name_back = (
            reverse.value if isinstance(reverse, ast.Constant) and isinstance(reverse.value, str) else ""
        )
        name_back = name_back or self._backref_name(options.get("backref"))
        return Relationship(cls, name, target, many, lazy, name_back, binding.node)

    def _target(
        self, cls: Class, binding: Binding, call: ast.Call, options: dict[str, ast.expr]
    ) -> tuple[Class | None, bool]:
        uselist = options.get("uselist")
        fixed = uselist.value if isinstance(uselist, ast.Constant) else None
        annotation = binding.node.annotation if isinstance(binding.node, ast.AnnAssign) else None
        annotated, plural = self._annotated(cls, annotation)
        given = options.get("argument") or (call.args[0] if call.args else None)
        target = self._class_named(cls, given) or annotated
        many = plural if annotation is not None else fixed is not False and not self._holds_key(cls, target)
        return target, bool(fixed) if fixed is not None else many

    def _annotated(self, cls: Class, annotation: ast.expr | None) -> tuple[Class | None, bool]:
        if annotation is None:
            return None, False
        found = self.inference.annotations.type_of(annotation)
        plural = any(each.name in ("list", "dict") for each in members(found))
        for each in members(found):
            inner = members(each.args[-1]) if each.name in ("list", "dict") and each.args else [each]
            for one in inner:
                if isinstance(one.decl, Class):
                    return one.decl, plural
        text = ast.unparse(annotation)
        plural = plural or any(word in text.lower() for word in ("list[", "set[", "sequence[", "collection["))
        for word in reversed(_words(text)):
            named = self.named(word, cls)
            if named is not None:
                return named, plural
        return None, plural

    def _class_named(self, cls: Class, given: ast.expr | None) -> Class | None:
        if isinstance(given, ast.Constant) and isinstance(given.value, str):
            return self.named(given.value, cls)
        if isinstance(given, ast.Lambda):
            return self._class_named(cls, given.body)
        if given is not None:
            for each in members(self.inference.type_of(given)):
                if isinstance(each.decl, Class):
                    return each.decl
        return None

    def _holds_key(self, cls: Class, target: Class | None) -> bool:
        """Whether the owner's table points at the target's, which makes the relationship many-to-one."""
        if target is None:
            return False
        table = _table_name(target)
        foreign = _foreign_keys(cls)
        return bool(table) and any(text.rpartition(".")[0].rpartition(".")[2] == table for text in foreign)

    def _backref_name(self, node: ast.expr | None) -> str:
        if isinstance(node, ast.Constant) and isinstance(node.value, str):
            return node.value
        if isinstance(node, ast.Call) and node.args and isinstance(node.args[0], ast.Constant):
            return str(node.args[0].value)
        return ""

    def _backref(self, relationship: Relationship) -> Relationship | None:
        binding = relationship.node
        value = getattr(binding, "value", None)
        if not isinstance(value, ast.Call) or relationship.target is None:
            return None
        node = next((each.value for each in value.keywords if each.arg == "backref"), None)
        name = self._backref_name(node)
        if not name:
            return None
        lazy, many = "select", not relationship.many
        if isinstance(node, ast.Call):
            for each in node.keywords:
                if each.arg == "lazy":
                    lazy = str(each.value.value) if isinstance(each.value, ast.Constant) else "?"
                elif each.arg == "uselist" and isinstance(each.value, ast.Constant):
                    many = bool(each.value.value)
        return Relationship(relationship.target, name, relationship.owner, many, lazy, relationship.name, node)

    def _back(self, relationship: Relationship) -> list[str]:
        """What comes with a loaded collection: each item's way back to the owner."""
        if not relationship.reverse or relationship.target is None or not relationship.many:
            return []
        back = self.relationship(relationship.target, relationship.reverse)
        return [relationship.reverse] if back is not None and not back.many else []


def _words(text: str) -> list[str]:
    word, found = "", []
    for letter in [*text, " "]:
        if letter.isidentifier() or (word and letter.isdigit()):
            word += letter
        else:
            if word:
                found.append(word)
            word = ""
    return found


def _table_name(cls: Class) -> str:
    for binding in cls.scope.bindings.get("__tablename__", ()):
        if isinstance(binding.value, ast.Constant):
            return str(binding.value.value)
    return cls.name.lower()


def _foreign_keys(cls: Class) -> list[str]:
    found = []
    for node in ast.walk(cls.node):
        if isinstance(node, ast.Call) and last_name(node.func) == "ForeignKey" and node.args:
            first = node.args[0]
            if isinstance(first, ast.Constant) and isinstance(first.value, str):
                found.append(first.value)
            elif isinstance(first, ast.Attribute):
                found.append(f"{last_name(first.value).lower()}.{first.attr}")
        elif (
            isinstance(node, ast.keyword) and node.arg == "foreign_key" and isinstance(node.value, ast.Constant)
        ):
            found.append(str(node.value.value))
    return found


__all__ = ["Models", "Relationship"]
