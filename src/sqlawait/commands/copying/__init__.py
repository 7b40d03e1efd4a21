"""``sqlawait db copy``: a SQLite database moved to PostgreSQL or MySQL, checked before and compared after."""

from sqlawait.commands.copying.copy import Options, copy

__all__ = ["Options", "copy"]
