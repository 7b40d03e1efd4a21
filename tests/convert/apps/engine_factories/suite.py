"""Engines and session factories that functions make: by whichever way they come, rows are stored and read."""

import pytest


@pytest.mark.parametrize("way", ["tuple", "object", "cache", "global", "kept", "state"])
def test_a_note_is_stored_and_read(client, way):
    made = client.post(f"/{way}/notes", params={"text": way})
    assert made.status_code == 201, made.text
    assert client.get(f"/notes/{made.json()['id']}").json() == made.json()


def test_what_engines_of_either_kind_know_is_asked_of_the_one_that_is_there(client):
    client.post("/kept/notes", params={"text": "size"})
    assert client.get("/size").json() == {"size": 3}


def test_none_is_a_404(client):
    assert client.get("/notes/0").status_code == 404


def test_a_command_goes_on_with_sync_sessions(client):
    before = client.get("/counted").json()["printed"].split()
    client.post("/tuple/notes", params={"text": "one more"})
    after = client.get("/counted").json()["printed"].split()
    assert [int(each) for each in after] == [int(each) + 1 for each in before]
