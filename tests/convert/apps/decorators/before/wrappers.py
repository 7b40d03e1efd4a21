"""Decorators of the code base."""

import functools
import logging

from fastapi import HTTPException

from .database import SessionLocal

log = logging.getLogger(__name__)
calls: list[str] = []


def not_found(function):
    """Every function behind it waits."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        try:
            return function(*args, **kwargs)
        except LookupError as error:
            raise HTTPException(404, str(error)) from error

    return wrapper


def counted(name):
    """What is behind it waits in one place and not in another."""

    def decorator(function):
        @functools.wraps(function)
        def wrapper(*args, **kwargs):
            result = function(*args, **kwargs)
            calls.append(f"{name}: {result}")
            return result

        return wrapper

    return decorator


def when(switch):
    """Drops what the function gives."""

    def decorator(function):
        def wrapper(*args, **kwargs):
            if switch["on"]:
                function(*args, **kwargs)

        return wrapper

    return decorator


def transactional(function):
    """Opens a session for the function."""

    @functools.wraps(function)
    def wrapper(*args, **kwargs):
        with SessionLocal() as db:
            result = function(db, *args, **kwargs)
            db.commit()
        return result

    return wrapper
