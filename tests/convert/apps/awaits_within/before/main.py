"""Waiting inside comprehensions, generators, lambdas, ``map``, sort keys and conditions."""

import os

from fastapi import Depends, FastAPI
from fastapi.responses import StreamingResponse
from sqlalchemy import ForeignKey, create_engine
from sqlalchemy.orm import DeclarativeBase, Mapped, Session, mapped_column, sessionmaker

engine = create_engine(os.environ["DATABASE_URL"])
SessionLocal = sessionmaker(engine)
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


def get_db():
    with SessionLocal() as db:
        yield db


def size(db: Session, team: Team) -> int:
    return db.query(Member).filter(Member.team_id == team.id).count()


def teams(db: Session):
    for team in db.query(Team).order_by(Team.id):
        yield team


def lines(db: Session):
    for team in teams(db):
        yield f"{team.name}: {size(db, team)}\n"


@app.get("/comprehensions")
def comprehensions(db: Session = Depends(get_db)):
    sizes = {team.name: size(db, team) for team in teams(db)}
    names = [team.name for team in teams(db) if size(db, team) > 1]
    return {"sizes": sizes, "names": names, "total": sum(size(db, team) for team in db.query(Team))}


@app.get("/conditions")
def conditions(db: Session = Depends(get_db)):
    everyone = db.query(Member).all()
    return {
        "any": any(size(db, team) > 1 for team in db.query(Team).all()),
        "all": all(size(db, team) > 1 for team in db.query(Team).all()),
        "first": everyone[0].name if everyone and size(db, db.query(Team).first()) else None,
        "chained": 0 < size(db, db.query(Team).order_by(Team.id).first()) <= 2,
    }


@app.get("/sorted")
def by_size(db: Session = Depends(get_db)):
    found = db.query(Team).all()
    found.sort(key=lambda team: size(db, team), reverse=True)
    smallest = min(found, key=lambda team: size(db, team))
    ordered = sorted(db.query(Team).all(), key=lambda team: (-size(db, team), team.name))
    return {"order": [team.name for team in found], "smallest": smallest.name, "same": ordered == found}


@app.get("/mapped")
def mapped(db: Session = Depends(get_db)):
    found = db.query(Team).order_by(Team.id).all()

    def size_of(team: Team) -> int:
        return size(db, team)

    return {
        "handed": [list(map(size_of, found)), max(found, key=size_of).name],
        "map": list(map(lambda team: size(db, team), found)),
        "filter": [team.name for team in filter(lambda team: size(db, team) == 1, found)],
        "list": list(teams(db))[0].name,
    }


@app.get("/streamed")
def streamed(db: Session = Depends(get_db)):
    return StreamingResponse(lines(db), media_type="text/plain")
