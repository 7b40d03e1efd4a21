"""Items."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter

from sqlawait import Page
from sqlawait.fastapi import ReaderDep, SessionDep
from sqlawait.fastapi.listing import Listing, listing
from sqlawait.service.models import Item
from sqlawait.service.routers.parameters import Id
from sqlawait.service.schemas import ItemRead, ItemWrite

router = APIRouter(prefix="/items", tags=["items"])

Items = Annotated[
    Listing[Item],
    listing(
        Item,
        filters=[Item.category_id, (Item.name, "contains"), (Item.price, "ge", "le")],
        sorts=[Item.name, Item.price, Item.created_at],
    ),
]


@router.post("", status_code=201, response_model=ItemRead)
async def create_item(body: ItemWrite, session: SessionDep) -> Item:
    """Create an item; a category that does not exist answers 409."""
    return await session.create(Item, **body.model_dump())


@router.get("", response_model=Page[ItemRead])
async def list_items(items: Items, session: ReaderDep) -> Page[Item]:
    """List items, a page at a time."""
    return await items.page(session)


@router.get("/{item_id}", response_model=ItemRead)
async def read_item(item_id: Id, session: ReaderDep) -> Any:
    """Read an item."""
    return await session.json_one(Item, ItemRead, id=item_id)


@router.put("/{item_id}", response_model=ItemRead)
async def replace_item(item_id: Id, body: ItemWrite, session: SessionDep) -> Item:
    """Replace an item; what the body leaves out gets its default."""
    return await session.update(await session.get_one(Item, item_id), **body.model_dump())


@router.delete("/{item_id}", status_code=204)
async def delete_item(item_id: Id, session: SessionDep) -> None:
    """Delete an item."""
    await session.delete(await session.get_one(Item, item_id))
