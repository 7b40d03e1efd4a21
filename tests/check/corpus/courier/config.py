from functools import lru_cache

from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    database_url: str = "postgresql+asyncpg://courier@localhost/courier"
    sync_database_url: str = "postgresql+psycopg2://courier@localhost/courier"
    tenant_url: str = "postgresql+asyncpg://courier@localhost/{tenant}"


@lru_cache
def get_settings() -> Settings:
    return Settings()
