import asyncio
import warnings
from pathlib import Path

import pytest
from app import database, main
from app.dao import Dao
from app.models import Base, Channel, Owner, Package
from fastapi.testclient import TestClient
from sqlalchemy.orm import Session


@pytest.fixture
def db():
    Path("channels.db").unlink(missing_ok=True)
    Base.metadata.create_all(database.engine)
    session = Session(database.engine)
    try:
        session.add(Channel(name="a", packages=[Package(name="one"), Package(name="two")]))
        session.add(Owner(name="me", channel_name="a"))
        session.commit()
        yield session
    finally:
        session.close()
        database.engine.dispose()


@pytest.fixture
def dao(db):
    return Dao(db)


@pytest.fixture
def client(db):
    main.app.dependency_overrides[database.get_db] = lambda: db
    yield TestClient(main.app)
    main.app.dependency_overrides.clear()


def pytest_runtest_logfinish() -> None:
    """Close the loop that is set and set another, as some plugins for coroutine tests do behind each test."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # there is none yet
        asyncio.get_event_loop().close()
    asyncio.set_event_loop(asyncio.new_event_loop())
