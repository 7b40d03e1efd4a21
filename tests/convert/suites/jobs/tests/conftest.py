import threading
from contextvars import ContextVar
from pathlib import Path
from unittest import mock

import pytest
from app import database, main
from app.database import new_session
from app.models import Base
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session

current = ContextVar("current", default="")


class Detector:
    """A session that must not be used in the main thread, where it would block the tests' loop."""

    def __init__(self, session):
        self.session = session

    def __getattr__(self, name):
        assert threading.current_thread() is not threading.main_thread(), f"{name} in the main thread"
        return getattr(self.session, name)


@pytest.fixture(autouse=True)
def detector():
    def detected(engine):
        session = new_session(engine)
        return Detector(session)

    with mock.patch("app.database.new_session", new=detected):
        yield


@pytest.fixture
def named():
    token = current.set("named")
    yield
    current.reset(token)


@pytest.fixture
def anyio_backend():
    return "asyncio"


@pytest.fixture
def db():
    Path("jobs.db").unlink(missing_ok=True)
    session = Session(database.new_engine())
    Base.metadata.create_all(session.get_bind())
    try:
        yield session
    finally:
        session.close()


@pytest.fixture
def client(db):
    with TestClient(main.app) as client:
        yield client
