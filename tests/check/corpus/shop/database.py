"""The classic sync set-up."""

import os

from sqlalchemy import create_engine
from sqlalchemy.ext.declarative import declarative_base
from sqlalchemy.orm import sessionmaker

SQLALCHEMY_DATABASE_URL = os.getenv("DATABASE_URL", "postgresql://shop:shop@localhost/shop")

engine = create_engine(SQLALCHEMY_DATABASE_URL, pool_pre_ping=True)  # ok: SAW204
SessionLocal = sessionmaker(autocommit=False, autoflush=False, bind=engine)  # ok: SAW304, SAW205

Base = declarative_base()


def get_db():
    db = SessionLocal()  # ok: SAW403
    try:
        yield db
    finally:
        db.close()
