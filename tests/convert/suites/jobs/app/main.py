from contextlib import asynccontextmanager

import taskqueue
from fastapi import Depends, FastAPI, HTTPException, Request
from sqlalchemy.orm import Session
from starlette.concurrency import run_in_threadpool

from . import database, tasks
from .broker import Broker
from .models import Job, Line
from .setup import create

taskqueue.set_broker(Broker())


@asynccontextmanager
async def lifespan(app: FastAPI):
    app.state.engine = database.new_engine()
    create(app.state.engine)
    yield
    app.state.engine.dispose()


app = FastAPI(lifespan=lifespan)


@app.middleware("http")
async def db_session(request: Request, call_next):
    request.state.db = database.new_session(request.app.state.engine)
    broker = taskqueue.get_broker()
    broker.set_session(request.state.db)
    try:
        response = await call_next(request)
        if response.status_code < 300:
            await run_in_threadpool(request.state.db.commit)
    finally:
        broker.set_session(None)
        await run_in_threadpool(request.state.db.close)
    return response


def get_db(request: Request) -> Session:
    return request.state.db


@app.post("/jobs")
def add(name: str, texts: list[str], db: Session = Depends(get_db)):
    job = Job(name=name)
    db.add(job)
    db.flush()
    db.add_all([Line(job_id=job.id, text=text) for text in texts])
    tasks.run.send(job.id)
    if "bad" in name:
        raise HTTPException(400)
    return {"id": job.id}


@app.get("/jobs/{job_id}")
def show(job_id: int, db: Session = Depends(get_db)):
    job = db.get(Job, job_id)
    return {"state": job.state, "lines": job.line_count()}
