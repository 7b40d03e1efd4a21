from configparser import ConfigParser

from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    model_config = SettingsConfigDict(env_prefix="ATLAS_")

    user: str = "atlas"
    password: str = "secret"
    sync_url: str = "postgresql://localhost/atlas"
    async_url: str = "postgresql+asyncpg://localhost/atlas"


settings = Settings()
config = ConfigParser()
