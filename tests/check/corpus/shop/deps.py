from typing import Annotated

from fastapi import Depends, Header, HTTPException
from sqlalchemy.orm import Session

from . import crud
from .database import get_db
from .models import Customer

DbSession = Annotated[Session, Depends(get_db)]


async def get_current_customer(db: DbSession, x_token: str = Header()) -> Customer:
    customer = crud.get_customer_by_email(db, x_token)  # expect: SAW102
    if customer is None:
        raise HTTPException(401)
    return customer


def get_admin(db: DbSession, x_token: str = Header()) -> Customer:
    customer = crud.get_customer_by_email(db, x_token)  # ok: SAW102
    if customer is None or not customer.email.endswith("@shop.example"):
        raise HTTPException(403)
    return customer


CurrentCustomer = Annotated[Customer, Depends(get_current_customer)]
