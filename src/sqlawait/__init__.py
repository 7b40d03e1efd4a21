"""Async SQLAlchemy for FastAPI, done right: start on it, move to it, prove it."""

from sqlawait.backends import Failure, Timeouts, failure_of
from sqlawait.database import Database, Health
from sqlawait.exceptions import (
    CommitUnknown,
    ConfigurationError,
    DatabaseAway,
    InvalidRequest,
    NotFound,
    PoolTimeout,
    ReadOnly,
    SqlawaitError,
    Unavailable,
    Unsupported,
)
from sqlawait.session import AsyncSession

__all__ = [
    "AsyncSession",
    "CommitUnknown",
    "ConfigurationError",
    "Database",
    "DatabaseAway",
    "Failure",
    "Health",
    "InvalidRequest",
    "NotFound",
    "PoolTimeout",
    "ReadOnly",
    "SqlawaitError",
    "Timeouts",
    "Unavailable",
    "Unsupported",
    "failure_of",
]
