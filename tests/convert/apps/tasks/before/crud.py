"""What the routes and the worker share."""

from sqlalchemy.orm import Session

from .models import Job


def get_job(db: Session, job_id: int) -> Job | None:
    return db.query(Job).filter(Job.id == job_id).first()


def set_state(db: Session, job_id: int, state: str) -> Job:
    job = get_job(db, job_id)
    job.state = state
    db.commit()
    return job


def add_job(db: Session, name: str) -> Job:
    job = Job(name=name, state="new")
    db.add(job)
    db.commit()
    db.refresh(job)
    return job
