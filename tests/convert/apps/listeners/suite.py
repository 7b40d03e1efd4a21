def test_model_and_session(client):
    assert client.post("/pages", params={"title": "Hello World"}).json() == {"slug": "hello-world", "flushes": 1}


def test_engine(client):
    assert client.get("/statements").json() == {"seen": 1, "prepared": True}
