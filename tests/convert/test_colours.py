"""Which functions become async, which stay, and which are needed as both."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlawait.convert.options import Options
from sqlawait.convert.result import Result

DATABASE = """
from sqlalchemy import create_engine
from sqlalchemy.orm import sessionmaker

engine = create_engine("sqlite:///app.db")
SessionLocal = sessionmaker(bind=engine)


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()
"""
CRUD = """
from sqlalchemy import text
from sqlalchemy.orm import Session


def count(db: Session) -> int:
    return db.execute(text("select 1")).scalar()


def double(db: Session) -> int:
    return 2 * count(db)


def pure(value: int) -> int:
    return value + 1
"""
ROUTES = """
from fastapi import APIRouter, Depends
from sqlalchemy.orm import Session
import crud
from database import get_db

router = APIRouter()


@router.get("/count")
def read_count(db: Session = Depends(get_db)):
    return [crud.pure(crud.double(db)) for _ in range(2)]
"""
WORKER = """
from celery import shared_task
import crud
from database import SessionLocal


@shared_task
def work():
    with SessionLocal() as db:
        return crud.double(db)
"""


def after(result: Result, folder: Path, name: str) -> str:
    """A file after the conversion."""
    path = folder / name
    return result.changes[path][1] if path in result.changes else path.read_text()


def test_along_the_calls(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What waits, and what calls what waits, becomes async, over all files; the rest does not."""
    result = convert({"database.py": DATABASE, "crud.py": CRUD, "routes.py": ROUTES})
    crud, routes = after(result, tmp_path, "crud.py"), after(result, tmp_path, "routes.py")
    database = after(result, tmp_path, "database.py")
    assert 'return (await db.execute(text("select 1"))).scalar()' in crud
    assert "return 2 * await count(db)" in crud
    assert "\ndef pure(value: int)" in crud
    assert "async def read_count(db: AsyncSession = Depends(get_db)):" in routes
    assert "[crud.pure(await crud.double(db)) for _ in range(2)]" in routes
    assert 'create_async_engine("sqlite+aiosqlite:///app.db")' in database
    assert "async_sessionmaker(bind=engine, expire_on_commit=False)" in database
    assert "        await db.close()" in database
    assert result.twins == 0
    assert result.todos == []


def test_both_kinds(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A worker's task stays sync and gets sync twins of what the routes need as async."""
    result = convert({"database.py": DATABASE, "crud.py": CRUD, "routes.py": ROUTES, "worker.py": WORKER})
    worker, crud = after(result, tmp_path, "worker.py"), after(result, tmp_path, "crud.py")
    database = after(result, tmp_path, "database.py")
    assert "def work():\n    with SyncSessionLocal() as db:\n        return crud.double_sync(db)" in worker
    assert "def double_sync(db: Session) -> int:\n    return 2 * count_sync(db)" in crud
    assert "async def double(db: AsyncSession) -> int:" in crud
    assert "SyncSessionLocal = sessionmaker(bind=sync_engine)" in database


def test_whole_object(convert: Callable[..., Result], tmp_path: Path) -> None:
    """An object that holds an async session has async methods only, though a command alone calls some."""
    dao = """
class Dao:
    def __init__(self, db: Session):
        self.db = db

    def count(self) -> int:
        return self.db.execute(text("select 1")).scalar()

    def clear(self) -> None:
        self.db.execute(text("delete from items"))
        self.db.commit()
"""
    head = "from sqlalchemy import text\nfrom sqlalchemy.orm import Session\n"
    routes = ROUTES.replace("crud.pure(crud.double(db))", "crud.Dao(db).count()")
    cli = WORKER.replace("crud.double(db)", "crud.Dao(db).clear()")
    files = {"database.py": DATABASE, "crud.py": head + dao, "routes.py": routes, "worker.py": cli}
    result = convert(files)
    crud = after(result, tmp_path, "crud.py")
    assert "async def clear(self) -> None:" in crud
    assert "        await self.db.commit()" in crud
    assert "    def clear_sync(self) -> None:" in crud
    assert "crud.Dao(db).clear_sync()" in after(result, tmp_path, "worker.py")
    assert "count_sync" not in crud


def test_slice(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A slice converts what it reaches; the rest goes on with the sync session beside it."""
    other = ROUTES.replace("read_count", "read_other").replace('"/count"', '"/other"')
    files = {"database.py": DATABASE, "crud.py": CRUD, "routes.py": ROUTES, "other.py": other}
    result = convert(files, Options(only=["/count"]))
    assert "async def read_count(" in after(result, tmp_path, "routes.py")
    assert "\ndef read_other(db: Session = Depends(get_db_sync)):" in after(result, tmp_path, "other.py")


def test_again(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A converted code base has nothing left to convert."""
    first = convert({"database.py": DATABASE, "crud.py": CRUD, "routes.py": ROUTES})
    for path, (_, text) in first.changes.items():
        path.write_text(text)
    assert convert({}).changes == {}


def test_session_made_at_import(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What works on a session that a script has made at import stays sync, with all that it needs."""
    script = """
        from sqlalchemy import create_engine
        from sqlalchemy.orm import Session, sessionmaker
        from fastapi import Depends, FastAPI

        app = FastAPI()
        SessionLocal = sessionmaker(create_engine("sqlite://"))


        def get_db():
            with SessionLocal() as db:
                yield db


        db = next(get_db())


        def fill():
            db.add(object())
            db.commit()


        @app.get("/")
        def work(db: Session = Depends(get_db)):
            db.commit()
        """
    found = convert({"module.py": script}).changes[tmp_path / "module.py"][1]
    assert "db = next(get_db_sync())" in found
    assert "\ndef fill():\n    db.add(object())\n    db.commit()\n" in found
    assert "async def work(db: AsyncSession = Depends(get_db)):\n    await db.commit()" in found


PROTOCOL = """
from typing import Any, Protocol

from fastapi import Depends, FastAPI
from sqlalchemy import text
from sqlalchemy.orm import Session

app = FastAPI()


class Repository(Protocol):
    def read(self, id: int) -> Any: ...

    def create(self, schema: Any) -> Any: ...


class Users:
    def __init__(self, db: Session) -> None:
        self.db = db

    def read(self, id: int, eager: bool = False) -> Any:
        return self.db.scalar(text("1"))

    def create(self, given: Any) -> Any:
        self.db.commit()

    def close(self) -> None:
        self.db.close()


class Memory:
    def read(self, id: int) -> Any:
        return id

    def create(self, schema: Any, hard: bool) -> Any:
        return None


class Service:
    def __init__(self, repository: Repository) -> None:
        self.repository = repository

    def get(self, id: int) -> Any:
        return self.repository.read(id)

    def close(self) -> None:
        self.repository.close()


@app.get("/")
def get(id: int, service: Service = Depends(Service)):
    found = service.get(id)
    service.close()
    return found
"""


def test_protocols(convert: Callable[..., Result], tmp_path: Path) -> None:
    """What a protocol promises waits where a class that has all of it waits."""
    result = convert({"module.py": PROTOCOL})
    found = result.changes[tmp_path / "module.py"][1]
    assert "    async def read(self, id: int) -> Any: ..." in found
    assert "    async def create(self, schema: Any) -> Any: ..." in found
    assert "        return await self.repository.read(id)" in found
    assert "        await self.repository.close()" in found
    assert "    found = await service.get(id)\n    await service.close()" in found
    assert "class Memory:\n    def read(" in found
    assert result.todos == []


def test_functions_named_like_what_they_call(convert: Callable[..., Result], tmp_path: Path) -> None:
    """``db.delete(row)`` is awaited in functions that are called ``delete``, however many there are."""
    service = """
        def delete(*, db, id):
            row = db.query(Row).filter(Row.id == id).first()
            db.delete(row)
            db.query(Row).filter(Row.parent == id).delete()
            db.commit()
        """
    view = """
        from fastapi import APIRouter
        from sqlalchemy.orm import Session
        from {name} import delete

        router = APIRouter()

        @router.delete("/")
        def remove(db: Session, id: int):
            delete(db=db, id=id)
        """
    names = [f"service{number}" for number in range(8)]
    files = {f"{name}.py": service for name in names}
    views = {f"views_{name}.py": view.replace("{name}", name) for name in names}
    result = convert({**files, **views})
    for name in names:
        found = result.changes[tmp_path / f"{name}.py"][1]
        assert "    await db.delete(row)\n    await db.execute(delete(Row)" in found.replace(
            "sa_delete", "delete"
        )
