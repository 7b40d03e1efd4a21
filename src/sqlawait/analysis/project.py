"""The modules of a code base, read and parsed, never imported.

Names are resolved as Python would from any plausible root: ``from app.db import get_db`` finds
``backend/app/db.py`` whether or not ``backend`` is on the path. Files that cannot be read are kept in
:attr:`Project.broken`, and the rest is still there.
"""

from __future__ import annotations

import ast
import os
import sys
import tokenize
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from .collect import Collected, Collector
from .declarations import Class, Function, Module, Scope
from .syntax import parse

SKIPPED = {
    "__pycache__", "node_modules", "site-packages", "venv", "env", "build", "dist", "htmlcov", "__pypackages__",
}  # fmt: skip
MAX_NESTING = 10_000
"""Calls that a walk over a tree may nest."""
STUBS = Path(__file__).parent / "stubs"
Progress = Callable[[str, int, int], None]
"""Told of (what is being done, how many are done, of how many)."""


@dataclass(frozen=True, slots=True)
class Broken:
    """A file that could not be read or parsed."""

    path: Path
    reason: str
    line: int = 1
    column: int = 1


class Project:
    """All modules of a code base; :meth:`load` makes one."""

    def __init__(self) -> None:
        self.modules: dict[Path, Module] = {}
        self.stubs: dict[str, Module] = {}
        self.broken: list[Broken] = []
        self.collected = Collected()
        self._tried: set[Path] = set()
        self._texts: Mapping[Path, str] = {}
        self._tails: dict[str, list[Module]] = defaultdict(list)
        self._roots: dict[ast.AST, Module] = {}
        self._imports: dict[Module, list[tuple[str, int]]] = {}
        self._packages: set[Path] = set()
        """Folders that their own modules import as a package."""

    @classmethod
    def load(
        cls,
        paths: Iterable[Path],
        *,
        exclude: Callable[[Path], bool] | None = None,
        progress: Progress | None = None,
        texts: Mapping[Path, str] | None = None,
    ) -> Project:
        """Read the Python files under ``paths`` and what those import from beside them.

        ``texts`` are files, by absolute path, that are taken to hold something else than they do on disk.
        Example: ``Project.load([Path("src")])``.
        """
        # Generated code nests deeper than people write: a sum of 3,000 terms is a tree of 3,000 levels.
        sys.setrecursionlimit(max(sys.getrecursionlimit(), MAX_NESTING))
        project = cls()
        project._texts = texts or {}
        for stub in sorted(STUBS.glob("*.stub")):
            project._add_stub(stub)
        roots = list(paths)
        files = list(dict.fromkeys(_python_files(roots, exclude)))
        files += [
            (path, root)
            for path in project._texts
            for root in map(Path.resolve, roots)
            if path.suffix == ".py" and path.is_relative_to(root) and (path, root) not in files
        ]
        for number, (path, root) in enumerate(files):
            if progress is not None:
                progress("reading", number, len(files))
            project._add(path, root, checked=True)
        project._follow_imports()
        for module in [*project.stubs.values(), *project.modules.values()]:
            module.scope = Collector(module, project.collected).run()
        return project

    # -- questions

    @property
    def functions(self) -> list[Function]:
        """Every function, method and lambda that was read, stubs left out."""
        return [each for each in self.collected.functions.values() if not each.module.stub]

    @property
    def classes(self) -> list[Class]:
        """Every class that was read, stubs left out."""
        return [each for each in self.collected.classes.values() if not each.module.stub]

    def module_of(self, node: ast.AST) -> Module:
        """The module that a node stands in."""
        parents = self.collected.parents
        while node in parents:
            node = parents[node]
        return self._roots[node]

    def function_of(self, node: ast.AST) -> Function | None:
        """The innermost function or lambda whose body a node stands in; None at the level of a module or
        class."""
        scope: Scope | None = self.scope_of(node)
        while scope is not None:
            found = self.collected.functions.get(scope.node)
            if found is not None:
                return found
            if isinstance(scope.node, ast.ClassDef):
                return None
            scope = scope.parent
        return None

    def scope_of(self, node: ast.AST) -> Scope:
        """The scope that a node is evaluated in: defaults, decorators and bases belong to the one outside."""
        parents, scopes = self.collected.parents, self.collected.scopes
        child, parent = node, parents.get(node)
        while parent is not None:
            if isinstance(parent, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
                if isinstance(child, ast.stmt):
                    return scopes[parent]
            elif isinstance(parent, ast.Lambda):
                if child is parent.body:
                    return scopes[parent]
            elif isinstance(parent, ast.ListComp | ast.SetComp | ast.DictComp | ast.GeneratorExp):
                first = parent.generators[0]
                if child is not first or not _within(node, first.iter, parents):
                    return scopes[parent]
            elif isinstance(parent, ast.Module):
                return scopes[parent]
            child, parent = parent, parents.get(parent)
        return scopes[child]

    def parent(self, node: ast.AST) -> ast.AST | None:
        """The node that this one stands in."""
        return self.collected.parents.get(node)

    def ancestors(self, node: ast.AST) -> Iterator[ast.AST]:
        """The nodes around this one, innermost first."""
        parents = self.collected.parents
        while node in parents:
            node = parents[node]
            yield node

    def statement(self, node: ast.AST) -> ast.stmt:
        """The statement that a node stands in."""
        while not isinstance(node, ast.stmt):
            node = self.collected.parents[node]
        return node

    def adopt(self, node: ast.AST, parent: ast.AST) -> None:
        """Place a tree that was parsed apart, such as a string annotation, below a node."""
        self.collected.parents[node] = parent
        for each in ast.walk(node):
            for child in ast.iter_child_nodes(each):
                self.collected.parents[child] = each

    def find_module(self, name: str, importer: Module | None = None, level: int = 0) -> Module | None:
        """The module that ``import name`` gives in ``importer``; None when the code base does not hold it."""
        if level and importer is not None:
            base = importer.path.parent
            for _ in range(level - 1):
                base = base.parent
            return self._at(base.joinpath(*name.split(".")) if name else base)
        if importer is not None and not importer.stub:
            found = self._near(name, importer)
            if found is not None:
                return found
        while name:
            if name in self.stubs:
                return self.stubs[name]
            name = name.rpartition(".")[0]
        return None

    # -- loading

    def _at(self, base: Path) -> Module | None:
        return self.modules.get(base.with_suffix(".py")) or self.modules.get(base / "__init__.py")

    def _near(self, name: str, importer: Module) -> Module | None:
        head = name.partition(".")[0]
        candidates = [each for each in self._tails.get(name, ()) if self._is_reached(name, each)]
        if not candidates:
            return None
        outside = head in sys.stdlib_module_names or head in self.stubs or head in WELL_KNOWN

        def score(module: Module) -> tuple[bool, int]:
            root = module.path.parents[name.count(".") + module.package]
            return root / "__init__.py" not in self.modules, len(
                os.path.commonpath([module.path, importer.path])
            )

        best = max(candidates, key=score)
        if outside and not (score(best)[0] and best.name == name):
            return None
        return best

    def _is_reached(self, name: str, module: Module) -> bool:
        """Whether ``import name`` can mean a module: one inside a package goes by the package's name too."""
        root = module.path.parents[name.count(".") + module.package]
        while (root / "__init__.py") in self.modules:
            if root in self._packages:
                return False
            root = root.parent
        return True

    def _note_packages(self, module: Module) -> None:
        """Remember the folders that a module imports as the packages it stands in."""
        folders = module.path.parents
        for name, level in self._imports[module]:
            if level:
                self._packages.add(folders[level - 1])
            else:
                head = name.partition(".")[0]
                self._packages.update(folder for folder in folders if folder.name == head)

    def _add(self, path: Path, root: Path, *, checked: bool) -> Module | None:
        if path in self.modules or path in self._tried:
            return None
        self._tried.add(path)
        try:
            if path in self._texts:
                source = self._texts[path]
            else:
                with tokenize.open(path) as file:
                    source = file.read()
            tree = parse(source, str(path))
        except SyntaxError as error:
            line = error.lineno or 1
            self.broken.append(Broken(path, f"not valid Python: {error.msg}", line, max(error.offset or 1, 1)))
            return None
        except (OSError, UnicodeError, ValueError, RecursionError, MemoryError) as error:
            self.broken.append(Broken(path, f"cannot be read: {error}"))
            return None
        parts = list(path.relative_to(root).with_suffix("").parts) if path.is_relative_to(root) else [path.stem]
        package = parts[-1] == "__init__"
        if package:
            parts.pop()
        module = Module(".".join(parts) or root.name, path, source, tree, package, checked)
        self.modules[path] = module
        self._roots[tree] = module
        self._imports[module] = list(_imports(tree))
        self._note_packages(module)
        full = (path.parent if package else path.with_suffix("")).parts
        for start in range(max(1, len(full) - 8), len(full)):
            self._tails[".".join(full[start:])].append(module)
        return module

    def _add_stub(self, path: Path) -> None:
        source = path.read_text(encoding="utf-8")
        tree = ast.parse(source, filename=str(path))
        module = Module(path.stem, path, source, tree, package=True, checked=False, stub=True)
        self.stubs[module.name] = module
        self._roots[tree] = module

    def _follow_imports(self) -> None:
        """Read what the given files import from files beside them: a single file is checked with what it stands
        on."""
        pending = list(self.modules.values())
        while pending:
            module = pending.pop()
            for name, level in self._imports[module]:
                if self.find_module(name, module, level) is not None:
                    continue
                for path, root in _on_disk(name, level, module):
                    found = self._add(path, root, checked=False)
                    if found is not None:
                        pending.append(found)


WELL_KNOWN = {
    "aiohttp", "alembic", "anyio", "asyncpg", "bcrypt", "boto3", "botocore", "celery", "databases", "fastapi",
    "httpx", "jose", "jwt", "numpy", "openai", "pandas", "passlib", "PIL", "psycopg", "psycopg2", "pydantic",
    "pydantic_settings", "pymysql", "pytest", "redis", "requests", "sqlalchemy", "sqlmodel", "starlette",
    "typer",
    "typing_extensions", "uvicorn", "urllib3",
}  # fmt: skip
"""Packages that a file of the same name inside a package does not hide."""


def _within(node: ast.AST, root: ast.AST, parents: dict[ast.AST, ast.AST]) -> bool:
    while node is not root:
        if node not in parents or isinstance(node, ast.stmt):
            return False
        node = parents[node]
    return True


def _python_files(paths: Iterable[Path], exclude: Callable[[Path], bool] | None) -> Iterator[tuple[Path, Path]]:
    for given in paths:
        start = given.resolve()
        if not start.is_dir():
            yield start, start.parent
            continue
        for directory, names, files in os.walk(start):
            here = Path(directory)
            names[:] = sorted(
                name
                for name in names
                if not name.startswith(".")
                and name not in SKIPPED
                and not (here / name / "pyvenv.cfg").exists()
                and not (exclude is not None and exclude(here / name))
            )
            for name in sorted(files):
                path = here / name
                if name.endswith(".py") and not (exclude is not None and exclude(path)):
                    yield path, start


def _imports(tree: ast.Module) -> Iterator[tuple[str, int]]:
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, 0) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            base = node.module or ""
            yield base, node.level
            for alias in node.names:
                yield f"{base}.{alias.name}" if base else alias.name, node.level


def _on_disk(name: str, level: int, importer: Module) -> Iterator[tuple[Path, Path]]:
    if not name or (not level and (name.partition(".")[0] in sys.stdlib_module_names | WELL_KNOWN)):
        return
    bases = [importer.path.parent]
    if level:
        for _ in range(level - 1):
            bases = [bases[0].parent]
    else:
        for parent in importer.path.parents:
            bases.append(parent)
            if (parent / ".git").exists() or (parent / "pyproject.toml").exists() or len(bases) > 8:
                break
    for base in bases:
        target = base.joinpath(*name.split("."))
        for path in (target.with_suffix(".py"), target / "__init__.py"):
            if path.is_file():
                yield path, base
                return


__all__ = ["Broken", "Progress", "Project"]
