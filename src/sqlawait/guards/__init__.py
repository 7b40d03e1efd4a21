"""The mistakes of async SQLAlchemy, caught while they happen, one detector a file."""
