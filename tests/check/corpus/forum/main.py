from contextlib import asynccontextmanager

from fastapi import FastAPI

from .api import members, threads
from .db import engine
from .models import Base


@asynccontextmanager
async def lifespan(app: FastAPI):
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)  # ok: SAW206, SAW101
    yield
    await engine.dispose()  # ok: SAW202


app = FastAPI(title="Forum", lifespan=lifespan)
app.include_router(threads.router)
app.include_router(members.router)
