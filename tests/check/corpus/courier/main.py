from contextlib import asynccontextmanager
from typing import Annotated

from fastapi import Depends, FastAPI, Request
from sqlalchemy.ext.asyncio import async_sessionmaker, create_async_engine

from .config import get_settings
from .middleware import install
from .parcels import router
from .tenants import Registry, Reports


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.engine = create_async_engine(get_settings().database_url)  # ok: SAW407
    app.state.sessions = async_sessionmaker(app.state.engine, expire_on_commit=False)
    app.state.registry = Registry()
    yield
    await app.state.engine.dispose()


def create_app() -> FastAPI:
    app = FastAPI(lifespan=lifespan)
    install(app)
    app.include_router(router)

    @app.get("/reports/depots")
    async def depots(reports: Annotated[Reports, Depends()]) -> int:
        return await reports.total()

    @app.get("/reports/state")
    async def state(request: Request) -> int:
        async with request.app.state.sessions() as session:  # ok: SAW403
            return len((await session.execute(_statement())).all())

    return app


def _statement():
    from sqlalchemy import select

    from .models import Depot

    return select(Depot.id)


app = create_app()
