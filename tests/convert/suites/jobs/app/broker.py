from contextlib import contextmanager

import taskqueue
from sqlalchemy.orm import Session

from . import models
from .database import new_engine


class Broker(taskqueue.Broker):
    """Writes messages in the transaction of the request, where there is one."""

    def __init__(self):
        self.session = None

    def set_session(self, session):
        self.session = session

    def enqueue(self, name, args):
        message = models.Message(actor=name, job_id=args[0])
        if self.session is not None:
            self.session.merge(message)
            return
        with Session(new_engine()) as db:
            db.add(message)
            db.commit()


class Consumer(taskqueue.Consumer):
    def __init__(self, actors):
        self.__engine = new_engine()
        self.__actors = actors

    @contextmanager
    def __db_session(self):
        session = Session(self.__engine)
        try:
            yield session
        finally:
            session.close()

    def __iter__(self):
        with self.__db_session() as db:
            for message in db.query(models.Message).filter(models.Message.state == "waiting").all():
                message.state = "done"
                db.commit()
                yield self.__actors[message.actor], (message.job_id,)
