"""SQLModel's tables and its ``exec``."""

from __future__ import annotations

from sqlmodel import Field, SQLModel, col, select

from sqlawait import Database


class Hero(SQLModel, table=True):
    id: int | None = Field(default=None, primary_key=True)
    name: str = Field(max_length=50, unique=True)
    age: int | None = None


async def test_sqlmodels_tables_and_exec_work(url: str) -> None:
    """Verbs take SQLModel's classes, and exec gives values for one thing and rows for several."""
    async with Database(url) as db:
        await db.create_all(SQLModel.metadata)
        async with db.transaction() as session:
            hero = await session.create(Hero, name="Deadpond", age=48)
            assert hero.id is not None
            await session.create(Hero, name="Rusty-Man")
            heroes = (await session.exec(select(Hero).order_by(col(Hero.id)))).all()
            assert [one.name for one in heroes] == ["Deadpond", "Rusty-Man"]
            rows = (await session.exec(select(Hero.name, Hero.age).where(Hero.age == 48))).all()
            assert [tuple(row) for row in rows] == [("Deadpond", 48)]
            assert (await session.exec(select(Hero.name).where(col(Hero.age).is_(None)))).one() == "Rusty-Man"
            assert await session.find(Hero, name="Deadpond") is hero
            assert await session.count(Hero) == 2
