"""Who may look: this machine, with the token; anyone else only past the application's own dependency."""

from __future__ import annotations

from typing import Annotated

import pytest
from fastapi import Depends, FastAPI, Header, HTTPException
from httpx import ASGITransport, AsyncClient
from tests.inspector.conftest import TOKEN, make_app

from sqlawait.exceptions import ConfigurationError
from sqlawait.guards import Guards
from sqlawait.inspector import Inspector

GOOD = {"authorization": f"Bearer {TOKEN}"}
CASES = {
    "this machine with the token": ("127.0.0.1", "127.0.0.1:8000", GOOD, 200),
    "localhost by name": ("127.0.0.1", "localhost", GOOD, 200),
    "IPv6": ("::1", "[::1]:8000", GOOD, 200),
    "without a token": ("127.0.0.1", "127.0.0.1", {}, 401),
    "with another token": ("127.0.0.1", "127.0.0.1", {"authorization": "Bearer guess"}, 401),
    "with an empty token": ("127.0.0.1", "127.0.0.1", {"authorization": "Bearer "}, 401),
    "with a token that was quoted": ("127.0.0.1", "127.0.0.1", {"authorization": "Bearer %E9"}, 401),
    "another machine": ("192.168.1.7", "127.0.0.1", GOOD, 403),
    "another name: DNS rebinding": ("127.0.0.1", "evil.example.com", GOOD, 403),
    "a name that only begins well": ("127.0.0.1", "localhost.evil.example.com", GOOD, 403),
    "behind a proxy on this machine": ("127.0.0.1", "127.0.0.1", {**GOOD, "x-forwarded-for": "1.2.3.4"}, 403),
    "behind a proxy that says so": ("127.0.0.1", "127.0.0.1", {**GOOD, "forwarded": "for=1.2.3.4"}, 403),
    "no address at all": ("a-socket", "127.0.0.1", GOOD, 403),
}
PATHS = ("/_sqlawait/", "/_sqlawait/api/requests", "/_sqlawait/api/openapi.json", "/_sqlawait/api/findings")


def client(app: FastAPI, address: str = "127.0.0.1") -> AsyncClient:
    return AsyncClient(transport=ASGITransport(app, client=(address, 1)), base_url="http://127.0.0.1")


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
@pytest.mark.parametrize("path", PATHS)
async def test_who_may_look(case: tuple[str, str, dict[str, str], int], path: str) -> None:
    """Loopback and token and host, each of them alone is not enough; for the page and all of the API."""
    address, host, headers, status = case
    app, _ = make_app()
    async with client(app, address) as http:
        answer = await http.get(path, headers=[("host", host), *headers.items()])
    assert answer.status_code == status


async def test_the_printed_address_leaves_a_cookie_and_no_token() -> None:
    """The token moves from the address into a cookie that scripts cannot read and other sites cannot send."""
    app, inspector = make_app()
    async with client(app) as http:
        first = await http.get(inspector.address("http://127.0.0.1"))
        assert first.status_code == 303
        assert "token" not in first.headers["location"]
        assert "HttpOnly" in first.headers["set-cookie"]
        assert "samesite=strict" in first.headers["set-cookie"].lower()
        assert (await http.get(first.headers["location"])).status_code == 200


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
async def test_read_only(method: str) -> None:
    """Nothing can be changed through it."""
    app, _ = make_app()
    async with client(app) as http:
        assert (await http.request(method, "/_sqlawait/api/requests", headers=GOOD)).status_code == 405


def test_everywhere_needs_a_dependency() -> None:
    """It refuses to be opened to other machines without asking who is there."""
    with pytest.raises(ConfigurationError, match="dependencies"):
        Inspector(everywhere=True)
    with pytest.raises(ConfigurationError, match="token"):
        Inspector(token="")


async def test_everywhere_asks_the_applications_own_dependency() -> None:
    """The application decides for the page, the API and its description."""

    async def admin(x_admin: Annotated[str | None, Header()] = None) -> None:
        if x_admin != "yes":
            raise HTTPException(403)

    app = FastAPI()
    Inspector(Guards(), dependencies=[Depends(admin)], everywhere=True).mount(app)
    async with client(app, "10.0.0.9") as http:
        for path in PATHS:
            assert (await http.get(path)).status_code == 403
            assert (await http.get(path, headers={"x-admin": "yes", "host": "shop.example"})).status_code == 200


async def test_off_by_default(sqlite_url: str) -> None:
    """An application that does not mount it has nothing there."""
    from sqlawait import Database
    from sqlawait.fastapi import install

    app = FastAPI()
    install(app, Database(sqlite_url))
    async with client(app) as http:
        assert (await http.get("/_sqlawait/", headers=GOOD)).status_code == 404


async def test_the_page_may_load_nothing_from_elsewhere() -> None:
    """Its policy allows this server only, and no script but its own."""
    app, _ = make_app()
    async with client(app) as http:
        answer = await http.get("/_sqlawait/", headers=GOOD)
    policy = answer.headers["content-security-policy"]
    assert "default-src 'none'" in policy
    assert "unsafe" not in policy
    assert "http://" not in answer.text.replace("http://www.w3.org/2000/svg", "")
    assert "https://" not in answer.text
