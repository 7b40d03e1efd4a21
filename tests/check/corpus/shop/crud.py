"""Helpers that block, and helpers that do not."""

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from . import models, schemas
from .security import get_password_hash


def get_customer(db: Session, customer_id: int):
    return db.query(models.Customer).filter(models.Customer.id == customer_id).first()


def get_customer_by_email(db: Session, email: str):
    return db.query(models.Customer).filter(models.Customer.email == email).first()


def create_customer(db: Session, customer: schemas.CustomerCreate):
    row = models.Customer(email=customer.email, hashed_password=get_password_hash(customer.password))
    db.add(row)
    db.commit()
    db.refresh(row)
    return row


def get_products(db: Session, skip: int = 0, limit: int = 100):
    return db.query(models.Product).offset(skip).limit(limit).all()


def product_statement(search: str | None):
    statement = select(models.Product).order_by(models.Product.title)
    if search:
        statement = statement.where(models.Product.title.ilike(f"%{search}%"))
    return statement


def count_products(db) -> int:
    return db.execute(select(func.count()).select_from(models.Product)).scalar_one()


def low_stock(db: Session, threshold: int):
    """Builds, does not run."""
    return db.query(models.Product).filter(models.Product.stock < threshold)


def apply_patch(product: models.Product, patch: schemas.ProductPatch) -> models.Product:
    for key, value in patch.model_dump(exclude_unset=True).items():
        setattr(product, key, value)
    return product
