from sqlalchemy import select
from sqlalchemy.exc import IntegrityError

import models


def get_user(db, user_id):
    return db.query(models.User).filter(models.User.id == user_id).first()


def run(db, statement):
    return db.execute(statement).scalars().all()


def list_users(db):
    return run(db, select(models.User).order_by(models.User.id))


def get_company(db, company_id):
    return db.get(models.Company, company_id)


def create_user(db, name):
    user = models.User(name=name)
    db.add(user)
    db.commit()
    return user


def rename(db, user, name):
    other = models.User(name=name)
    db.add(other)
    try:
        db.commit()
    except IntegrityError:
        db.rollback()
        return f"{user.name} keeps its name"
    return "taken"


def count_titles(user):
    return len(user.titles)
