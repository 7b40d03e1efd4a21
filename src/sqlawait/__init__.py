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
from sqlawait.paging import OffsetPage, Page
from sqlawait.session import AsyncSession
from sqlawait.vectors import Vector, hnsw_index, nearest

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
    "OffsetPage",
    "Page",
    "PoolTimeout",
    "ReadOnly",
    "SqlawaitError",
    "Timeouts",
    "Unavailable",
    "Unsupported",
    "Vector",
    "failure_of",
    "hnsw_index",
    "nearest",
]
