import smtplib
from email.message import EmailMessage

from sqlalchemy.orm import Session

from .database import SessionLocal
from .models import Order, OrderLine


class BaseService:
    def __init__(self, db: Session):
        self.db = db

    def _save(self, row):
        self.db.add(row)
        self.db.commit()
        self.db.refresh(row)
        return row


class OrderService(BaseService):
    def place(self, customer_id: int, lines) -> Order:
        order = Order(customer_id=customer_id)
        order.lines = [OrderLine(product_id=line.product_id, quantity=line.quantity) for line in lines]
        return self._save(order)

    def can_cancel(self, order_id: int) -> bool:
        order = self.db.get(Order, order_id)
        return order is not None and order.status == "new"

    def cancel(self, order_id: int) -> None:
        order = self.db.get(Order, order_id)
        order.status = "cancelled"
        self._save(order)

    def label(self, order_id: int) -> str:
        return f"ORD-{order_id:08}"


def email_receipt(db: Session, order_id: int) -> None:
    order = db.get(Order, order_id)
    message = EmailMessage()
    message["Subject"] = f"Order {order.id}: {order.status}"
    with smtplib.SMTP("localhost") as smtp:
        smtp.send_message(message)


def email_receipt_by_id(order_id: int) -> None:
    with SessionLocal() as db:
        email_receipt(db, order_id)
