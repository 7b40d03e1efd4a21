"""Calls of libraries that wait for the network, in functions that become async."""

from __future__ import annotations

from collections.abc import Callable

SOURCE = """
import emails
from notifications_python_client.notifications import NotificationsAPIClient
from sqlalchemy.orm import Session


class Notify(NotificationsAPIClient):
    def send_bulk(self, rows):
        return self.post("/bulk", data=rows)


def send_email(to: str):
    return emails.Message(subject="hello").send(to=to)


def tell(db: Session, client: Notify, to: str):
    db.commit()
    send_email(to)
    client.send_email_notification(to)
    client.send_bulk([to])
"""
AFTER = """
async def tell(db: AsyncSession, client: Notify, to: str):
    await db.commit()
    await asyncio.to_thread(send_email, to)
    await asyncio.to_thread(client.send_email_notification, to)
    await asyncio.to_thread(client.send_bulk, [to])
"""


def test_mail(check_transformed: Callable[..., None]) -> None:
    """Mails and notifications are sent in a thread, their helpers stay as they are."""
    head = SOURCE.partition("\n\ndef tell")[0]
    head = head.replace("import emails", "import asyncio\n\nimport emails")
    head = head.replace("from sqlalchemy.orm import Session", "from sqlalchemy.ext.asyncio import AsyncSession")
    check_transformed(SOURCE, head + "\n" + AFTER)
