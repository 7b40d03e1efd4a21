"""Blocking calls to other services."""

import asyncio
import os
import socket
import subprocess
import time
import urllib.request
from functools import partial, wraps
from urllib.parse import urljoin

import boto3
import httpx
import redis
import requests

cache = redis.Redis()
s3 = boto3.client("s3")


def wait(seconds: float) -> None:
    time.sleep(seconds)


def poll(url: str) -> bool:
    for _ in range(5):
        if ping(url):
            return True
        wait(0.5)
    return False


def ping(url: str) -> bool:
    return requests.head(url).ok


def download(url: str) -> bytes:
    with urllib.request.urlopen(url) as response:
        return response.read()


def fetch_json(path: str) -> dict:
    return httpx.get(urljoin("https://api.example", path)).json()


def fetch_with_client(path: str) -> dict:
    with httpx.Client(base_url="https://api.example") as client:
        return client.get(path).json()


def convert(path: str) -> str:
    return subprocess.check_output(["convert", path, "out.png"], text=True)


def run_shell(command: str) -> int:
    return os.system(command)


def resolve(host: str) -> str:
    return socket.gethostbyname(host)


def cached(key: str) -> bytes | None:
    return cache.get(key)


def upload(path: str, key: str) -> None:
    s3.upload_file(path, "studio", key)


def build_url(path: str) -> str:
    return urljoin("https://api.example", path)


def later(seconds: float):
    """Gives a function that sleeps; does not sleep."""

    def sleeper() -> None:
        time.sleep(seconds)

    return sleeper


class Client:
    def __init__(self) -> None:
        self._http = requests.Session()

    def get(self, path: str) -> dict:
        return self._request("GET", path)

    def _request(self, method: str, path: str) -> dict:
        return self._http.request(method, build_url(path)).json()


class CachingClient(Client):
    def get(self, path: str) -> dict:
        return super().get(path)


class FakeClient(Client):
    def _request(self, method: str, path: str) -> dict:
        return {"method": method, "path": path}


def presigned(key: str) -> str:
    """Computed here, without a request."""
    return s3.generate_presigned_url("get_object", Params={"Bucket": "studio", "Key": key})


def tail(path: str):
    """Blocks when somebody goes through it."""
    while True:
        time.sleep(0.2)
        yield path


class Tunnel:
    """For with and for async with."""

    def __enter__(self) -> "Tunnel":
        subprocess.run(["ssh", "-f", "studio"], check=True)
        return self

    def __exit__(self, *exc: object) -> None:
        subprocess.run(["ssh", "-O", "exit", "studio"], check=True)

    async def __aenter__(self) -> "Tunnel":
        process = await asyncio.create_subprocess_exec("ssh", "-f", "studio")
        await process.wait()
        return self

    async def __aexit__(self, *exc: object) -> None:
        process = await asyncio.create_subprocess_exec("ssh", "-O", "exit", "studio")
        await process.wait()


class Store:
    def read(self, key: str) -> bytes:
        return download(key)


class AsyncStore(Store):
    async def read(self, key: str) -> bytes:
        return await asyncio.to_thread(super().read, key)


def in_thread(function):
    """Makes a coroutine function of a plain one."""

    @wraps(function)
    async def wrapper(*args, **kwargs):
        return await asyncio.to_thread(partial(function, *args, **kwargs))

    return wrapper


@in_thread
def render(path: str) -> str:
    return subprocess.check_output(["render", path], text=True)
