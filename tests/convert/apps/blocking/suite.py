import threading
from http.server import BaseHTTPRequestHandler, HTTPServer

import pytest


class Greeter(BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(b'{"greeting": "hello %s"}' % self.path[1:].encode())

    def log_message(self, *arguments):
        pass


@pytest.fixture
def greeter():
    server = HTTPServer(("127.0.0.1", 0), Greeter)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield server.server_port
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def user(client):
    return client.post("/users", params={"name": "ada", "password": "secret"}).json()


def test_login(client, user):
    assert client.post("/login", params={"name": "ada", "password": "secret"}).json() == "ada"
    assert client.post("/login", params={"name": "ada", "password": "other"}).status_code == 401


def test_files(client, user, tmp_path, monkeypatch):
    monkeypatch.setenv("PHOTOS", str(tmp_path))
    assert client.post(f"/users/{user}/photo", json="x" * 1000).json() == 1000


def test_http(client, user, greeter):
    assert client.post(f"/users/{user}/notify", params={"port": greeter}).json() == "hello ada"


def test_mail(client, user):
    assert client.post(f"/users/{user}/mail", params={"port": 1}).status_code == 502
