"""Documents, found by what they are about."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request

from sqlawait.fastapi import ReaderDep, SessionDep
from sqlawait.service.models import Document
from sqlawait.service.routers.parameters import Id
from sqlawait.service.schemas import DocumentCreate, DocumentFound, DocumentRead, DocumentSearch
from sqlawait.vectors import nearest

router = APIRouter(prefix="/documents", tags=["documents"])


@router.post("", status_code=201, response_model=DocumentRead)
async def create_document(body: DocumentCreate, session: SessionDep, request: Request) -> Document:
    """Store a text with its vector."""
    vector = body.embedding or await embed(request, body.text)
    return await session.create(Document, title=body.title, text=body.text, embedding=vector)


@router.get("/{document_id}", response_model=DocumentRead)
async def read_document(document_id: Id, session: ReaderDep) -> Document:
    """Read a document."""
    return await session.get_one(Document, document_id)


@router.delete("/{document_id}", status_code=204)
async def delete_document(document_id: Id, session: SessionDep) -> None:
    """Delete a document."""
    await session.delete(await session.get_one(Document, document_id))


@router.post("/search", response_model=list[DocumentFound])
async def search_documents(body: DocumentSearch, session: ReaderDep, request: Request) -> Any:
    """Find the documents nearest to a text or a vector."""
    vector = body.embedding or await embed(request, body.text or "")
    return (await session.execute(nearest(Document.embedding, vector, body.k))).all()


async def embed(request: Request, text: str) -> list[float]:
    """Turn a text into a vector, in a thread: a model takes its time."""
    embedder = request.app.state.embedder
    if embedder is None:
        raise HTTPException(422, "this service has no embedder; send the vector as 'embedding'")
    return await run_sync(embedder, text)
