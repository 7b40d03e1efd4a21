"""What the suites of the small apps share: the app itself, its tables, a client. One file for before and after."""

import importlib
import os
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from sqlalchemy import create_engine, make_url
from sqlalchemy.schema import CreateSchema


@pytest.fixture(scope="module")
def url(request, tmp_path_factory):
    """Where this app's rows are: a file of its own, or a schema of its own in the one PostgreSQL database."""
    package = Path(request.module.__file__).parent.name
    given = os.environ.get("APPS_URL")
    if not given:
        return f"sqlite:///{tmp_path_factory.mktemp(package) / 'app.db'}"
    server = create_engine(given)
    with server.begin() as connection:
        connection.execute(CreateSchema(package))
    server.dispose()
    return make_url(given).update_query_dict({"options": f"-csearch_path={package}"}).render_as_string(False)


@pytest.fixture(scope="module")
def main(request, url):
    """The app's main module."""
    os.environ["DATABASE_URL"] = url
    return importlib.import_module(f"{Path(request.module.__file__).parent.name}.main")


@pytest.fixture(scope="module")
def engine(main, url):
    """A sync engine of the tests' own, with the app's tables."""
    engine = create_engine(url)
    main.Base.metadata.create_all(engine)
    yield engine
    engine.dispose()


@pytest.fixture(scope="module")
def client(main, engine):
    """A client on one event loop for the whole module."""
    with TestClient(main.app) as client:
        yield client
