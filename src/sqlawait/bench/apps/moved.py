"""The usual async stack moved onto ``Database``: the very same routes, only what makes the sessions changed."""

from __future__ import annotations

from sqlawait import Database
from sqlawait.bench.target import Target

from . import usual

target = Target.from_environment()
db = Database(target.plain_url, pool_size=target.connections, pool_timeout=30)  # usual.py waits as long
usual.sessions = db.session
app = usual.app
app.router.lifespan_context = db.lifespan
