def test_decorated(client):
    assert client.post("/coins/5").json() == 10
    assert client.post("/coins/2").json() == 4
    assert client.get("/coins/1").json() == 5
    assert client.get("/coins/9").status_code == 404
    assert client.get("/total").json() == {"total": 7, "calls": ["double: 10", "double: 4", "2 coins", "sum: 7"]}
