def test_life_of_an_item(client):
    created = client.post("/items", params={"name": "pen", "stock": 3})
    assert created.status_code == 201
    item = created.json()["id"]
    assert client.post("/items", params={"name": "pen"}).status_code == 409
    assert client.post(f"/items/{item}/restock", params={"count": 4}).json() == 7
    assert client.put(f"/items/{item}", params={"name": "pencil"}).json() == {"name": "pencil"}
    assert client.get("/items").json() == ["pencil"]
    assert client.delete(f"/items/{item}").status_code == 204
    assert client.get("/items").json() == []


def test_unknown(client):
    assert client.post("/items/99/restock", params={"count": 1}).status_code == 404
    assert client.put("/items/99", params={"name": "x"}).status_code == 404
    assert client.delete("/items/99").status_code == 404
