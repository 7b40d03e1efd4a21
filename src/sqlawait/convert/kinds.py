"""What makes an engine, a session factory or a session."""

from __future__ import annotations

import ast

from .facts import Facts

MAKERS = {
    "sqlalchemy.create_engine": "engine",
    "sqlalchemy.engine.create_engine": "engine",
    "sqlmodel.create_engine": "engine",
    "sqlalchemy.engine_from_config": "engine",
    "sqlalchemy.orm.sessionmaker": "maker",
    "sqlalchemy.orm.scoped_session": "scoped",
    "sqlalchemy.orm.Session": "session",
    "sqlmodel.Session": "session",
    "sqlalchemy.orm.object_session": "object",
}


def kind_of(call: ast.Call, facts: Facts) -> str:
    """What a call makes; empty for anything else."""
    name = facts.inference.names.qualified(call.func)
    kind = MAKERS.get(name, "")
    if kind:
        return kind
    if facts.is_session(call) and not facts.targets(call) and facts.is_maker(call.func):
        return "session"
    return ""


__all__ = ["MAKERS", "kind_of"]
