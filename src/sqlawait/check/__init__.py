"""The linter: where the event loop is blocked and where async SQLAlchemy is misused."""
