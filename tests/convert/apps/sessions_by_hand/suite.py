def test_settings(client):
    assert client.get("/settings/colour").status_code == 404
    assert client.put("/settings/colour", params={"value": "red"}).status_code == 200
    assert client.get("/settings/colour").json() == "red"
    assert client.put("/settings/colour", params={"value": "blue"}).status_code == 200
    assert client.get("/settings/colour").json() == "blue"
    assert client.post("/settings/size", params={"value": "9"}).status_code == 200
    assert client.post("/settings/size", params={"value": "10"}).status_code == 409
    assert client.get("/settings").json() == ["colour", "size"]
    assert client.delete("/settings").json() == 2
    assert client.get("/settings").json() == []


def test_health(client):
    assert client.get("/health").json() == 1
