from fastapi import FastAPI

from .api import auth, photos

app = FastAPI()
app.include_router(photos.router)
app.include_router(auth.router)
