from sqlalchemy import create_engine
from sqlalchemy.orm import Session


def new_engine():
    return create_engine("sqlite:///jobs.db")


def new_session(engine):
    return Session(engine)
