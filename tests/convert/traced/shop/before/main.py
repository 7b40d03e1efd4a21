from pathlib import Path

from fastapi import Depends, FastAPI, HTTPException, Request
from fastapi.templating import Jinja2Templates
from sqlalchemy import select
from sqlalchemy.orm import Session

import crud
import models
import schemas

app = FastAPI()
templates = Jinja2Templates(Path(__file__).parent / "templates")


def get_db():
    db = models.SessionLocal()
    try:
        yield db
    finally:
        db.close()


@app.get("/users/{user_id}", response_model=schemas.UserRead)
def read_user(user_id: int, db: Session = Depends(get_db)):
    user = crud.get_user(db, user_id)
    if user is None:
        raise HTTPException(404)
    return user


@app.get("/users", response_model=list[schemas.UserRead])
def read_users(db: Session = Depends(get_db)):
    return crud.list_users(db)


@app.post("/users", response_model=schemas.UserRead)
def create_user(name: str, db: Session = Depends(get_db)):
    return crud.create_user(db, name)


@app.get("/users/{user_id}/titles")
def read_titles(user_id: int, db: Session = Depends(get_db)):
    user = db.query(models.User).filter_by(id=user_id).one()
    return {"titles": user.titles, "count": crud.count_titles(user)}


@app.post("/users/{user_id}/items")
def add_item(user_id: int, title: str, db: Session = Depends(get_db)):
    user = (
        db.query(models.User)
        .filter(models.User.id == user_id)
        .one()
    )
    before = len(user.items)
    db.add(models.Item(title=title, owner_id=user.id))
    db.commit()
    return {"before": before, "after": [item.title for item in user.items]}


@app.post("/users/{user_id}/rename")
def rename_user(user_id: int, name: str, db: Session = Depends(get_db)):
    user = db.query(models.User).get(user_id)
    return crud.rename(db, user, name)


@app.get("/users/{user_id}/biography")
def read_biography(user_id: int, db: Session = Depends(get_db)):
    return db.query(models.User).filter(models.User.id == user_id).one().biography


@app.get("/companies/{company_id}")
def read_company(company_id: int, request: Request, db: Session = Depends(get_db)):
    company = crud.get_company(db, company_id)
    return templates.TemplateResponse(request, "company.html", {"company": company})


@app.get("/items/{item_id}/company")
def read_item_company(item_id: int, db: Session = Depends(get_db)):
    statement = select(models.Item).where(models.Item.id == item_id)
    item = db.scalars(statement).one()
    return item.owner.company.name


@app.get("/nodes")
def read_nodes(db: Session = Depends(get_db)):
    nodes = db.query(models.Node).order_by(models.Node.id).all()
    return [schemas.PaperRead.model_validate(node) for node in nodes if node.kind == "paper"]
