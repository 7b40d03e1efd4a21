"""Engines of every kind: some of them with the wrong driver."""

import os

from sqlalchemy import URL, create_engine, make_url
from sqlalchemy.ext.asyncio import async_engine_from_config, create_async_engine
from sqlalchemy.pool import NullPool

from .config import config, settings

POSTGRES_URL = "postgresql://atlas:secret@localhost:5432/atlas"
ASYNC_POSTGRES_URL = POSTGRES_URL.replace("postgresql://", "postgresql+asyncpg://")

wrong_plain = create_async_engine(POSTGRES_URL)  # expect: SAW204
wrong_psycopg2 = create_async_engine("postgresql+psycopg2://localhost/atlas", echo=False)  # expect: SAW204
wrong_sqlite = create_async_engine("sqlite:///./atlas.db")  # expect: SAW204
wrong_memory = create_async_engine("sqlite://")  # expect: SAW204
wrong_mysql = create_async_engine("mysql+pymysql://root@localhost/atlas")  # expect: SAW204
wrong_mysql_plain = create_async_engine(f"mysql://{settings.user}:{settings.password}@localhost/atlas")  # expect: SAW204
wrong_env = create_async_engine(os.environ.get("ATLAS_URL", "sqlite:///atlas.db"))  # expect: SAW204
wrong_settings = create_async_engine(settings.sync_url, poolclass=NullPool)  # expect: SAW204
wrong_url_object = create_async_engine(  # expect: SAW204
    URL.create("postgresql", username="atlas", host="localhost", database="atlas"),
    pool_size=5,
)
wrong_made = create_async_engine(make_url("mysql+mysqldb://localhost/atlas"))  # expect: SAW204

right_asyncpg = create_async_engine(ASYNC_POSTGRES_URL)  # ok: SAW204
right_psycopg = create_async_engine("postgresql+psycopg://localhost/atlas")  # ok: SAW204
right_sqlite = create_async_engine("sqlite+aiosqlite:///:memory:")  # ok: SAW204
right_mysql = create_async_engine(f"mysql+aiomysql://{settings.user}@localhost/atlas")  # ok: SAW204
right_settings = create_async_engine(settings.async_url)  # ok: SAW204
right_env = create_async_engine(os.environ["ATLAS_ASYNC_URL"])  # ok: SAW204
right_url_object = create_async_engine(URL.create("postgresql+asyncpg", host="localhost"))  # ok: SAW204
right_config = async_engine_from_config({"sqlalchemy.url": settings.async_url}, prefix="sqlalchemy.")  # ok: SAW204

sync_wrong = create_engine("postgresql+asyncpg://localhost/atlas")  # expect: SAW204
sync_wrong_sqlite = create_engine("sqlite+aiosqlite:///atlas.db", connect_args={"timeout": 5})  # expect: SAW204
sync_wrong_settings = create_engine(settings.async_url)  # expect: SAW204
sync_right = create_engine(POSTGRES_URL)  # ok: SAW204
sync_right_psycopg = create_engine("postgresql+psycopg://localhost/atlas")  # ok: SAW204
sync_right_stripped = create_engine(settings.async_url.replace("+asyncpg", ""))  # ok: SAW204
sync_right_unknown = create_engine(config.get("database", "url"))  # ok: SAW204
