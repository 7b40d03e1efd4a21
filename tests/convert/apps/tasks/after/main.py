"""A worker's tasks beside the routes, over the same functions."""

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from . import crud
from .models import Base, SessionLocal
from .worker import run_job

app = FastAPI()


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


@app.post("/jobs")
async def start(name: str, db: AsyncSession = Depends(get_db)):
    job = await crud.add_job(db, name)
    run_job.delay(job.id)
    return job.id


@app.get("/jobs/{job_id}")
async def read(job_id: int, db: AsyncSession = Depends(get_db)):
    job = await crud.get_job(db, job_id)
    if job is None:
        raise HTTPException(404)
    return job.state


@app.post("/jobs/{job_id}/cancel")
async def cancel(job_id: int, db: AsyncSession = Depends(get_db)):
    return (await crud.set_state(db, job_id, "cancelled")).state


__all__ = ["Base", "app"]
