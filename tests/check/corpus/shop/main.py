from contextlib import asynccontextmanager

from fastapi import FastAPI

from . import models
from .database import engine
from .routers import customers, orders, products


@asynccontextmanager
async def lifespan(app: FastAPI):
    models.Base.metadata.create_all(bind=engine)  # expect: SAW101
    yield
    engine.dispose()  # also: SAW101


app = FastAPI(lifespan=lifespan)
app.include_router(customers.router)
app.include_router(products.router)
app.include_router(orders.router)
