"""The PostgreSQL that comes with Python."""

from __future__ import annotations

import asyncpg

from sqlawait.embedded import EmbeddedPostgres


async def test_it_is_postgresql_18_with_pgvector(postgresql_url: str) -> None:
    """The server is a PostgreSQL 18 on which the vector extension can be made."""
    connection = await asyncpg.connect(postgresql_url)
    try:
        assert (await connection.fetchval("SHOW server_version")).startswith("18")
        await connection.execute("CREATE EXTENSION vector")
    finally:
        await connection.close()


async def test_data_in_a_given_folder_outlive_the_server(tmp_path_factory) -> None:
    """A server on a folder of the user's finds its data again when it starts anew, on the same port."""
    server = EmbeddedPostgres(tmp_path_factory.mktemp("pg") / "data")
    with server:
        connection = await asyncpg.connect(server.url())
        await connection.execute("CREATE TABLE kept AS SELECT 42 AS answer")
        await connection.close()
        port = server.port
    with server:
        assert server.port == port
        connection = await asyncpg.connect(server.url())
        assert await connection.fetchval("SELECT answer FROM kept") == 42
        await connection.close()


def test_temporary_data_are_removed() -> None:
    """Without a folder the data are gone when the server is."""
    with EmbeddedPostgres() as server:
        assert server.folder.exists()
    assert not server.folder.exists()
