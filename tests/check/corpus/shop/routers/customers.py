from fastapi import APIRouter, Depends, HTTPException, status
from fastapi.concurrency import run_in_threadpool
from sqlalchemy.orm import Session

from shop import crud, schemas
from shop.database import get_db
from shop.deps import CurrentCustomer, DbSession
from shop.models import Customer, Order
from shop.security import fingerprint, get_password_hash, new_token, verify_password

router = APIRouter(prefix="/customers", tags=["customers"])


@router.post("/", response_model=schemas.CustomerOut, status_code=status.HTTP_201_CREATED)
async def register(customer: schemas.CustomerCreate, db: Session = Depends(get_db)):
    if crud.get_customer_by_email(db, customer.email):  # expect: SAW102
        raise HTTPException(400, "Email already registered")
    return crud.create_customer(db, customer)  # expect: SAW102, SAW105


@router.get("/{customer_id}", response_model=schemas.CustomerOut)
async def read_customer(customer_id: int, db: Session = Depends(get_db)):
    customer = db.query(Customer).filter(Customer.id == customer_id).first()  # expect: SAW101
    if not customer:
        raise HTTPException(404)
    return customer


@router.get("/sync/{customer_id}", response_model=schemas.CustomerOut)
def read_customer_sync(customer_id: int, db: Session = Depends(get_db)):
    customer = db.query(Customer).filter(Customer.id == customer_id).first()  # ok: SAW101
    if not customer:
        raise HTTPException(404)
    return customer


@router.get("/pool/{customer_id}", response_model=schemas.CustomerOut)
async def read_customer_in_pool(customer_id: int, db: Session = Depends(get_db)):
    customer = await run_in_threadpool(crud.get_customer, db, customer_id)  # ok: SAW102
    if not customer:
        raise HTTPException(404)
    return customer


@router.put("/me", response_model=schemas.CustomerOut)
async def change_email(email: str, customer: CurrentCustomer, db: DbSession):
    customer.email = email
    db.add(customer)  # ok: SAW101
    db.commit()  # expect: SAW101
    db.refresh(customer)  # expect: SAW101
    return customer


@router.post("/login")
async def login(email: str, password: str, db: DbSession):
    customer = (
        db.query(Customer)  # expect: SAW101
        .filter(Customer.email == email)
        .filter(Customer.is_active.is_(True))
        .one_or_none()
    )
    if customer is None or not verify_password(password, customer.hashed_password):  # expect: SAW105
        raise HTTPException(401)
    return {"token": new_token(), "fp": fingerprint(customer.email)}  # ok: SAW105


@router.post("/login-threaded")
async def login_threaded(email: str, password: str, db: DbSession):
    customer = await run_in_threadpool(crud.get_customer_by_email, db, email)
    if customer is None:
        raise HTTPException(401)
    ok = await run_in_threadpool(verify_password, password, customer.hashed_password)  # ok: SAW105
    return {"ok": ok}


@router.post("/password")
def change_password(password: str, customer: CurrentCustomer, db: DbSession):
    customer.hashed_password = get_password_hash(password)  # ok: SAW105
    db.commit()  # ok: SAW101
    return {"ok": True}


@router.delete("/{customer_id}", status_code=204)
async def delete_customer(customer_id: int, db: DbSession):
    deleted = db.query(Customer).filter(Customer.id == customer_id).delete()  # expect: SAW101
    if not deleted:
        db.rollback()  # expect: SAW101
        raise HTTPException(404)
    db.commit()  # expect: SAW101


@router.get("/{customer_id}/orders")
async def orders_of(customer_id: int, db: DbSession, newest: bool = True):
    query = db.query(Order).filter(Order.customer_id == customer_id)  # ok: SAW101
    if newest:
        query = query.order_by(Order.id.desc())
    return [order.id for order in query.limit(50)]  # expect: SAW101
