"""Rows that are not one model: several models, columns, functions, textual SQL."""

import os

from fastapi import Depends, FastAPI
from sqlalchemy import URL, ForeignKey, func, make_url, select, text
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, aliased, mapped_column


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


class City(Base):
    __tablename__ = "cities"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]


class Person(Base):
    __tablename__ = "people"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    age: Mapped[int]
    city_id: Mapped[int] = mapped_column(ForeignKey("cities.id"))


async def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        await db.close()


@app.get("/entities")
async def entities(db: AsyncSession = Depends(get_db)):
    rows = (await db.execute(select(Person, City).join(City, City.id == Person.city_id).order_by(Person.id))).unique().all()
    return [f"{person.name} of {city.name}" for person, city in rows]


@app.get("/columns")
async def columns(db: AsyncSession = Depends(get_db)):
    return [{"name": row.name, "age": row.age} for row in await db.execute(select(Person.name, Person.age).order_by(Person.age))]


@app.get("/mixed")
async def mixed(db: AsyncSession = Depends(get_db)):
    found = (await db.execute(select(Person, City.name.label("city")).where(Person.city_id == City.id).order_by(Person.id).limit(1))).unique().first()
    return [found.Person.name, found.city] if found else None


@app.get("/grouped")
async def grouped(db: AsyncSession = Depends(get_db)):
    rows = (
        await db.execute(
            select(City.name, func.count(Person.id))
            .outerjoin(Person, Person.city_id == City.id)
            .group_by(City.name)
            .having(func.count(Person.id) > 0)
            .order_by(City.name)
        )
    ).all()
    return dict(map(tuple, rows))


@app.get("/functions")
async def functions(db: AsyncSession = Depends(get_db)):
    oldest = await db.scalar(select(func.max(Person.age)))
    (youngest,) = (await db.execute(select(func.min(Person.age)))).one()
    names = [name for (name,) in await db.execute(select(City.name).distinct().order_by(City.name))]
    return {"oldest": oldest, "youngest": youngest, "names": names}


@app.get("/subqueries")
async def subqueries(db: AsyncSession = Depends(get_db)):
    crowded = (
        select(Person.city_id, func.count("*").label("people"))
        .group_by(Person.city_id)
        .having(func.count("*") > 1)
        .subquery()
    )
    query = select(City).join(crowded, City.id == crowded.c.city_id)
    return [city.name for city in (await db.scalars(query)).unique().all()]


@app.get("/pairs")
async def pairs(db: AsyncSession = Depends(get_db)):
    other = aliased(Person)
    query = select(Person.name, other.name).join(other, other.city_id == Person.city_id)
    return [f"{one}-{two}" for one, two in (await db.execute(query.where(Person.id < other.id))).all()]


@app.get("/text")
async def textual(age: int, db: AsyncSession = Depends(get_db)):
    result = await db.execute(text("SELECT name FROM people WHERE age > :age ORDER BY name"), {"age": age})
    names = [row.name for row in result]
    count = (await db.execute(text("SELECT count(*) FROM people"))).scalar()
    found = (await db.scalars(select(Person).where(text("age > :age")).params(age=age).order_by(text("people.id")))).all()
    return {"names": names, "count": count, "ids": [person.id for person in found]}


@app.get("/union")
async def union(db: AsyncSession = Depends(get_db)):
    young = select(Person.name).where(Person.age < 30)
    old = select(Person.name).where(Person.age > 60)
    return sorted(name for (name,) in (await db.execute(young.union(old))).all())
