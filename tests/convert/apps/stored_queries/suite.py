import pytest
from sqlalchemy.orm import Session


@pytest.fixture(scope="module", autouse=True)
def rows(main, engine):
    with Session(engine) as db:
        db.add_all([main.Author(id=1, name="Ada"), main.Author(id=2, name="Bob")])
        db.flush()
        for number, pages in enumerate([10, 300, 200], start=1):
            db.add(main.Book(id=number, title=f"book {number}", pages=pages, author_id=1 + number % 2))
        db.commit()


@pytest.mark.parametrize(
    ("query", "total", "titles"),
    [
        ("", 3, ["book 1", "book 2", "book 3"]),
        ("?title=2", 1, ["book 2"]),
        ("?author=Ada", 1, ["book 2"]),
        ("?pages=200", 2, ["book 2", "book 3"]),
        ("?author=Bob&pages=200", 1, ["book 3"]),
        ("?skip=1&limit=1", 3, ["book 2"]),
    ],
)
def test_refined(client, query, total, titles):
    assert client.get(f"/books{query}").json() == {"total": total, "books": titles}


def test_walked(client):
    assert client.get("/books/walked").json() == ["book 1", "book 2", "book 3"]


def test_sliced(client):
    assert client.get("/books/sliced?start=1&stop=3").json() == ["book 2", "book 3"]


def test_inside_comprehensions(client):
    assert client.get("/books/by-author").json() == {"Ada": ["book 2"], "Bob": ["book 1", "book 3"]}


def test_first(client):
    assert client.get("/books/longest").json() == "book 2"


def test_exists(client):
    assert client.get("/books/known?title=book 1").json() == {"known": True, "one": True}
    assert client.get("/books/known?title=none").json() == {"known": False, "one": False}
