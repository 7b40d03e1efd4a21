"""Bodies that are sent bit by bit."""

import csv
import io
import json

from fastapi import APIRouter, Depends
from fastapi.responses import JSONResponse, StreamingResponse
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession
from sse_starlette import EventSourceResponse

from .db import FunctionDep, SessionDep, SessionMaker, SyncSessionDep, get_session
from .models import Article, Desk

router = APIRouter(prefix="/streams")


async def article_lines(session: AsyncSession):
    result = await session.stream_scalars(select(Article))  # also: SAW409
    async for article in result:
        yield json.dumps({"id": article.id, "title": article.title}) + "\n"


async def own_article_lines():
    async with SessionMaker() as session:
        async for line in article_lines(session):  # ok: SAW409
            yield line


@router.get("/inner")
async def inner(session: SessionDep):
    async def body():
        result = await session.stream(select(Article.id, Article.title))  # expect: SAW409[inner]
        async for row in result:
            yield f"{row.id};{row.title}\n"

    return StreamingResponse(body(), media_type="text/csv")  # expect: SAW409[inner]


@router.get("/outer")
async def outer(session: SessionDep):
    return StreamingResponse(article_lines(session), media_type="application/x-ndjson")  # expect: SAW409


@router.get("/function-scope")
async def function_scope(session: FunctionDep):
    return StreamingResponse(article_lines(session), media_type="application/x-ndjson")  # expect: SAW409


@router.get("/own")
async def own():
    return StreamingResponse(own_article_lines(), media_type="application/x-ndjson")  # ok: SAW409


@router.get("/read-first")
async def read_first(session: SessionDep):
    titles = (await session.scalars(select(Article.title))).all()

    async def body():
        for title in titles:  # ok: SAW409
            yield title + "\n"

    return StreamingResponse(body())  # ok: SAW409


@router.get("/buffer")
async def buffer(session: SessionDep):
    file = io.StringIO()
    writer = csv.writer(file)
    for row in await session.execute(select(Article.id, Article.title)):
        writer.writerow(row)
    file.seek(0)
    return StreamingResponse(file, media_type="text/csv")  # ok: SAW409


@router.get("/desk/{desk_id}")
async def desk(desk_id: int, session: AsyncSession = Depends(get_session)):
    async def rows():
        for article in await session.scalars(select(Article).where(Article.desk_id == desk_id)):  # expect: SAW409[desk]
            yield article.title

    response = StreamingResponse(rows())  # expect: SAW409[desk]
    response.headers["X-Desk"] = str(desk_id)
    return response


@router.get("/events")
async def events(session: SessionDep):
    return EventSourceResponse(article_lines(session))  # expect: SAW409


class Exporter:
    def __init__(self, session: AsyncSession) -> None:
        self.session = session

    async def lines(self):
        result = await self.session.stream_scalars(select(Article))  # also: SAW409
        async for article in result:
            yield article.title

    async def all(self) -> list[str]:
        return list(await self.session.scalars(select(Article.title)))


class OwnExporter:
    async def lines(self):
        async with SessionMaker() as session:
            async for article in await session.stream_scalars(select(Article)):
                yield article.title


def get_exporter(session: SessionDep) -> Exporter:
    return Exporter(session)


@router.get("/exporter")
async def by_exporter(exporter: Exporter = Depends(get_exporter)):
    return StreamingResponse(exporter.lines())  # expect: SAW409


@router.get("/exporter-all")
async def by_exporter_all(exporter: Exporter = Depends(get_exporter)):
    return JSONResponse(await exporter.all())  # ok: SAW409


@router.get("/own-exporter")
async def by_own_exporter(exporter: OwnExporter = Depends()):
    return StreamingResponse(exporter.lines())  # ok: SAW409


def sync_lines(db):
    for title in db.scalars(select(Article.title)):  # also: SAW409
        yield title + "\n"


@router.get("/sync")
def sync_stream(db: SyncSessionDep):
    return StreamingResponse(sync_lines(db))  # expect: SAW409


@router.get("/lambda/{desk_id}")
async def comprehension(desk_id: int, session: SessionDep):
    await session.get(Desk, desk_id)
    return StreamingResponse((chunk async for chunk in article_lines(session)))  # expect: SAW409
