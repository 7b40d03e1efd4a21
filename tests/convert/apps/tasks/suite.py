def test_jobs(client):
    good, bad = (client.post("/jobs", params={"name": name}).json() for name in ("good", "bad"))
    assert client.get(f"/jobs/{good}").json() == "done"
    assert client.get(f"/jobs/{bad}").json() == "failed"
    assert client.post(f"/jobs/{bad}/cancel").json() == "cancelled"
    assert client.get(f"/jobs/{bad}").json() == "cancelled"
    assert client.get("/jobs/99").status_code == 404
