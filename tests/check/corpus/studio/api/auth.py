import asyncio
import hashlib

import bcrypt
import pandas as pd
from fastapi import APIRouter
from PIL import Image

from ..core import security
from ..core.security import Authenticator, derive

router = APIRouter(prefix="/auth")
authenticator = Authenticator()


@router.post("/login")
async def login(password: str, hashed: str):
    if not bcrypt.checkpw(password.encode(), hashed.encode()):  # expect: SAW105
        return {"ok": False}
    return {"ok": True, "again": security.hash_bcrypt(password).decode()}  # expect: SAW105


@router.post("/login-argon")
async def login_argon(password: str, hashed: str):
    return security.check_argon(password, hashed)  # expect: SAW105


@router.post("/login-class")
async def login_class(password: str, hashed: str):
    return authenticator.authenticate(password, hashed.encode())  # expect: SAW105


@router.post("/login-threaded")
async def login_threaded(password: str, hashed: str):
    return await asyncio.to_thread(authenticator.authenticate, password, hashed.encode())  # ok: SAW105


@router.post("/login-sync")
def login_sync(password: str, hashed: str):
    return bcrypt.checkpw(password.encode(), hashed.encode())  # ok: SAW105


@router.post("/derive")
async def derived(password: str):
    key = derive(password, b"salt")  # expect: SAW105
    other = hashlib.scrypt(password.encode(), salt=b"salt", n=2**14, r=8, p=1)  # expect: SAW105
    return {"same": security.same(key, other), "short": hashlib.md5(key).hexdigest()}  # ok: SAW105


@router.get("/frame")
async def frame(path: str):
    rows = pd.read_csv(path)  # expect: SAW105
    return {"rows": len(rows)}


@router.get("/image")
async def image(path: str):
    picture = Image.open(path).rotate(90)  # expect: SAW105
    return {"size": picture.size}
