"""Each way into MissingGreenlet is caught before it happens, on each driver; loads that can run are silent."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, ValidationError
from sqlalchemy import func, make_url, select, update
from sqlalchemy.exc import MissingGreenlet
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession
from sqlalchemy.orm import Session, joinedload, selectinload
from tests.guards.shop import Base, Customer, Findings, Order

from sqlawait.exceptions import LazyLoad
from sqlawait.guards import Guards

unawaited = pytest.mark.filterwarnings("ignore:coroutine 'Connection.cursor' was never awaited:RuntimeWarning")
"""aiosqlite's own, where MissingGreenlet is left to happen."""

Case = Callable[[AsyncSession], Awaitable[Any]]


async def lazy_collection(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    return customer.orders


async def lazy_many_to_one(session: AsyncSession) -> Any:
    order = (await session.scalars(select(Order).where(Order.id == 1))).one()
    return order.customer


async def deferred_column(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    return customer.bio


async def collection_of_a_flushed_object(session: AsyncSession) -> Any:
    customer = Customer(id=100)
    session.add(customer)
    await session.flush()
    return customer.orders


async def append_to_an_unloaded_collection(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    customer.orders.append(Order())


async def replace_an_unloaded_collection(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    customer.orders = []


async def expired_by_commit(session: AsyncSession) -> Any:
    session.sync_session.expire_on_commit = True
    customer = await session.get_one(Customer, 1)
    await session.commit()
    return customer.name


async def expired_by_rollback(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    await session.rollback()
    return customer.name


async def expired_by_a_savepoint(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    savepoint = await session.begin_nested()
    customer.name = "Bob"
    await session.flush()
    await savepoint.rollback()
    return customer.name


async def expired_by_name(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    session.expire(customer, ["name"])
    return customer.name


async def expired_and_printed(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    session.expire(customer)
    return repr(customer)


async def onupdate_column(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    customer.name = "Bob"
    await session.flush()
    return customer.version


async def attribute_set_to_sql(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    customer.visits = Customer.visits + 1
    await session.flush()
    return customer.visits


async def bulk_update_with_an_expression(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    await session.execute(update(Customer).values(visits=func.length(Customer.name)))
    return customer.visits


class OrderOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    id: int


class CustomerOut(BaseModel):
    model_config = ConfigDict(from_attributes=True)
    orders: list[OrderOut]


async def pydantic_from_attributes(session: AsyncSession) -> Any:
    return CustomerOut.model_validate(await session.get_one(Customer, 1))


async def lazy_load_in_a_thread(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    return await asyncio.to_thread(lambda: customer.orders)


async def inner_session_execute(session: AsyncSession) -> Any:
    return session.sync_session.scalars(select(Customer)).all()


async def inner_session_flush(session: AsyncSession) -> Any:
    session.add(Customer(id=101))
    session.sync_session.flush()


async def inner_session_commit(session: AsyncSession) -> Any:
    await session.get_one(Customer, 1)
    session.sync_session.commit()


async def object_from_a_stream(session: AsyncSession) -> Any:
    return [customer.orders async for customer in await session.stream_scalars(select(Customer).limit(1))]


CAUGHT: dict[Case, tuple[str, str]] = {
    lazy_collection: ("Customer.orders was not loaded", ".options(selectinload(Customer.orders))"),
    lazy_many_to_one: ("Order.customer was not loaded", ".options(joinedload(Order.customer))"),
    deferred_column: ("Customer.bio is deferred", ".options(undefer(Customer.bio))"),
    collection_of_a_flushed_object: ("never loaded", 'await session.refresh(obj, ["orders"])'),
    append_to_an_unloaded_collection: ("Customer.orders", ".options(selectinload(Customer.orders))"),
    replace_an_unloaded_collection: ("Customer.orders", ".options(selectinload(Customer.orders))"),
    expired_by_commit: ("Customer.name was expired by the commit at", "expire_on_commit=False"),
    expired_by_rollback: ("Customer.name was expired by the rollback at", "await session.refresh(obj)"),
    expired_by_a_savepoint: ("Customer.name", "await session.refresh(obj"),
    expired_by_name: ("Customer.name is expired", 'await session.refresh(obj, ["name"])'),
    expired_and_printed: ("Customer.name is expired", "await session.refresh(obj)"),
    onupdate_column: ("Customer.version was computed by the database", "eager_defaults"),
    attribute_set_to_sql: ("Customer.visits is expired", 'await session.refresh(obj, ["visits"])'),
    bulk_update_with_an_expression: ("Customer.visits is expired", 'await session.refresh(obj, ["visits"])'),
    pydantic_from_attributes: ("Customer.orders", ".options(selectinload(Customer.orders))"),
    lazy_load_in_a_thread: ("Customer.orders", ".options(selectinload(Customer.orders))"),
    inner_session_execute: ("blocking session inside of an AsyncSession", "run_sync"),
    inner_session_flush: ("blocking session inside of an AsyncSession", "run_sync"),
    inner_session_commit: ("blocking session inside of an AsyncSession", "run_sync"),
    object_from_a_stream: ("Customer.orders", ".options(selectinload(Customer.orders))"),
}
LOADED_BY_A_SELECT = {
    lazy_collection,
    lazy_many_to_one,
    deferred_column,
    pydantic_from_attributes,
    object_from_a_stream,
}


@pytest.mark.parametrize("case", CAUGHT, ids=lambda case: case.__name__)
async def test_caught_with_its_names_and_its_fix(
    any_engine: AsyncEngine, findings: Findings, case: Case
) -> None:
    """The finding comes in place of MissingGreenlet and names the attribute, the lines and the fix."""
    message, fix = CAUGHT[case]
    with Guards(lazy_load="raise", observers=[findings]):
        async with AsyncSession(any_engine, expire_on_commit=False) as session:
            with pytest.raises((LazyLoad, ValidationError)) as caught:
                await case(session)
            assert isinstance(caught.value, MissingGreenlet | ValidationError)
    (finding,) = findings
    assert finding.guard == "lazy-load"
    assert message in finding.message
    assert fix in finding.fix
    assert finding.site is not None
    assert finding.site.file.endswith(("test_lazy_load.py", "shop.py"))
    if case in LOADED_BY_A_SELECT:
        code: Any = case
        first = code.__code__.co_firstlineno
        assert finding.related["loaded"].line in {first + 1, first + 2}


@unawaited
@pytest.mark.parametrize("case", [lazy_collection, expired_by_rollback, inner_session_commit])
async def test_logged_where_it_may_not_raise(engine: AsyncEngine, findings: Findings, case: Case) -> None:
    """A guard that logs leaves SQLAlchemy's own error in place."""
    with Guards(lazy_load="log", observers=[findings]):
        async with AsyncSession(engine, expire_on_commit=False) as session:
            with pytest.raises(Exception, match="greenlet_spawn has not been called") as caught:
                await case(session)
            assert not isinstance(caught.value, LazyLoad)
    assert [finding.guard for finding in findings] == ["lazy-load"]
    del caught
    gc.collect()


async def eager(session: AsyncSession) -> Any:
    customers = (await session.scalars(select(Customer).options(selectinload(Customer.orders)))).all()
    return [customer.orders for customer in customers]


async def joined(session: AsyncSession) -> Any:
    orders = (await session.scalars(select(Order).options(joinedload(Order.customer)))).all()
    return [order.customer for order in orders]


async def refreshed(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    await session.refresh(customer, ["orders", "bio"])
    return customer.orders, customer.bio


async def within_run_sync(session: AsyncSession) -> Any:
    return await session.run_sync(lambda sync: sync.get_one(Customer, 1).orders)


async def parent_in_the_identity_map(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    order = await session.get_one(Order, 1)
    assert order.customer is customer


async def new_object(session: AsyncSession) -> Any:
    customer = Customer(id=102, orders=[Order(id=99)])
    session.add(customer)
    await session.flush()
    return customer.orders, customer.name


async def kept_after_commit(session: AsyncSession) -> Any:
    customer = await session.get_one(Customer, 1)
    await session.commit()
    return customer.name


async def inner_session_without_sql(session: AsyncSession) -> Any:
    session.sync_session.add(Customer(id=103))
    return session.sync_session.new


SILENT = [
    eager,
    joined,
    refreshed,
    within_run_sync,
    parent_in_the_identity_map,
    new_object,
    kept_after_commit,
    inner_session_without_sql,
]


@pytest.mark.parametrize("case", SILENT, ids=lambda case: case.__name__)
async def test_silent_where_the_load_is_asked_for(
    any_engine: AsyncEngine, findings: Findings, case: Case
) -> None:
    """Eager loads, refresh, run_sync and what is there already are no findings."""
    with Guards(lazy_load="raise", observers=[findings]):
        async with AsyncSession(any_engine, expire_on_commit=False) as session:
            await case(session)
    assert findings == []


def test_a_blocking_session_may_load_lazily(sqlite_url: str, findings: Findings) -> None:
    """A sync session on a sync engine has nothing to fear."""
    from sqlalchemy import create_engine

    engine = create_engine(make_url(sqlite_url))
    Base.metadata.create_all(engine)
    with Guards(lazy_load="raise", observers=[findings]), Session(engine) as session:
        session.add(Customer(id=1, orders=[Order(id=1)]))
        session.commit()
        assert len(session.get_one(Customer, 1).orders) == 1
    engine.dispose()
    assert findings == []


@unawaited
async def test_the_watch_ends(engine: AsyncEngine, findings: Findings) -> None:
    """What is removed finds nothing any more, and leaves no listener behind."""
    with Guards(lazy_load="raise", observers=[findings]):
        pass
    async with AsyncSession(engine) as session:
        with pytest.raises(Exception, match="greenlet_spawn"):
            await lazy_collection(session)
    assert findings == []
    gc.collect()
