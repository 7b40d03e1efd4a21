from typing import Annotated

from fastapi import APIRouter, BackgroundTasks, Depends, HTTPException

from .. import schemas
from ..deps import CurrentCustomer, DbSession
from ..models import Order, OrderLine, Product
from ..services import OrderService, email_receipt, email_receipt_by_id

router = APIRouter(prefix="/orders")


def order_service(db: DbSession) -> OrderService:
    return OrderService(db)


Service = Annotated[OrderService, Depends(order_service)]


@router.post("", response_model=schemas.OrderOut)
async def place(body: schemas.OrderIn, customer: CurrentCustomer, service: Service):
    return service.place(customer.id, body.lines)  # expect: SAW102


@router.post("/sync", response_model=schemas.OrderOut)
def place_sync(body: schemas.OrderIn, customer: CurrentCustomer, service: Service):
    return service.place(customer.id, body.lines)  # ok: SAW102


@router.post("/{order_id}/cancel")
async def cancel(order_id: int, service: Service):
    if not service.can_cancel(order_id):  # expect: SAW102
        raise HTTPException(409)
    service.cancel(order_id)  # expect: SAW102
    return {"label": service.label(order_id)}  # ok: SAW102


@router.post("/{order_id}/receipt")
def receipt(order_id: int, db: DbSession, tasks: BackgroundTasks):
    order = db.get(Order, order_id)
    if order is None:
        raise HTTPException(404)
    tasks.add_task(email_receipt, db, order_id)  # expect: SAW402
    return {"queued": True}


@router.post("/{order_id}/receipt-by-id")
def receipt_by_id(order_id: int, tasks: BackgroundTasks):
    tasks.add_task(email_receipt_by_id, order_id)  # ok: SAW402
    return {"queued": True}


@router.post("/{order_id}/lines")
async def add_line(order_id: int, line: schemas.LineIn, db: DbSession):
    product = db.get(Product, line.product_id)  # expect: SAW101
    if product is None:
        raise HTTPException(404)
    db.add(OrderLine(order_id=order_id, product_id=product.id, quantity=line.quantity))  # ok: SAW101
    db.commit()  # expect: SAW101
    return {"ok": True}


@router.get("/{order_id}/lines")
async def lines(order_id: int, db: DbSession):
    found = []
    for line in db.query(OrderLine).filter_by(order_id=order_id):  # expect: SAW101
        found.append({"product": line.product_id, "quantity": line.quantity})
    return found


@router.get("/stats")
async def stats(db: DbSession):
    return {
        "orders": db.query(Order).count(),  # expect: SAW101
        "lines": db.query(OrderLine).count(),  # expect: SAW101
    }
