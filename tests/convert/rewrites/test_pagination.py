"""``paginate`` of fastapi-pagination becomes ``apaginate``, which takes the session."""

from __future__ import annotations

from collections.abc import Callable

from sqlawait.convert.result import Result


def test_query(check_transformed: Callable[..., None]) -> None:
    """A query that is handed over, stored or at once, is a statement beside its session."""
    check_transformed(
        """
        from fastapi_pagination.ext.sqlalchemy import paginate
        from sqlalchemy.orm import Session
        from somewhere import User


        def users(db: Session, name: str | None = None):
            query = db.query(User).order_by(User.id)
            if name:
                query = query.filter(User.name == name)
            return paginate(query)


        def everyone(db: Session):
            page = paginate(db.query(User), unique=False)
            return page.items
        """,
        """
        from fastapi_pagination.ext.sqlalchemy import apaginate
        from sqlalchemy import select
        from sqlalchemy.ext.asyncio import AsyncSession
        from somewhere import User


        async def users(db: AsyncSession, name: str | None = None):
            query = select(User).order_by(User.id)
            if name:
                query = query.where(User.name == name)
            return await apaginate(db, query)


        async def everyone(db: AsyncSession):
            page = await apaginate(db, select(User), unique=False)
            return page.items
        """,
    )


def test_statement(check_transformed: Callable[..., None]) -> None:
    """What is 2.0 already names its session."""
    check_transformed(
        """
        from fastapi_pagination.ext.sqlalchemy import paginate
        from sqlalchemy import select
        from sqlalchemy.orm import Session
        from somewhere import User


        def users(session: Session):
            return paginate(session, select(User)).items
        """,
        """
        from fastapi_pagination.ext.sqlalchemy import apaginate
        from sqlalchemy import select
        from sqlalchemy.ext.asyncio import AsyncSession
        from somewhere import User


        async def users(session: AsyncSession):
            return (await apaginate(session, select(User))).items
        """,
    )


def test_lists(check_noop: Callable[[str], None]) -> None:
    """Pages of lists do not wait for the database."""
    check_noop(
        """
        from fastapi_pagination import paginate


        def numbers():
            return paginate([1, 2, 3])
        """
    )


def test_no_session(convert: Callable[..., Result]) -> None:
    """Without a session in reach, the call is left as it was."""
    source = """
    from fastapi_pagination.ext.sqlalchemy import paginate


    def page(query):
        return paginate(query)
    """
    assert [todo.code for todo in convert({"module.py": source}).todos] == ["SAW903"]
