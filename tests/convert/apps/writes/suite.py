import pytest
from sqlalchemy.orm import Session


@pytest.fixture(autouse=True)
def rows(main, engine):
    with Session(engine) as db:
        db.query(main.Entry).delete()
        db.query(main.Account).delete()
        db.add_all([main.Account(id=1, owner="Ada"), main.Account(id=2, owner="Bob", balance=5)])
        db.commit()


def test_update(client):
    assert client.post("/accounts/1/deposit", params={"amount": 3}).json() == 3
    assert client.post("/accounts/1/deposit", params={"amount": 4}).json() == 7
    assert client.post("/accounts/9/deposit", params={"amount": 4}).status_code == 404


def test_synchronized(client):
    assert client.put("/accounts/Bob", params={"name": "Rob"}).json() == "Rob"
    assert client.put("/accounts/Bob", params={"name": "Rob"}).json() is None


def test_delete(client):
    client.post("/accounts/1/deposit", params={"amount": 3})
    client.post("/accounts/1/deposit", params={"amount": 3})
    assert client.delete("/entries", params={"account_id": 1}).json() == {"count": 2, "deleted": 2}
    assert client.delete("/entries", params={"account_id": 1}).json() == {"count": 0, "deleted": 0}


def test_delete_by_subquery(client):
    assert client.delete("/poor").json() == 1
    assert client.get("/counts").json() == [1, 1, 0]


def test_counts(client):
    client.post("/accounts/1/deposit", params={"amount": 3})
    client.post("/accounts/1/deposit", params={"amount": 3})
    assert client.get("/counts").json() == [2, 2, 1]


def test_bulk(client):
    assert client.post("/import", json=[1, 2, 3]).json() == 6


def test_locked(client):
    assert client.post("/locked/2").json() == 6
