import logging
from collections.abc import Callable
from functools import wraps
from typing import Any

import httpx

from .dao import Dao


def update_index(dao: Dao, name: str) -> None:
    dao.update_index(name)


def logged(function: Callable, logger: logging.Logger) -> Callable:
    @wraps(function)
    async def wrapper(*args: Any) -> None:
        function(*args)
        logger.info("done")

    return wrapper


def mirror(name: str, dao: Dao, session: httpx.Client) -> int:
    if dao.channel(name) is None:
        return 0
    return session.get("https://example.com").json()["packages"]


HANDLERS = {"mirror": mirror}
