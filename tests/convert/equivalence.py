"""Random legacy Query chains, the models they run on, and a way to run them before and after conversion."""

from __future__ import annotations

import random
import sys
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import Engine, Row
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session

from sqlawait.analysis.project import Project
from sqlawait.convert.conversion import Conversion
from sqlawait.convert.options import Options

MODELS = """
from sqlalchemy import Boolean, ForeignKey, Integer, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Author(Base):
    __tablename__ = "authors"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(40))
    active: Mapped[bool] = mapped_column(Boolean)
    books: Mapped[list["Book"]] = relationship(back_populates="author", order_by="Book.id")


class Book(Base):
    __tablename__ = "books"
    id: Mapped[int] = mapped_column(primary_key=True)
    title: Mapped[str] = mapped_column(String(40))
    pages: Mapped[int | None] = mapped_column(Integer)
    author_id: Mapped[int] = mapped_column(ForeignKey("authors.id"))
    author: Mapped[Author] = relationship(back_populates="books")
"""
HEAD = """from shelf import Author, Book
from sqlalchemy import func
from sqlalchemy.orm import Session, aliased, joinedload, selectinload

"""


def populate(session: Session, models: ModuleType) -> None:
    """A few authors and books, some of each without the other, with repeated names."""
    for number in range(1, 9):
        session.add(models.Author(id=number, name=f"name {number % 3}", active=number % 2 == 0))
    session.flush()
    for number in range(1, 25):
        pages = None if number % 7 == 0 else number % 5 * 10
        session.add(models.Book(id=number, title=f"title {number % 6}", pages=pages, author_id=number % 5 + 1))
    session.commit()


class Chains:
    """Makes random functions that query; their results are sorted before they are compared."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)

    def function(self, name: str) -> str:
        """The source of one function."""
        shape = self.random.choice(
            [self.entity, self.entity, self.columns, self.pair, self.changed, self.union, self.nested]
        )
        return f"def {name}(db: Session):\n" + "".join(f"    {line}\n" for line in shape())

    def _condition(self, model: str = "Author") -> str:
        author = ["Author.id > {n}", "Author.name == 'name 1'", "Author.active.is_(True)"]
        author += ["Author.id.in_([1, 2, {n}])", "Author.name.like('name%')"]
        book = [
            "Book.id > {n}",
            "Book.pages >= {n}",
            "Book.pages.is_(None)",
            "Book.title == 'title {n}'",
            "Book.author_id == {n}",
        ]
        return self.random.choice(author if model == "Author" else book).format(n=self.random.randint(0, 6))

    def _steps(self, model: str) -> list[str]:
        steps = []
        for _ in range(self.random.randint(0, 3)):
            kind = self.random.randint(0, 4)
            if kind == 0 and model == "Author":
                steps.append(f".filter_by(active={self.random.choice(['True', 'False'])})")
            elif kind == 1:
                steps.append(f".filter({self._condition(model)}, {self._condition(model)})")
            elif kind == 2:
                steps.append(f".where({self._condition(model)})")
            elif kind == 3:
                steps.append(f".execution_options(note={self.random.randint(1, 9)})")
            else:
                steps.append(f".filter({self._condition(model)})")
        return steps

    def _end(self, ordered: bool) -> str:
        ends = [
            ".all()",
            ".all()",
            ".count()",
            "[1:4]",
            "[:3]",
            ".first()",
            ".one_or_none()",
            ".limit(1).one_or_none()",
        ]
        end = self.random.choice(ends)
        return end if ordered or end in (".all()", ".count()") else ".all()"

    def _joined(self, model: str) -> list[str]:
        other = "Book" if model == "Author" else "Author"
        way = "Author.books" if model == "Author" else "Book.author"
        joins = [f".join({way})", f".outerjoin({way})", f".join({other}, Author.id == Book.author_id)"]
        return [
            self.random.choice(joins),
            *([f".filter({self._condition(other)})"] if self.random.random() < 0.5 else []),
        ]

    def entity(self) -> list[str]:
        """One model."""
        model = self.random.choice(["Author", "Book"])
        steps = self._steps(model)
        if self.random.random() < 0.4:
            steps += self._joined(model)
        if self.random.random() < 0.3:
            loader = self.random.choice(["joinedload", "selectinload"])
            steps.append(f".options({loader}({'Author.books' if model == 'Author' else 'Book.author'}))")
        if self.random.random() < 0.2:
            steps.append(".distinct()")
        ordered = self.random.random() < 0.6
        if ordered:
            steps.append(f".order_by({model}.id{self.random.choice(['', '.desc()'])})")
        if ordered and self.random.random() < 0.3:
            steps.append(f".limit({self.random.randint(1, 5)}).offset({self.random.randint(0, 3)})")
            return self._written(f"db.query({model})", steps, self.random.choice([".all()", ".count()"]))
        if not ordered and not steps and self.random.random() < 0.5:
            return [f"return db.query({model}).get({self.random.randint(1, 9)})"]
        return self._written(f"db.query({model})", steps, self._end(ordered))

    def _written(self, root: str, steps: list[str], end: str) -> list[str]:
        """A chain in one expression, or stored and refined, perhaps in a branch, or walked through."""
        way = self.random.randint(0, 5)
        if way == 0 and steps:
            lines = [f"query = {root}"]
            for step in steps:
                if self.random.random() < 0.4:
                    lines += ["if db.is_active:", f"    query = query{step}"]
                else:
                    lines.append(f"query = query{step}")
            return [*lines, f"return query{end}"]
        if way == 1 and end == ".all()":
            return [
                "found = []",
                f"for each in {root}{''.join(steps)}:",
                "    found.append(each)",
                "return found",
            ]
        if way == 2 and end == ".all()":
            return [f"return [each for each in {root}{''.join(steps)}]"]
        if way == 3:
            return [
                f"value = ({root}",
                *(f"    {step}" for step in steps),
                f"    {end}" if end[0] == "." else f"    .all(){end}",
                ")",
                "return value",
            ]
        return [f"return {root}{''.join(steps)}{end}"]

    def columns(self) -> list[str]:
        """Columns and functions."""
        what = self.random.choice(
            ["Author.id, Author.name", "Author.name", "Author.id.label('key'), func.length(Author.name)"]
        )
        if self.random.random() < 0.4:
            name = self.random.choice(["count", "max", "min", "sum"])
            tail = self.random.choice([".scalar()", ".one()", ".first()", ".all()"])
            return self._written(f"db.query(func.{name}(Author.id))", self._steps("Author"), tail)
        if self.random.random() < 0.3:
            group = [".group_by(Author.name)", ".having(func.count(Author.id) > 1)", ".order_by(Author.name)"]
            return self._written(
                "db.query(Author.name, func.count(Author.id))", self._steps("Author") + group, ".all()"
            )
        steps = self._steps("Author")
        if self.random.random() < 0.3:
            steps += [".outerjoin(Author.books)"]
        ordered = self.random.random() < 0.5
        steps += [".order_by(Author.id)"] if ordered else []
        if self.random.random() < 0.2:
            return [f"return db.query(Author).with_entities(Author.id, Author.name){''.join(steps)}.all()"]
        return self._written(f"db.query({what})", steps, ".all()")

    def pair(self) -> list[str]:
        """Two models, or a model and a column."""
        what = self.random.choice(["Author, Book", "Book, Author", "Author, Book.title", "Book.title, Author"])
        steps = [".filter(Author.id == Book.author_id)", *self._steps("Book"), ".order_by(Book.id)"]
        return self._written(
            f"db.query({what})", steps, self.random.choice([".all()", ".first()", ".count()", "[0:2]"])
        )

    def changed(self) -> list[str]:
        """Bulk updates and deletes, rolled back by the one who runs them."""
        model = self.random.choice(["Author", "Book"])
        steps = "".join(self._steps("Book")) if model == "Book" else "".join(self._steps("Author"))
        how = self.random.choice(["", "synchronize_session=False", "synchronize_session='fetch'"])
        if model == "Book" and self.random.random() < 0.5:
            return [f"return db.query(Book){steps}.delete({how})"]
        values = "{'title': 'new'}" if model == "Book" else "{Author.name: Author.name + '!'}"
        done = f"db.query({model}){steps}.update({values}{', ' + how if how else ''})"
        if self.random.random() < 0.5:
            return [done, f"return db.query({model}).order_by({model}.id).populate_existing().all()"]
        return [f"changed = {done}", "return changed"]

    def union(self) -> list[str]:
        """Unions of one model."""
        one, other = (f"db.query(Author).filter({self._condition()})" for _ in range(2))
        way = self.random.choice(["union", "union_all", "intersect", "except_"])
        end = self.random.choice([".all()", ".count()"])
        return [f"first = {one}", f"second = {other}", f"return first.{way}(second){end}"]

    def nested(self) -> list[str]:
        """Subqueries, exists, in."""
        inner = f"db.query(Book.author_id).filter({self._condition('Book')})"
        way = self.random.randint(0, 4)
        if way == 0:
            return [
                f"inner = {inner}.subquery()",
                "return db.query(Author).join(inner, inner.c.author_id == Author.id).all()",
            ]
        if way == 1:
            return [f"return db.query(Author).filter(Author.id.in_({inner})).all()"]
        if way == 2:
            return [f"return db.query({inner}.exists()).scalar()"]
        if way == 3:
            return [f"return db.query(Author, ({inner}.limit(1).as_scalar())).order_by(Author.id).all()"]
        return [
            "other = aliased(Author)",
            f"query = db.query(Author).filter({self._condition()})",
            "return query.join(other, other.name == Author.name).order_by(Author.id).all()",
        ]


def convert_source(folder: Path, source: str) -> str:
    """The source after conversion, with the models beside it."""
    (folder / "shelf.py").write_text(MODELS)
    path = folder / "chains.py"
    path.write_text(source)
    result = Conversion(Project.load([folder]), Options()).run()
    assert not result.todos, [each.reason for each in result.todos]
    return result.changes[path][1]


def load(name: str, source: str) -> ModuleType:
    """A module made of source, importable by its name."""
    module = ModuleType(name)
    sys.modules[name] = module
    exec(compile(source, name, "exec", dont_inherit=True), module.__dict__)
    return module


def plain(value: Any) -> Any:
    """A result as values that can be compared across sessions."""
    if isinstance(value, list):
        rows = [plain(each) for each in value]
        return sorted(rows, key=repr)
    if isinstance(value, Row):
        return tuple(plain(each) for each in value)
    if hasattr(value, "__table__"):
        return type(value).__name__, *(getattr(value, column.name) for column in value.__table__.columns)
    return value


def outcome(value: Callable[[], Any]) -> Any:
    """What a call gives, or the kind of its failure."""
    try:
        return plain(value())
    except Exception as error:
        return type(error).__name__


def run_before(engine: Engine, function: Callable[[Session], Any]) -> Any:
    """Run a function on a sync session and take back what it did."""
    with Session(engine) as session:
        found = outcome(lambda: function(session))
        session.rollback()
        return found


async def run_after(engine: AsyncEngine, function: Callable[[AsyncSession], Any]) -> Any:
    """Run a converted function on an async session and take back what it did."""
    async with AsyncSession(engine, expire_on_commit=False) as session:
        try:
            found = plain(await function(session))
        except Exception as error:
            found = type(error).__name__
        await session.rollback()
        return found
