def test_notes(client):
    first = client.post("/notes", params={"text": "one", "tag": "work"}).json()
    second = client.post("/notes", params={"text": "two", "tag": "work"}).json()
    third = client.post("/notes", params={"text": "three"}).json()
    assert client.get("/notes").json() == [first, second, third]
    assert client.get("/notes", params={"tag": "work"}).json() == [first, second]
    assert client.get("/notes", params={"skip": 1, "limit": 1}).json() == [second]
    assert client.get(f"/notes/{third['id']}").json() == third
    assert client.delete(f"/notes/{third['id']}").json() == {"text": "three"}
    assert client.get(f"/notes/{third['id']}").status_code == 404
    assert client.delete(f"/notes/{third['id']}").status_code == 404
