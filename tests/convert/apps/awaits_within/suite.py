import pytest
from sqlalchemy.orm import Session


@pytest.fixture(scope="module", autouse=True)
def rows(main, engine):
    with Session(engine) as db:
        db.add_all([main.Team(id=1, name="red"), main.Team(id=2, name="blue")])
        db.flush()
        db.add_all([main.Member(name=name, team_id=1 + (name > "a")) for name in "abc"])
        db.commit()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("comprehensions", {"sizes": {"red": 1, "blue": 2}, "names": ["blue"], "total": 3}),
        ("conditions", {"any": True, "all": False, "first": "a", "chained": True}),
        ("sorted", {"order": ["blue", "red"], "smallest": "red", "same": True}),
        ("mapped", {"handed": [[1, 2], "blue"], "map": [1, 2], "filter": ["red"], "list": "red"}),
    ],
)
def test_within(client, path, answer):
    assert client.get(f"/{path}").json() == answer


def test_streamed(client):
    assert client.get("/streamed").text == "red: 1\nblue: 2\n"
