"""The mistakes of async SQLAlchemy, caught while they happen, one detector a file.

They watch every engine and AsyncSession of the process, SQLAlchemy's own as well as this library's.
"""

from sqlawait.guards.guards import Guards
from sqlawait.guards.judge import Action, Limits
from sqlawait.guards.middleware import GuardMiddleware
from sqlawait.guards.scope import Scope, current_scope

__all__ = ["Action", "GuardMiddleware", "Guards", "Limits", "Scope", "current_scope"]
