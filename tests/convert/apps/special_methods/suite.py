import pytest
from sqlalchemy.orm import Session


@pytest.fixture(scope="module", autouse=True)
def rows(main, engine):
    with Session(engine) as db:
        db.add_all([main.Item(id=1, name="pen", price=3), main.Item(id=2, name="book", price=9)])
        db.commit()


def test_init(client):
    assert client.get("/prices?above=5").json() == {"highest": 9, "names": ["book"], "all": ["pen", "book"]}
    assert client.get("/prices?above=10").json() == {"highest": None, "names": [], "all": ["pen", "book"]}


def test_property(client):
    assert client.get("/dashboard").json() == {"count": 2, "total": 12, "average": 6.0}
    assert client.get("/short?above=5").json() == 1


def test_special(client):
    answer = {"size": 2, "known": True, "unknown": False, "second": "book", "names": ["pen", "book"], "dear": ["book"]}
    assert client.get("/catalogue?name=pen").json() == answer
