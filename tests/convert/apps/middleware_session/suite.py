def test_users(client):
    created = client.post("/users", params={"email": "ada@example.com"}).json()
    assert client.post("/users", params={"email": "ada@example.com"}).status_code == 400
    assert client.get(f"/users/{created['id']}").json() == created
    assert client.get("/users/99").status_code == 404
    assert client.get("/count").json() == 1
