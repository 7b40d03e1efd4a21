def test_words(client):
    assert client.post("/words/one").json() == "one"
    assert client.post("/words/one").status_code == 409
    assert client.get("/words/one").json() == 1
    assert client.get("/words/two").status_code == 404
    assert client.delete("/words/one").json() == {"left": 0}
    assert client.delete("/words/one").status_code == 404
