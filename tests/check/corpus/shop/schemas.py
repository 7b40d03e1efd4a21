from decimal import Decimal
from typing import Optional

from pydantic import BaseModel, ConfigDict, EmailStr


class CustomerCreate(BaseModel):
    email: EmailStr
    password: str


class CustomerOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    email: EmailStr
    is_active: bool


class ProductIn(BaseModel):
    sku: str
    title: str
    price: Decimal
    stock: int = 0


class ProductPatch(BaseModel):
    title: Optional[str] = None
    price: Optional[Decimal] = None


class ProductOut(ProductIn):
    model_config = ConfigDict(from_attributes=True)

    id: int


class LineIn(BaseModel):
    product_id: int
    quantity: int


class OrderIn(BaseModel):
    lines: list[LineIn]


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)

    id: int
    status: str
