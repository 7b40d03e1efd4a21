"""What the routes and the worker share."""

from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sqlalchemy.orm import Session

from .models import Job


async def get_job(db: AsyncSession, job_id: int) -> Job | None:
    return (await db.scalars(select(Job).where(Job.id == job_id).limit(1))).first()


def get_job_sync(db: Session, job_id: int) -> Job | None:
    return db.query(Job).filter(Job.id == job_id).first()


async def set_state(db: AsyncSession, job_id: int, state: str) -> Job:
    job = await get_job(db, job_id)
    job.state = state
    await db.commit()
    return job


def set_state_sync(db: Session, job_id: int, state: str) -> Job:
    job = get_job_sync(db, job_id)
    job.state = state
    db.commit()
    return job


async def add_job(db: AsyncSession, name: str) -> Job:
    job = Job(name=name, state="new")
    db.add(job)
    await db.commit()
    await db.refresh(job)
    return job
