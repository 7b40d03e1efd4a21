from .database import new_engine
from .models import Base


def create(engine):
    Base.metadata.create_all(engine)


def entry_point():
    create(new_engine())
