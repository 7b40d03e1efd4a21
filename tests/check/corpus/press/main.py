from fastapi import FastAPI

from . import background, nested, streams

app = FastAPI()
for module in (background, nested, streams):
    app.include_router(module.router)
