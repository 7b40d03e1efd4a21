from contextlib import asynccontextmanager

import httpx
from fastapi import FastAPI

from booking.infra.database import default_url, manager
from booking.web.routes import router


@asynccontextmanager
async def lifespan(app: FastAPI):
    manager.start(default_url())  # ok: SAW407, SAW102
    async with httpx.AsyncClient(base_url="https://pay.example") as client:
        app.state.http = client
        yield
    await manager.stop()


app = FastAPI(lifespan=lifespan)
app.include_router(router)
