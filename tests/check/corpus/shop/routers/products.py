import asyncio
import time

import requests
from fastapi import APIRouter, HTTPException
from sqlalchemy import select, text, update
from starlette.concurrency import run_in_threadpool

from .. import crud, schemas
from ..database import SessionLocal, engine
from ..deps import DbSession
from ..models import Product
from ..suppliers import SupplierClient, refresh_price

router = APIRouter(prefix="/products")


@router.get("", response_model=list[schemas.ProductOut])
async def list_products(db: DbSession, skip: int = 0, limit: int = 20):
    return crud.get_products(db, skip, limit)  # expect: SAW102


@router.get("/search", response_model=list[schemas.ProductOut])
async def search_products(db: DbSession, q: str | None = None):
    statement = crud.product_statement(q)  # ok: SAW102
    return db.scalars(statement).all()  # expect: SAW101


@router.get("/count")
async def count(db: DbSession):
    return {"count": crud.count_products(db)}  # expect: SAW102


@router.get("/low")
async def low(db: DbSession, threshold: int = 3):
    query = crud.low_stock(db, threshold)  # ok: SAW102
    return [product.sku for product in query.all()]  # expect: SAW101


@router.post("", response_model=schemas.ProductOut)
async def create_product(body: schemas.ProductIn, db: DbSession):
    product = Product(**body.model_dump())
    db.add(product)
    db.flush()  # expect: SAW101
    db.commit()  # expect: SAW101
    db.refresh(product)  # expect: SAW101
    return product


@router.patch("/{product_id}", response_model=schemas.ProductOut)
async def patch_product(product_id: int, body: schemas.ProductPatch, db: DbSession):
    product = db.get(Product, product_id)  # expect: SAW101
    if product is None:
        raise HTTPException(404)
    crud.apply_patch(product, body)  # ok: SAW102
    db.commit()  # expect: SAW101
    db.refresh(product)  # expect: SAW101
    return product


@router.post("/{product_id}/restock")
async def restock(product_id: int, amount: int):
    with SessionLocal() as db:  # ok: SAW101
        db.execute(update(Product).where(Product.id == product_id).values(stock=Product.stock + amount))  # expect: SAW101
        db.commit()  # expect: SAW101
    return {"ok": True}


@router.post("/{product_id}/restock-threaded")
async def restock_threaded(product_id: int, amount: int):
    def work() -> int:
        with SessionLocal() as db:
            db.execute(update(Product).where(Product.id == product_id).values(stock=Product.stock + amount))  # ok: SAW101
            db.commit()  # ok: SAW101
            return db.scalar(select(Product.stock).where(Product.id == product_id))

    return {"stock": await asyncio.to_thread(work)}  # ok: SAW102


@router.get("/health")
async def health():
    with engine.connect() as connection:  # expect: SAW101
        connection.execute(text("SELECT 1"))  # expect: SAW101
    return {"ok": True}


@router.get("/health-threaded")
async def health_threaded():
    def ping():
        with engine.connect() as connection:  # ok: SAW101
            connection.execute(text("SELECT 1"))

    await run_in_threadpool(ping)
    return {"ok": True}


@router.post("/{product_id}/price")
async def reprice(product_id: int, db: DbSession):
    product = await run_in_threadpool(db.get, Product, product_id)  # ok: SAW101
    if product is None:
        raise HTTPException(404)
    product.price = refresh_price(product.sku)  # expect: SAW103
    await run_in_threadpool(db.commit)  # ok: SAW101
    return {"price": product.price}


@router.get("/{sku}/supplier")
async def supplier(sku: str):
    client = SupplierClient("https://supplier.example")  # ok: SAW103
    return client.lookup(sku)  # expect: SAW103


@router.get("/{sku}/supplier-threaded")
async def supplier_threaded(sku: str):
    client = SupplierClient("https://supplier.example")
    return await asyncio.to_thread(client.lookup, sku)  # ok: SAW103


@router.get("/rates")
async def rates():
    response = requests.get("https://rates.example/latest", timeout=5)  # expect: SAW104
    return response.json()


@router.post("/slow")
async def slow(seconds: float):
    time.sleep(seconds)  # expect: SAW104
    await asyncio.sleep(seconds)  # ok: SAW104
    return {"slept": 2 * seconds}


@router.get("/rates-sync")
def rates_sync():
    return requests.get("https://rates.example/latest", timeout=5).json()  # ok: SAW104
