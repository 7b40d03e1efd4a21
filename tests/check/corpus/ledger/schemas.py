from decimal import Decimal

from pydantic import BaseModel


class AccountIn(BaseModel):
    owner: str


class AccountOut(BaseModel, from_attributes=True):
    id: int
    owner: str
    balance: Decimal


class Transfer(BaseModel):
    source: int
    target: int
    amount: Decimal
