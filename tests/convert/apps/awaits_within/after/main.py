"""Waiting inside comprehensions, generators, lambdas, ``map``, sort keys and conditions."""

import os

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import URL, ForeignKey, func, make_url, select
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


def async_url(url: str | URL) -> URL:
    """The same database through its async driver."""
    url = make_url(url if isinstance(url, URL) else str(url))
    drivers = {"postgresql": "psycopg", "sqlite": "aiosqlite", "mysql": "asyncmy", "mariadb": "asyncmy"}
    driver = drivers.get(url.get_backend_name())
    given = url.drivername.partition("+")[2]
    if driver is None or given in ("psycopg", "asyncpg", "aiosqlite", "asyncmy", "aiomysql"):
        return url
    return url.set(drivername=f"{url.get_backend_name()}+{driver}")


engine = create_async_engine(async_url(os.environ["DATABASE_URL"]))
SessionLocal = async_sessionmaker(engine, expire_on_commit=False)
app = FastAPI()


class Base(DeclarativeBase):
    pass


class Team(Base):
    __tablename__ = "teams"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Member(Base):
    __tablename__ = "members"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    team_id: Mapped[int] = mapped_column(ForeignKey("teams.id"))


async def get_db():
    async with SessionLocal() as db:
        yield db


async def size(db: AsyncSession, team: Team) -> int:
    return await db.scalar(select(func.count()).select_from(Member).where(Member.team_id == team.id))


async def teams(db: AsyncSession):
    for team in await db.scalars(select(Team).order_by(Team.id)):
        yield team


async def lines(db: AsyncSession):
    async for team in teams(db):
        yield f"{team.name}: {await size(db, team)}\n"


@app.get("/comprehensions")
async def comprehensions(db: AsyncSession = Depends(get_db)):
    sizes = {team.name: await size(db, team) async for team in teams(db)}
    names = [team.name async for team in teams(db) if await size(db, team) > 1]
    return {"sizes": sizes, "names": names, "total": sum([await size(db, team) for team in await db.scalars(select(Team))])}


@app.get("/conditions")
async def conditions(db: AsyncSession = Depends(get_db)):
    everyone = (await db.scalars(select(Member))).all()
    return {
        "any": any([await size(db, team) > 1 for team in (await db.scalars(select(Team))).all()]),
        "all": all([await size(db, team) > 1 for team in (await db.scalars(select(Team))).all()]),
        "first": everyone[0].name if everyone and await size(db, (await db.scalars(select(Team).limit(1))).first()) else None,
        "chained": 0 < await size(db, (await db.scalars(select(Team).order_by(Team.id).limit(1))).first()) <= 2,
    }


@app.get("/sorted")
async def by_size(db: AsyncSession = Depends(get_db)):
    found = (await db.scalars(select(Team))).all()
    found.sort(key=lambda team, keys={id(team): await size(db, team) for team in found}: keys[id(team)], reverse=True)
    smallest = min(found, key=lambda team, keys={id(team): await size(db, team) for team in found}: keys[id(team)])
    ordered = sorted(items := list((await db.scalars(select(Team))).all()), key=lambda team, keys={id(team): (-await size(db, team), team.name) for team in items}: keys[id(team)])
    return {"order": [team.name for team in found], "smallest": smallest.name, "same": ordered == found}


@app.get("/mapped")
async def mapped(db: AsyncSession = Depends(get_db)):
    found = (await db.scalars(select(Team).order_by(Team.id))).all()

    async def size_of(team: Team) -> int:
        return await size(db, team)

    return {
        "handed": [list([await size_of(each) for each in found]), max(found, key=lambda each, keys={id(each): await size_of(each) for each in found}: keys[id(each)]).name],
        "map": list([await size(db, team) for team in found]),
        "filter": [team.name for team in [team for team in found if await size(db, team) == 1]],
        "list": list([each async for each in teams(db)])[0].name,
    }


@app.get("/streamed")
async def streamed(db: AsyncSession = Depends(get_db)):
    return StreamingResponse(lines(db), media_type="text/plain")
