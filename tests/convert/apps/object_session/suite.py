def test_orders(client):
    order = client.post("/orders", json=["a", "b"]).json()
    assert client.post(f"/orders/{order}/close").json() == {"state": "closed", "lines": ["a", "b", "closed"]}
    assert client.post("/orders/99/close").status_code == 404
