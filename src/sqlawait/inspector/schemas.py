"""What the inspector's API answers. Times are milliseconds."""

from __future__ import annotations

from typing import Self

from pydantic import BaseModel

from sqlawait.events import Finding, Site, StatementRan
from sqlawait.inspector.collector import Group, Total, Trace


def _line(site: Site | None) -> str | None:
    return str(site) if site is not None else None


def _ms(seconds: float) -> float:
    return round(seconds * 1000, 3)


class FindingOut(BaseModel):
    """What a guard caught."""

    guard: str
    message: str
    fix: str
    site: str | None
    related: dict[str, str]
    where: str
    request: str | None
    at: float
    count: int
    ms: float

    @classmethod
    def of(cls, finding: Finding) -> Self:
        """From the event."""
        return cls(
            guard=finding.guard,
            message=finding.message,
            fix=finding.fix,
            site=_line(finding.site),
            related={what: str(site) for what, site in finding.related.items()},
            where=finding.where,
            request=finding.request,
            at=finding.at,
            count=finding.count,
            ms=_ms(finding.seconds),
        )


class RequestOut(BaseModel):
    """A request, and where its time went."""

    id: str
    method: str
    path: str
    route: str
    status: int | None
    running: bool
    at: float
    ms: float
    database_ms: float
    pool_ms: float
    blocked_ms: float
    rest_ms: float
    statements: int
    findings: list[str]
    error: str | None

    @classmethod
    def of(cls, trace: Trace) -> Self:
        """From the collector's trace."""
        start, end = trace.started, trace.finished
        known = end.database + end.waited + end.blocked if end else 0.0
        return cls(
            id=start.id,
            method=start.method,
            path=start.path,
            route=end.route if end else start.path,
            status=end.status if end else None,
            running=end is None,
            at=start.at,
            ms=_ms(end.seconds if end else 0.0),
            database_ms=_ms(end.database if end else 0.0),
            pool_ms=_ms(end.waited if end else 0.0),
            blocked_ms=_ms(end.blocked if end else 0.0),
            rest_ms=_ms(max(0.0, end.seconds - known) if end else 0.0),
            statements=end.statements if end else len(trace.statements),
            findings=sorted({finding.guard for finding in trace.findings}),
            error=end.error if end else None,
        )


class StatementOut(BaseModel):
    """One statement of a request."""

    number: int
    sql: str
    parameters: str | None
    dialect: str
    site: str | None
    offset_ms: float
    ms: float
    rows: int | None
    many: int
    error: str | None
    can_explain: bool

    @classmethod
    def of(cls, number: int, statement: StatementRan, *, can_explain: bool) -> Self:
        """From the event."""
        return cls(
            number=number,
            sql=statement.sql,
            parameters=repr(statement.parameters) if statement.parameters is not None else None,
            dialect=statement.dialect,
            site=_line(statement.site),
            offset_ms=_ms(statement.offset),
            ms=_ms(statement.seconds),
            rows=statement.rows,
            many=statement.many,
            error=statement.error,
            can_explain=can_explain,
        )


class RequestDetail(BaseModel):
    """A request with its statements and findings."""

    request: RequestOut
    statements: list[StatementOut]
    dropped: int
    findings: list[FindingOut]


class GroupOut(BaseModel):
    """An N+1, over all requests in which it was seen."""

    site: str | None
    where: str
    message: str
    fix: str
    requests: int
    executions: int
    ms: float

    @classmethod
    def of(cls, group: Group) -> Self:
        """From the collector's group."""
        return cls(
            site=_line(group.finding.site),
            where=group.finding.where,
            message=group.finding.message,
            fix=group.finding.fix,
            requests=group.requests,
            executions=group.executions,
            ms=_ms(group.seconds),
        )


class TotalOut(BaseModel):
    """All executions of one SQL text."""

    sql: str
    dialect: str
    site: str | None
    count: int
    total_ms: float
    mean_ms: float
    slowest_ms: float

    @classmethod
    def of(cls, total: Total) -> Self:
        """From the collector's total."""
        return cls(
            sql=total.sql,
            dialect=total.dialect,
            site=_line(total.site),
            count=total.count,
            total_ms=_ms(total.seconds),
            mean_ms=_ms(total.seconds / total.count),
            slowest_ms=_ms(total.slowest),
        )


class LoopOut(BaseModel):
    """How late the event loop came to its beats, and which lines blocked it."""

    samples: int
    p50_ms: float
    p99_ms: float
    max_ms: float
    recent_ms: list[float]
    blocked: list[FindingOut]


class HolderOut(BaseModel):
    """Who holds a connection, or waits for one."""

    where: str
    site: str | None
    ms: float


class PoolOut(BaseModel):
    """One pool, now."""

    database: str
    size: int | None
    out: int
    holders: list[HolderOut]
    waiting: list[HolderOut]


class Plan(BaseModel):
    """What the database would do for a statement."""

    lines: list[str]
    note: str


__all__ = [
    "FindingOut",
    "GroupOut",
    "HolderOut",
    "LoopOut",
    "Plan",
    "PoolOut",
    "RequestDetail",
    "RequestOut",
    "StatementOut",
    "TotalOut",
]
