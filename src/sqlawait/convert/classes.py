"""The names of SQLAlchemy's sync classes."""

SESSION = "sqlalchemy.orm.Session"
SCOPED = "sqlalchemy.orm.scoped_session"
MAKER = "sqlalchemy.orm.sessionmaker"
QUERY = "sqlalchemy.orm.Query"
ENGINE = "sqlalchemy.Engine"
CONNECTION = "sqlalchemy.Connection"

__all__ = ["CONNECTION", "ENGINE", "MAKER", "QUERY", "SCOPED", "SESSION"]
