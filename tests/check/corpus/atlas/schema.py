"""Making and looking at the schema."""

from sqlalchemy import MetaData, Table, inspect
from sqlalchemy.ext.asyncio import AsyncConnection

from .engines import right_asyncpg as engine
from .engines import sync_right
from .models import Base, City, metadata


async def create_wrong() -> None:
    Base.metadata.create_all(engine)  # expect: SAW206


async def create_wrong_bind() -> None:
    metadata.create_all(bind=engine)  # expect: SAW206


async def create_wrong_connection() -> None:
    async with engine.begin() as connection:
        metadata.create_all(connection)  # expect: SAW206


async def drop_wrong_connection() -> None:
    async with engine.begin() as conn:
        Base.metadata.drop_all(bind=conn)  # expect: SAW206


async def create_awaited() -> None:
    async with engine.begin() as conn:
        await conn.execute(metadata.create_all(conn))  # expect: SAW206


async def tables_wrong() -> list[str]:
    return inspect(engine).get_table_names()  # expect: SAW206


async def tables_wrong_connection(connection: AsyncConnection) -> list[str]:
    inspector = inspect(connection)  # expect: SAW206
    return inspector.get_table_names()


async def reflect_wrong() -> MetaData:
    found = MetaData()
    async with engine.connect() as connection:
        found.reflect(bind=connection)  # expect: SAW206
    return found


async def reflect_table_wrong() -> Table:
    return Table("city", MetaData(), autoload_with=engine)  # expect: SAW206


def create_at_import() -> None:
    Base.metadata.create_all(bind=engine)  # expect: SAW206


async def create_one_wrong() -> None:
    async with engine.begin() as conn:
        City.__table__.create(conn, checkfirst=True)  # expect: SAW206


async def create() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(Base.metadata.create_all)  # ok: SAW206
        await connection.run_sync(metadata.create_all, checkfirst=True)  # ok: SAW206


async def drop() -> None:
    async with engine.begin() as connection:
        await connection.run_sync(lambda sync: metadata.drop_all(sync))  # ok: SAW206


async def tables() -> list[str]:
    async with engine.connect() as connection:
        return await connection.run_sync(lambda sync: inspect(sync).get_table_names())  # ok: SAW206


async def columns(table: str) -> list[str]:
    def read(connection) -> list[str]:
        inspector = inspect(connection)  # ok: SAW206
        return [column["name"] for column in inspector.get_columns(table)]

    async with engine.connect() as connection:
        return await connection.run_sync(read)


async def reflect() -> MetaData:
    found = MetaData()
    async with engine.connect() as connection:
        await connection.run_sync(found.reflect)  # ok: SAW206
    return found


async def mapper_columns() -> list[str]:
    return [column.key for column in inspect(City).columns]  # ok: SAW206


async def is_detached(city: City) -> bool:
    return inspect(city).detached  # ok: SAW206


def create_sync() -> None:
    metadata.create_all(sync_right)  # ok: SAW206
