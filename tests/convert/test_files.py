"""Files as code bases have them: in newer syntax, under names that mislead, in folders that are packages."""

from __future__ import annotations

import tokenize
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.convert.apply import Refused, write_all
from sqlawait.convert.context import Context
from sqlawait.convert.conversion import Conversion
from sqlawait.convert.edits import Edits
from sqlawait.convert.finishing import finish
from sqlawait.convert.options import Options
from sqlawait.convert.result import Result


def test_newer_syntax(convert: Callable[..., Result], tmp_path: Path) -> None:
    """Files in the syntax of a newer Python than the one that converts them are converted too."""
    source = """
        from collections.abc import Callable
        from sqlalchemy.orm import Session

        type Post[T] = Callable[[T], None]


        def find[T](db: Session, model: type[T]) -> T | None:
            return db.get(model, 1)
        """
    found = convert({"module.py": source}).changes[tmp_path / "module.py"][1]
    assert (
        "type Post[T] = Callable[[T], None]\n\n\nasync def find[T](db: AsyncSession, model: type[T])" in found
    )


def test_files_that_are_named_like_tests(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A file of the application may deal with tests; it is one where pytest finds something in it."""
    source = """
        from fastapi import APIRouter, Depends
        from sqlalchemy.orm import Session

        router = APIRouter()


        @router.get("/")
        def test_results(db: Session):
            return db.get(Result, 1)
        """
    test = "def test_it(db):\n    db.commit()\n"
    result = convert({"start_test.py": source, "test_runs.py": source, "test_it.py": test})
    assert set(result.changes) == {tmp_path / "start_test.py", tmp_path / "test_runs.py"}


def test_bridge_under_the_name_of_the_suite(convert: Callable[..., Result], tmp_path: Path) -> None:
    """Where the suite imports its helpers as ``tests``, the bridge is there under no other name."""
    app = """
        from sqlalchemy.orm import Session


        def work(db: Session):
            db.commit()
        """
    files = {
        "my-app/__init__.py": "",
        "my-app/app.py": app,
        "my-app/tests/__init__.py": "",
        "my-app/tests/helpers.py": "from app import work\n\n\ndef helper(db):\n    work(db)\n",
        "my-app/tests/conftest.py": "from tests.helpers import helper\n",
        "my-app/tests/deep/test_it.py": "from app import work\n\n\ndef test_it(db):\n    work(db)\n",
    }
    changes = {
        str(path.relative_to(tmp_path / "my-app")): after
        for path, (_, after) in convert(files, Options(tests=True)).changes.items()
    }
    assert "from tests.async_bridge import *" in changes["tests/conftest.py"]
    assert "from tests.async_bridge import " in changes["tests/helpers.py"]
    assert "from tests.async_bridge import " in changes["tests/deep/test_it.py"]


@pytest.mark.parametrize("head", ["", "# coding: latin-1\r\n", "\ufeff"])
def test_bytes_that_files_keep(tmp_path: Path, head: str) -> None:
    """A file keeps the encoding and the line ends that it has."""
    path = tmp_path / "module.py"
    encoding = "latin-1" if "latin" in head else "utf-8"
    path.write_bytes(f"{head}name = 'é'\r\n".encode(encoding))
    with tokenize.open(path) as file:
        write_all({path: file.read().replace("é", "éé") + "other = 1\n"})
    assert path.read_bytes() == f"{head}name = 'éé'\r\nother = 1\r\n".encode(encoding)


def test_changes_that_do_not_go_together(conversion: Callable[..., Conversion]) -> None:
    """A file whose changes do not parse is named, and nothing is written."""
    decisions = conversion({"module.py": "x = 1\n"}).decisions
    module = next(each for each in decisions.facts.project.modules.values() if each.path.name == "module.py")
    edits = Edits(module.source)
    edits.replace(0, 1, "(")
    with pytest.raises(Refused, match=r"module.py cannot be converted: .* nothing was written"):
        finish(Context(module, decisions.facts, edits))


def test_tables_that_are_created_in_a_return(convert: Callable[..., Result], tmp_path: Path) -> None:
    """``return metadata.create_all(engine)`` returns from within the transaction."""
    source = """
        from fastapi import FastAPI
        from sqlalchemy import MetaData, create_engine

        app = FastAPI()
        engine = create_engine("sqlite://")
        metadata = MetaData()


        @app.post("/tables")
        def create():
            return metadata.create_all(bind=engine, checkfirst=True)
        """
    result = convert({"module.py": source})
    assert (
        "async def create():\n"
        "    async with engine.begin() as connection:\n"
        "        return await connection.run_sync(metadata.create_all, checkfirst=True)\n"
    ) in result.changes[tmp_path / "module.py"][1]
    assert result.todos == []
