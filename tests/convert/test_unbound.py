"""Queries that are handed to a function: the session goes with them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlawait.analysis.project import Project
from sqlawait.convert.conversion import Conversion
from sqlawait.convert.options import Options
from sqlawait.convert.result import Result

MODELS = """
from sqlalchemy import Column, Integer
from sqlalchemy.orm import DeclarativeBase

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id = Column(Integer, primary_key=True)
"""
PAGING = """
from sqlalchemy.orm import Query


def paginate(query: Query, skip: int, limit: int):
    count = query.order_by(None).count()
    return {"count": count, "result": query.offset(skip).limit(limit).all()}


def page(query: Query, *, number: int):
    return paginate(query, number * 10, 10)
"""
DAO = """
from sqlalchemy.orm import Session

from models import User
from paging import page, paginate


class Dao:
    def __init__(self, db: Session):
        self.db = db

    def users(self):
        return paginate(self.db.query(User), 0, 10)

    def ids(self):
        query = self.db.query(User.id)
        return page(query, number=2)
"""


def after(result: Result, folder: Path, name: str) -> str:
    """A file after the conversion."""
    return result.changes[folder / name][1]


def test_session_goes_along(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A function that runs the query it is given takes the session too, and its callers hand it over."""
    result = convert({"models.py": MODELS, "paging.py": PAGING, "dao.py": DAO})
    paging, dao = after(result, tmp_path, "paging.py"), after(result, tmp_path, "dao.py")
    assert "async def paginate(session: AsyncSession, query: Select, skip: int, limit: int):" in paging
    assert "async def page(session: AsyncSession, query: Select, *, number: int):" in paging
    assert "return await paginate(session, query, number * 10, 10)" in paging
    assert (
        "count = await session.scalar(select(func.count()).select_from(query.order_by(None).subquery()))"
        in paging
    )
    assert "return await paginate(self.db, select(User), 0, 10)" in dao
    assert "return await page(self.db, query, number=2)" in dao
    assert result.todos == []


def test_model_or_columns(convert: Callable[..., Result], tmp_path: Path) -> None:
    """Where a query may be of a model or of columns, the statement itself tells when it runs."""
    result = convert({"models.py": MODELS, "paging.py": PAGING, "dao.py": DAO})
    paging = after(result, tmp_path, "paging.py")
    assert '"result": (await rows_of(session, query.offset(skip).limit(limit))).all()}' in paging
    assert "async def rows_of(session: AsyncSession, statement: Select):" in paging
    for path, (_, text) in result.changes.items():
        path.write_text(text)
    assert convert({}).changes == {}


def test_unknown_caller(convert: Callable[..., Result], tmp_path: Path) -> None:
    """Where one caller cannot name the session, none is handed over, and the reason is left."""
    caller = """
    from paging import paginate

    def run(make):
        return paginate(make(), 0, 10)
    """
    result = convert({"models.py": MODELS, "paging.py": PAGING, "dao.py": DAO, "caller.py": caller})
    assert "def paginate(query: Select" in after(result, tmp_path, "paging.py")
    assert "SAW903" in {todo.code for todo in result.todos}


def test_while_still_sync(tmp_path: Path) -> None:
    """The phase that rewrites queries hands the session along too, and nothing is awaited yet."""
    for name, source in {"models.py": MODELS, "paging.py": PAGING, "dao.py": DAO}.items():
        (tmp_path / name).write_text(source)
    result = Conversion(Project.load([tmp_path]), Options()).run("queries")
    paging, dao = after(result, tmp_path, "paging.py"), after(result, tmp_path, "dao.py")
    assert "def paginate(session: Session, query: Select, skip: int, limit: int):" in paging
    assert "def rows_of(session: Session, statement: Select):" in paging
    assert "await" not in paging
    assert "return paginate(self.db, select(User), 0, 10)" in dao


def test_a_suite_that_gets_what_may_be_a_query(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A call that is awaited, and whose result may be a statement, is put in both."""
    app = """
        from fastapi import FastAPI
        from sqlalchemy.orm import Session

        from models import User

        app = FastAPI()


        @app.get("/")
        def users(db: Session, named: bool = False):
            if named:
                return db.query(User).filter(User.id == 1)
            return db.query(User).all()
        """
    test = """
        from app import users


        def test_users(db):
            assert users(
                db,
                True,
            )
        """
    files = {"models.py": MODELS, "app.py": app, "test_app.py": test}
    found = after(convert(files, Options(tests=True)), tmp_path, "test_app.py")
    assert "assert wait(synchronous(users(" in found
