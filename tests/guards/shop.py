"""Tables of the guards' tests: each of their columns and relationships has its own way to be missing."""

from __future__ import annotations

from typing import Any

from sqlalchemy import ForeignKey, String, func
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship

from sqlawait.events import Finding


class Base(DeclarativeBase):
    pass


class Customer(Base):
    __tablename__ = "customers"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50), default="Ada")
    bio: Mapped[str] = mapped_column(String(50), default="long", deferred=True)
    visits: Mapped[int] = mapped_column(default=0)
    version: Mapped[int] = mapped_column(default=0, onupdate=func.length("12345"))
    orders: Mapped[list[Order]] = relationship(back_populates="customer")

    def __repr__(self) -> str:
        return f"<Customer {self.name}>"


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    customer_id: Mapped[int] = mapped_column(ForeignKey("customers.id"))
    note: Mapped[str] = mapped_column(String(50), default="")
    customer: Mapped[Customer] = relationship(back_populates="orders")


class Findings(list[Finding]):
    """An observer that keeps the findings."""

    def __call__(self, event: Any) -> None:
        if isinstance(event, Finding):
            self.append(event)

    def of(self, guard: str) -> list[Finding]:
        """Those of one guard."""
        return [finding for finding in self if finding.guard == guard]
