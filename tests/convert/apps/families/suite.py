import pytest


@pytest.mark.parametrize("kind", ["memory", "database"])
def test_stores(client, kind):
    assert client.get("/documents/a", params={"kind": kind}).json() == "nothing"
    assert client.put("/documents/a", params={"kind": kind, "text": "hello"}).status_code == 200
    assert client.get("/documents/a", params={"kind": kind}).json() == "hello"


def test_checked(client):
    assert client.put("/documents/b", params={"text": ""}).status_code == 422
