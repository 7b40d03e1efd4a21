"""AsyncSession: SQLAlchemy's own, plus the verbs."""
