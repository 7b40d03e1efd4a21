"""A worker's tasks beside the routes, over the same functions."""

from fastapi import Depends, FastAPI, HTTPException
from sqlalchemy.orm import Session

from . import crud
from .models import Base, SessionLocal
from .worker import run_job

app = FastAPI()


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.post("/jobs")
def start(name: str, db: Session = Depends(get_db)):
    job = crud.add_job(db, name)
    run_job.delay(job.id)
    return job.id


@app.get("/jobs/{job_id}")
def read(job_id: int, db: Session = Depends(get_db)):
    job = crud.get_job(db, job_id)
    if job is None:
        raise HTTPException(404)
    return job.state


@app.post("/jobs/{job_id}/cancel")
def cancel(job_id: int, db: Session = Depends(get_db)):
    return crud.set_state(db, job_id, "cancelled").state


__all__ = ["Base", "app"]
