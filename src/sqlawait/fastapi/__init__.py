"""sqlawait in a FastAPI application."""

from sqlawait.fastapi.application import install
from sqlawait.fastapi.dependencies import DatabaseDep, ReaderDep, SessionDep, StreamSessionDep
from sqlawait.fastapi.idempotency import IdempotencyKey, IdempotencyRecord, KeyReused, once
from sqlawait.fastapi.listing import Listing, OffsetListing, listing, offset_listing
from sqlawait.fastapi.problems import Problem, problem
from sqlawait.fastapi.streaming import ndjson

__all__ = [
    "DatabaseDep",
    "IdempotencyKey",
    "IdempotencyRecord",
    "KeyReused",
    "Listing",
    "OffsetListing",
    "Problem",
    "ReaderDep",
    "SessionDep",
    "StreamSessionDep",
    "install",
    "listing",
    "ndjson",
    "offset_listing",
    "once",
    "problem",
]
