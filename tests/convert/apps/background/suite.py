def test_after_the_response(client):
    assert client.post("/events", json=["one", "two"]).status_code == 200
    assert client.get("/events/1").json() == 0
    assert client.get("/events/1").json() == 2
    assert client.get("/events/2").json() == 0
