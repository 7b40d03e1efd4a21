ANN = {
    "name": "ann",
    "company": {"name": "Acme"},
    "items": [
        {"title": "ann 1", "tags": [{"name": "new"}]},
        {"title": "ann 2", "tags": [{"name": "new"}, {"name": "old"}]},
    ],
}


def test_read_user(client):
    assert client.get("/users/1").json() == ANN
    assert client.get("/users/9").status_code == 404


def test_read_users(client):
    assert [user["name"] for user in client.get("/users").json()] == ["ann", "bob"]
    assert client.get("/users").json()[0] == ANN


def test_create_user(client):
    assert client.post("/users?name=eve").json() == {"name": "eve", "company": None, "items": []}


def test_titles(client):
    assert client.get("/users/1/titles").json() == {"titles": ["ann 1", "ann 2"], "count": 2}


def test_add_item(client):
    answer = client.post("/users/1/items?title=third").json()
    assert answer == {"before": 2, "after": ["ann 1", "ann 2", "third"]}


def test_rename(client):
    assert client.post("/users/1/rename?name=bob").json() == "ann keeps its name"


def test_biography(client):
    assert client.get("/users/1/biography").json() == "ann was born"


def test_company(client):
    page = client.get("/companies/1").text
    assert "<p>ann: 2</p>" in page
    assert "<p>bob: 2</p>" in page


def test_item_company(client):
    assert client.get("/items/1/company").json() == "Acme"


def test_nodes(client):
    assert client.get("/nodes").json() == [{"name": "thesis", "pages": 90}]
