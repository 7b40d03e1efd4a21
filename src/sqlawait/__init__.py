"""Async SQLAlchemy for FastAPI, done right."""

from sqlawait.exceptions import CommitUnknown, NotFound, PoolTimeout, SqlawaitError

__all__ = ["CommitUnknown", "NotFound", "PoolTimeout", "SqlawaitError"]
