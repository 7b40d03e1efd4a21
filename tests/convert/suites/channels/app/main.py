import logging

from fastapi import APIRouter, BackgroundTasks, Depends, FastAPI, HTTPException
from sqlalchemy.orm import Session

from . import database, tasks
from .dao import Dao
from .database import get_db

app = FastAPI()
router = APIRouter(prefix="/channels")


def get_dao(db: Session = Depends(get_db)) -> Dao:
    return Dao(db)


@router.get("/{name}")
def show(name: str, dao: Dao = Depends(get_dao)):
    channel = dao.channel(name)
    if not channel:
        raise HTTPException(404)
    return {"owner": channel.owner.name if channel.owner else None, "index": channel.index}


@router.get("/{name}/packages")
def packages(name: str, dao: Dao = Depends(get_dao)):
    return [each.name for each in dao.channel(name).packages]


@app.delete("/packages/{name}")
def remove(name: str, background: BackgroundTasks, db: Session = Depends(get_db), dao: Dao = Depends(get_dao)):
    package = dao.package(name)
    channel = package.channel_name
    db.delete(package)
    db.commit()
    background.add_task(tasks.logged(tasks.update_index, logging.getLogger("app")), dao, channel)


def count():
    with database.session_scope() as db:
        return len(Dao(db).channel("a").packages)


def owned(db: Session = Depends(get_db)):
    channel = Dao(db).channel("a")
    return channel.owner.name


router.add_api_route("/a/count", count, methods=["GET"])
app.get("/owned")(owned)
app.include_router(router)
