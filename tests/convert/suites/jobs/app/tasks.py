import asyncio
import threading

import taskqueue
from sqlalchemy import inspect
from sqlalchemy.orm import Session

from .database import new_engine
from .models import Job, Line


class Report:
    """Works on the session of the task, which has a loop for what else there is to await."""

    def __init__(self, job: Job):
        self.job = job
        self.db: Session = inspect(job).session
        self.lines = self.db.query(Line).filter(Line.job_id == job.id)

    @property
    def texts(self):
        for line in self.lines.order_by(Line.id):
            yield line.text

    async def write(self):
        await asyncio.sleep(0)
        self.job.state = f"{self.lines.count()} lines: {', '.join(self.texts)}"
        self.db.commit()


class Counter:
    def __init__(self, engine, name):
        self.engine = engine
        self.name = name
        self.found = 0

    def __call__(self):
        with Session(self.engine) as db:
            self.found = db.query(Job).filter(Job.name == self.name).count()


@taskqueue.actor
def count_in_thread(name: str) -> int:
    counter = Counter(new_engine(), name)
    thread = threading.Thread(target=counter)
    thread.start()
    thread.join()
    return counter.found


@taskqueue.actor
def run(job_id: int) -> None:
    with Session(new_engine()) as db:
        job = db.get(Job, job_id)
        asyncio.run(Report(job).write())
