import models
import pytest
from fastapi.testclient import TestClient
from main import app


@pytest.fixture
def client():
    models.Base.metadata.create_all(models.engine)
    with models.SessionLocal() as db:
        company = models.Company(name="Acme")
        tags = [models.Tag(name="new"), models.Tag(name="old")]
        for name in ("ann", "bob"):
            user = models.User(name=name, company=company, biography=f"{name} was born")
            user.items = [models.Item(title=f"{name} {number}", tags=tags[:number]) for number in (1, 2)]
            db.add(user)
        db.add(models.Paper(name="thesis", pages=90))
        db.commit()
    with TestClient(app) as client:
        yield client
    models.Base.metadata.drop_all(models.engine)
