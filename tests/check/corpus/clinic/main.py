from contextlib import asynccontextmanager

from fastapi import FastAPI

from .api import doctors
from .db import init, init_async


@asynccontextmanager
async def lifespan(app: FastAPI):
    await init_async()
    init()  # expect: SAW102
    yield


app = FastAPI(lifespan=lifespan)
app.include_router(doctors.router)
