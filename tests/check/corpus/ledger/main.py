from fastapi import FastAPI

from . import accounts, transfers

app = FastAPI()
app.include_router(accounts.router)
app.include_router(transfers.router)
