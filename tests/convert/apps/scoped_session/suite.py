def test_tasks(client):
    first, second = (client.post("/tasks", params={"title": title}).json() for title in ("wash", "cook"))
    assert client.get("/tasks").json() == ["wash", "cook"]
    assert client.post(f"/tasks/{first}/done").json() == "wash"
    assert client.get("/tasks").json() == ["cook"]
    assert client.post("/tasks/99/done").status_code == 404
    assert second != first
