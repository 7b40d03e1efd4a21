"""Objects of a subclass that are queried as their base class."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from sqlawait.convert.result import Result

SOURCE = """
from sqlalchemy import Column, ForeignKey, Integer, String, select
from sqlalchemy.orm import DeclarativeBase, Session


class Base(DeclarativeBase):
    pass


class Node(Base):
    __tablename__ = "nodes"
    id = Column(Integer, primary_key=True)
    kind = Column(String)
    __mapper_args__ = {"polymorphic_on": "kind", "polymorphic_identity": "node"}


class Folder(Node):
    __tablename__ = "folders"
    id = Column(ForeignKey("nodes.id"), primary_key=True)
    size = Column(Integer)
    __mapper_args__ = {"polymorphic_identity": "folder"}


class Document(Node):
    __tablename__ = "documents"
    id = Column(ForeignKey("nodes.id"), primary_key=True)
    pages = Column(Integer)
    __mapper_args__ = {
        "polymorphic_identity": "document",
    }


def nodes(db: Session):
    return db.scalars(select(QUERIED)).all()
"""


def test_base_is_queried(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A query of the base class loads what the tables of the subclasses hold."""
    result = convert({"module.py": SOURCE.replace("QUERIED", "Node")})
    found = result.changes[tmp_path / "module.py"][1]
    assert '{"polymorphic_identity": "folder", "polymorphic_load": "selectin"}' in found
    assert (
        '        "polymorphic_identity": "document",\n        "polymorphic_load": "selectin",\n    }' in found
    )
    assert found.count("polymorphic_load") == 2
    (tmp_path / "module.py").write_text(found)
    assert convert({}).changes == {}


def test_subclass_is_queried(convert: Callable[..., Result], tmp_path: Path) -> None:
    """A query of the subclass itself reads both tables already."""
    result = convert({"module.py": SOURCE.replace("QUERIED", "Document")})
    assert "polymorphic_load" not in result.changes[tmp_path / "module.py"][1]
