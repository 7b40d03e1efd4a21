from fastapi import FastAPI

from . import cities, schema

app = FastAPI()
app.include_router(cities.router)
app.add_event_handler("startup", schema.create)
