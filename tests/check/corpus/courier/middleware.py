from fastapi import FastAPI, Request
from starlette.middleware.base import BaseHTTPMiddleware

from .sessions import SyncFactory, factory


async def db_session_middleware(request: Request, call_next):
    request.state.db = SyncFactory()  # ok: SAW403
    try:
        response = await call_next(request)
    finally:
        request.state.db.close()  # also: SAW101
    return response


class AsyncSessionMiddleware(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next):
        async with factory() as session:  # ok: SAW403
            request.state.session = session
            response = await call_next(request)
            await session.commit()  # ok: SAW408
        return response


class LeakyMiddleware(BaseHTTPMiddleware):
    async def dispatch(self, request: Request, call_next):
        request.state.leaky = factory()  # expect: SAW403
        return await call_next(request)


def install(app: FastAPI) -> None:
    app.middleware("http")(db_session_middleware)
    app.add_middleware(AsyncSessionMiddleware)
    app.add_middleware(LeakyMiddleware)


def get_db(request: Request):
    return request.state.db


def get_async_db(request: Request):
    return request.state.session
