"""For those who run the service: is it alive, can it work, what does it do."""

from __future__ import annotations

from fastapi import APIRouter, Request, Response

from sqlawait.fastapi import DatabaseDep
from sqlawait.service.schemas import Health

router = APIRouter(tags=["operations"])


@router.get("/health/live")
async def live() -> Health:
    """The process answers. Asks nothing else: a database that is away is no reason to restart it."""
    return Health(status="ok")


@router.get("/health/ready", responses={503: {"description": "The database does not answer", "model": Health}})
async def ready(db: DatabaseDep, response: Response) -> Health:
    """The database answers: send requests."""
    health = await db.health()
    if not health.ok:
        response.status_code = 503
    return Health(status="ok" if health.ok else health.error or "error")


@router.get("/metrics", response_class=Response, responses={200: {"content": {"text/plain": {}}}})
async def metrics(request: Request) -> Response:
    """The numbers, for Prometheus."""
    return Response(request.app.state.metrics.render(), media_type="text/plain; version=0.0.4; charset=utf-8")
