from unittest.mock import MagicMock, Mock, patch

import pytest
from app import tasks
from app.database import get_db, session_scope
from app.dao import new_count, size
from app.main import app
from app.models import Channel, Package
from fastapi import Depends, HTTPException
from sqlalchemy.orm import Session


def rename(name: str, db: Session = Depends(get_db)):
    channel = db.get(Channel, "a")
    channel.index = name
    if name == "bad":
        db.rollback()
        raise HTTPException(400)
    db.commit()
    return len(channel.packages)


@app.get("/tests/{name}")
async def find(name: str, db: Session = Depends(get_db)):
    return db.get(Package, name) is not None


@pytest.fixture(scope="module", autouse=True)
def route():
    app.post("/tests/{name}")(rename)
    added = app.routes[-1]
    yield
    app.routes.remove(added)


def test_a_route_that_tests_register(client, db):
    assert client.post("/tests/bad").status_code == 400
    assert client.post("/tests/good").json() == 2
    assert db.get(Channel, "a").index == "good"


def test_a_route_that_tests_decorate(client):
    assert client.get("/tests/one").json() is True


def test_routes_registered_by_calls(client):
    assert client.get("/channels/a/count").json() == 2
    assert client.get("/owned").json() == "me"


def test_a_wrapped_task_runs_to_its_end(client):
    assert client.delete("/packages/one").status_code == 200
    assert client.get("/channels/a").json() == {"owner": "me", "index": "two"}


def test_what_a_request_deleted_keeps_its_values(client, db):
    channel = db.get(Channel, "a")
    one = channel.packages[0]
    client.get("/channels/a/packages")
    client.delete(f"/packages/{one.name}")
    assert one.name == "one"
    assert [each.name for each in channel.packages] == ["two"]


def test_rows_that_are_not_flushed_yet(client, db):
    db.add(Channel(name="b"))
    assert client.get("/channels/b").json() == {"owner": None, "index": ""}


def test_a_patched_maker_of_sessions(client, db):
    db.add(Package(name="three", channel_name="a"))
    db.flush()
    closed = []

    def new_session():
        return db

    with patch("app.database.new_session", new_session), patch.object(db, "close", lambda: closed.append(1)):
        assert client.get("/channels/a/count").json() == 3


def test_a_patched_dependency(monkeypatch, db):
    def gives():
        yield db

    monkeypatch.setattr("app.database.get_db", gives)
    from app import database

    assert next(database.get_db()).get(Channel, "a") is not None


def test_a_mock_that_is_no_session_of_the_database(dao):
    session = Mock()
    session.get.return_value.json.return_value = {"packages": 5}
    assert tasks.HANDLERS["mirror"]("a", dao, session) == 5
    assert tasks.mirror("a", dao, session) == 5


def test_a_context_manager_of_the_application(db):
    with session_scope() as own:
        assert own.get(Channel, "a").index == ""


def test_a_mock_that_is_a_session(db):
    session = Mock()
    session.execute.return_value.scalar_one.return_value = 3
    assert new_count(session) == 3


def test_a_patched_factory(db):
    with patch("app.database.SessionLocal"):
        assert size() == 0


@pytest.fixture(params=[MagicMock, lambda: MagicMock(spec=Session)])
def mocked(request):
    mocked = request.param()
    app.dependency_overrides[get_db] = lambda: mocked
    yield mocked
    del app.dependency_overrides[get_db]


def test_a_mocked_query(client, mocked):
    found = mocked.query.return_value.filter.return_value.one_or_none
    found.return_value.owner.name, found.return_value.index = "me", "one"
    assert client.get("/channels/a").json() == {"owner": "me", "index": "one"}
    found.side_effect = [None]
    assert client.get("/channels/a").status_code == 404
    assert mocked.query.call_count == 2
