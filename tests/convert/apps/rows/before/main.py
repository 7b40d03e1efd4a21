"""Rows that are not one model: several models, columns, functions, textual SQL."""

import os

from fastapi import Depends, FastAPI
from sqlalchemy import ForeignKey, create_engine, func, text
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, aliased, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
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


def get_db():
    db = SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.get("/entities")
def entities(db: Session = Depends(get_db)):
    rows = db.query(Person, City).join(City, City.id == Person.city_id).order_by(Person.id).all()
    return [f"{person.name} of {city.name}" for person, city in rows]


@app.get("/columns")
def columns(db: Session = Depends(get_db)):
    return [{"name": row.name, "age": row.age} for row in db.query(Person.name, Person.age).order_by(Person.age)]


@app.get("/mixed")
def mixed(db: Session = Depends(get_db)):
    found = db.query(Person, City.name.label("city")).filter(Person.city_id == City.id).order_by(Person.id).first()
    return [found.Person.name, found.city] if found else None


@app.get("/grouped")
def grouped(db: Session = Depends(get_db)):
    rows = (
        db.query(City.name, func.count(Person.id))
        .outerjoin(Person, Person.city_id == City.id)
        .group_by(City.name)
        .having(func.count(Person.id) > 0)
        .order_by(City.name)
        .all()
    )
    return dict(map(tuple, rows))


@app.get("/functions")
def functions(db: Session = Depends(get_db)):
    oldest = db.query(func.max(Person.age)).scalar()
    (youngest,) = db.query(func.min(Person.age)).one()
    names = [name for (name,) in db.query(City.name).distinct().order_by(City.name)]
    return {"oldest": oldest, "youngest": youngest, "names": names}


@app.get("/subqueries")
def subqueries(db: Session = Depends(get_db)):
    crowded = (
        db.query(Person.city_id, func.count("*").label("people"))
        .group_by(Person.city_id)
        .having(func.count("*") > 1)
        .subquery()
    )
    query = db.query(City).join(crowded, City.id == crowded.c.city_id)
    return [city.name for city in query.all()]


@app.get("/pairs")
def pairs(db: Session = Depends(get_db)):
    other = aliased(Person)
    query = db.query(Person.name, other.name).join(other, other.city_id == Person.city_id)
    return [f"{one}-{two}" for one, two in query.filter(Person.id < other.id).all()]


@app.get("/text")
def textual(age: int, db: Session = Depends(get_db)):
    result = db.execute(text("SELECT name FROM people WHERE age > :age ORDER BY name"), {"age": age})
    names = [row.name for row in result]
    count = db.execute(text("SELECT count(*) FROM people")).scalar()
    found = db.query(Person).filter(text("age > :age")).params(age=age).order_by(text("people.id")).all()
    return {"names": names, "count": count, "ids": [person.id for person in found]}


@app.get("/union")
def union(db: Session = Depends(get_db)):
    young = db.query(Person.name).filter(Person.age < 30)
    old = db.query(Person.name).filter(Person.age > 60)
    return sorted(name for (name,) in young.union(old).all())
