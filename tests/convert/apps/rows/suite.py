import pytest
from sqlalchemy.orm import Session


@pytest.fixture(scope="module", autouse=True)
def rows(main, engine):
    with Session(engine) as db:
        db.add_all([main.City(id=1, name="Oslo"), main.City(id=2, name="Rome"), main.City(id=3, name="Ulm")])
        db.flush()
        for number, (name, age, city) in enumerate([("Ada", 20, 1), ("Bob", 40, 2), ("Cay", 70, 1)], start=1):
            db.add(main.Person(id=number, name=name, age=age, city_id=city))
        db.commit()


@pytest.mark.parametrize(
    ("path", "answer"),
    [
        ("entities", ["Ada of Oslo", "Bob of Rome", "Cay of Oslo"]),
        ("columns", [{"name": "Ada", "age": 20}, {"name": "Bob", "age": 40}, {"name": "Cay", "age": 70}]),
        ("mixed", ["Ada", "Oslo"]),
        ("grouped", {"Oslo": 2, "Rome": 1}),
        ("functions", {"oldest": 70, "youngest": 20, "names": ["Oslo", "Rome", "Ulm"]}),
        ("subqueries", ["Oslo"]),
        ("pairs", ["Ada-Cay"]),
        ("text?age=30", {"names": ["Bob", "Cay"], "count": 3, "ids": [2, 3]}),
        ("union", ["Ada", "Cay"]),
    ],
)
def test_rows(client, path, answer):
    assert client.get(f"/{path}").json() == answer
