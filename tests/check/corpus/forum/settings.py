from pydantic_settings import BaseSettings


class Settings(BaseSettings):
    database_url: str = "postgresql+asyncpg://forum@localhost/forum"
    webhook: str = "https://hooks.example/forum"


settings = Settings()
