"""What a conversion will not do: each code of a TODO is documented, and there is a way to it."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path

import pytest

from sqlawait.check.registry import RULES
from sqlawait.convert.refusals import REFUSALS, Refusal
from sqlawait.convert.result import Result

DOCS = Path(__file__).parents[2] / "docs" / "convert.md"
HEAD = """
from contextlib import contextmanager
from sqlalchemy import create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine("sqlite://")
maker = sessionmaker(engine)

class Base(DeclarativeBase):
    pass

class User(Base):
    __tablename__ = "users"
    id: Mapped[int] = mapped_column(primary_key=True)

@contextmanager
def lock():
    yield

def walk(db: Session):
    for user in db.query(User):
        yield user

class Plain:
    def run(self, db: Session):
        return db.query(User).all()

def plain(db: Session):
    return []

"""
CASES = {
    "SAW901": "return db.query(User).paginate(1)",
    "SAW902": "return db.query(what).union(db.query(what)).all()",
    "SAW903": "return stored.query.all()",
    "SAW904": "return what(lambda: db.query(User).count())",
    "SAW905": "with lock(), maker() as other: pass",
    "SAW906": "return engine.raw_connection()",
    "SAW907": "return db.execute(text, execution_options=dict(stream_results=True))",
    "SAW908": "return (Plain().run if what else plain)(db)",
    "SAW909": "return walk(db)",
}


@pytest.mark.parametrize(("code", "line"), CASES.items())
def test_refused(code: str, line: str, convert: Callable[..., Result], tmp_path: Path) -> None:
    """What is not converted is left as it was, under a comment with the code and the reason."""
    stored = "class Stored:\n    def __init__(self, db: Session):\n        self.query = db.query(User)\n\n"
    head = HEAD + (stored if "stored" in line else "")
    taken = ", stored: Stored" if "stored" in line else ", what, text"
    session = "" if "stored" in line else "db: Session"
    source = f"{head}def function({session}{taken if session else taken[2:]}):\n    {line}\n"
    result = convert({"module.py": source})
    assert [todo.code for todo in result.todos] == [code]
    found = result.changes[tmp_path / "module.py"][1]
    assert f"    # TODO(sqlawait {code}): {result.todos[0].reason}\n    {line}\n" in found


def test_every_code_has_a_case() -> None:
    """A code that nothing leads to is not one."""
    assert CASES.keys() == REFUSALS.keys()


def test_documented() -> None:
    """The documentation's table is the table of codes."""
    rows = re.findall(r"^\| (SAW\d+) \| (.+) \|$", DOCS.read_text(encoding="utf-8"), re.MULTILINE)
    assert dict(rows) == REFUSALS


def test_apart_from_the_rules() -> None:
    """No rule of ``check`` has a code of these: a TODO cannot be taken for a finding."""
    assert not REFUSALS.keys() & RULES.keys()


def test_no_other_code() -> None:
    """A refusal cannot be made with a code that is not in the table."""
    with pytest.raises(AssertionError, match="SAW999"):
        Refusal("SAW999", "unknown")


@pytest.mark.parametrize(
    "use", ["inspect(engine).get_table_names()", "Table('users', MetaData(), autoload_with=engine)"]
)
def test_reflection(convert: Callable[..., Result], use: str) -> None:
    """What reads the schema by itself has no async counterpart, whatever waits beside it."""
    imports = "from fastapi import FastAPI\nfrom sqlalchemy import MetaData, Table, inspect\n"
    route = "\napp = FastAPI()\n\n@app.get('/')\nasync def names():\n    db = maker()\n    db.commit()\n"
    result = convert({"module.py": f"{imports}{HEAD}{route}    return {use}\n"})
    assert [todo.code for todo in result.todos if "run_sync" in todo.reason] == ["SAW906"]
