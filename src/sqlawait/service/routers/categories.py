"""Categories."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter

from sqlawait import Page
from sqlawait.fastapi import ReaderDep, SessionDep
from sqlawait.fastapi.listing import Listing, listing
from sqlawait.service.models import Category
from sqlawait.service.routers.parameters import Id
from sqlawait.service.schemas import CategoryRead, CategoryWithItems, CategoryWrite

router = APIRouter(prefix="/categories", tags=["categories"])

Categories = Annotated[Listing[Category], listing(Category, filters=[Category.name], sorts=[Category.name])]


@router.post("", status_code=201, response_model=CategoryRead)
async def create_category(body: CategoryWrite, session: SessionDep) -> Category:
    """Create a category; a taken name answers 409."""
    return await session.create(Category, **body.model_dump())


@router.get("", response_model=Page[CategoryRead])
async def list_categories(categories: Categories, session: ReaderDep) -> Page[Category]:
    """List categories, a page at a time."""
    return await categories.page(session)


@router.get("/{category_id}", response_model=CategoryWithItems)
async def read_category(category_id: Id, session: ReaderDep) -> Any:
    """Read a category with its items."""
    return await session.json_one(Category, CategoryWithItems, id=category_id)


@router.put("/{category_id}", response_model=CategoryRead)
async def replace_category(category_id: Id, body: CategoryWrite, session: SessionDep) -> Category:
    """Rename a category."""
    return await session.update(await session.get_one(Category, category_id), **body.model_dump())


@router.delete("/{category_id}", status_code=204)
async def delete_category(category_id: Id, session: SessionDep) -> None:
    """Delete a category; one that still has items stays, with 409."""
    await session.delete(await session.get_one(Category, category_id))
