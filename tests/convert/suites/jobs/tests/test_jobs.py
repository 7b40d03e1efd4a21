import asyncio
from contextlib import suppress
from pathlib import Path

import pytest
import taskqueue
from app import setup, tasks
from app.broker import Consumer
from app.models import Job, Line, Message
from sqlalchemy import inspect

from .conftest import current


def job(db, *texts):
    made = Job(name="a")
    db.add(made)
    db.flush()
    db.add_all([Line(job_id=made.id, text=text) for text in texts])
    db.commit()
    return made


def test_message_is_written_with_the_request(client, db):
    assert client.post("/jobs?name=a", json=["one"]).status_code == 200
    assert [each.actor for each in db.query(Message)] == ["run"]


def test_message_is_rolled_back_with_the_request(client, db):
    assert client.post("/jobs?name=bad", json=[]).status_code == 400
    assert db.query(Message).count() == 0
    assert db.query(Job).count() == 0


def test_the_worker_takes_messages_and_runs_what_awaits(client, db):
    made = client.post("/jobs?name=a", json=["one", "two"]).json()["id"]
    taskqueue.consume(Consumer({"run": tasks.run}))
    assert client.get(f"/jobs/{made}").json() == {"state": "2 lines: one, two", "lines": 2}


def test_outside_a_request_the_broker_has_a_session_of_its_own(db):
    tasks.run.send(5)
    assert db.query(Message).one().job_id == 5


def test_a_thread_is_given_an_object_to_call(db):
    job(db)
    assert tasks.count_in_thread("a") == 1


def test_asyncio_run_in_a_test(db):
    made = job(db, "one")
    asyncio.run(tasks.Report(made).write())
    assert made.state == "1 lines: one"


@pytest.mark.anyio
async def test_a_coroutine_with_a_sync_session(db):
    made = job(db, "one")
    await tasks.Report(made).write()
    db.refresh(made)
    with suppress(asyncio.TimeoutError):
        await asyncio.wait_for(asyncio.Event().wait(), 0.001)
    assert made.state == "1 lines: one"
    assert inspect(made).session is db


def test_the_command_stays_a_function_that_can_be_called(db):
    db.close()
    Path("jobs.db").unlink()
    setup.entry_point()
    assert db.query(Job).count() == 0


def test_context_variables_of_fixtures(named):
    assert current.get() == "named"
