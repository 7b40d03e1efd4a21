"""What several routes take."""

from __future__ import annotations

from typing import Annotated

from fastapi import Path

from sqlawait.service.schemas import MAX_ID

Id = Annotated[int, Path(ge=1, le=MAX_ID)]
