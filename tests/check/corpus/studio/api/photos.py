import asyncio
import subprocess
import time
from concurrent.futures import ProcessPoolExecutor
from functools import partial
from time import sleep

import anyio
import httpx
import requests
from anyio import to_thread
from fastapi import APIRouter, Depends, HTTPException, Request, UploadFile
from fastapi.concurrency import run_in_threadpool
from fastapi.responses import StreamingResponse
from sqlalchemy.orm import Session

from ..core import images, remote, repository
from ..core.db import SessionLocal, get_db
from ..core.models import Album, Photo
from ..core.repository import AlbumService, PhotoRepository, album_titles, count_photos, get_album

router = APIRouter(prefix="/photos")
processes = ProcessPoolExecutor(2)


def get_repository(db: Session = Depends(get_db)) -> PhotoRepository:
    return PhotoRepository(db)


def get_service(photos: PhotoRepository = Depends(get_repository)) -> AlbumService:
    return AlbumService(photos)


# sessions behind decorators, methods, properties and lambdas
@router.get("/albums")
async def albums():
    return album_titles()  # expect: SAW102


@router.get("/albums/{album_id}/count")
async def count(album_id: int):
    return count_photos(album_id)  # expect: SAW102


@router.get("/albums/{album_id}/count-threaded")
async def count_threaded(album_id: int):
    return await to_thread.run_sync(count_photos, album_id)  # ok: SAW102


@router.get("/albums/{album_id}")
async def album(album_id: int, db: Session = Depends(get_db)):
    found = get_album(db, album_id)  # expect: SAW102
    return {"title": found.title}


@router.get("/albums/{album_id}/exists")
async def exists(album_id: int):
    if not repository.album_exists(album_id):  # expect: SAW102
        raise HTTPException(404)
    return {}


@router.get("/albums/{album_id}/exists-lambda")
async def exists_lambda(album_id: int):
    return await asyncio.to_thread(lambda: repository.album_exists(album_id))  # ok: SAW102


@router.get("/albums/{album_id}/exists-partial")
async def exists_partial(album_id: int):
    loop = asyncio.get_running_loop()
    return await loop.run_in_executor(None, partial(repository.album_exists, album_id))  # ok: SAW102


@router.get("/albums/{album_id}/exists-called")
async def exists_called(album_id: int):
    return await asyncio.to_thread(print, repository.album_exists(album_id))  # expect: SAW102


@router.get("/albums/{album_id}/exists-nested")
async def exists_nested(album_id: int):
    def look() -> bool:
        return repository.album_exists(album_id)  # ok: SAW102

    return look()  # expect: SAW102


@router.get("/albums/{album_id}/exists-partial-called")
async def exists_partial_called(album_id: int):
    look = partial(repository.album_exists, album_id)  # ok: SAW102
    return look()  # expect: SAW102


@router.get("/many-exist")
async def many_exist(ids: list[int]):
    return list(map(repository.album_exists, ids))  # expect: SAW102


@router.get("/{photo_id}")
async def read(photo_id: int, photos: PhotoRepository = Depends(get_repository)):
    photo = photos.get(photo_id)  # expect: SAW102
    if photo is None:
        raise HTTPException(404)
    return repository.describe(photo)  # ok: SAW102


@router.put("/{photo_id}")
async def rename(photo_id: int, name: str, photos: PhotoRepository = Depends(get_repository)):
    photos.rename(photo_id, name)  # expect: SAW102
    return {"key": photos.key(photo_id)}  # ok: SAW102


@router.get("/total")
async def total(photos: PhotoRepository = Depends(get_repository)):
    return {"total": photos.total}  # expect: SAW102


@router.get("/{photo_id}/cover")
async def cover(photo_id: int, service: AlbumService = Depends(get_service)):
    return service.cover(photo_id)  # expect: SAW102


@router.get("/{photo_id}/cover-key")
async def cover_key(photo_id: int, service: AlbumService = Depends(get_service)):
    return service.cover_key(photo_id)  # ok: SAW102


@router.post("/")
async def create(name: str, db: Session = Depends(get_db)):
    photos = PhotoRepository(db)
    photos.add(Photo(name=name))  # ok: SAW102, SAW101
    save = db.commit
    save()  # expect: SAW101
    return {}


@router.post("/nested")
async def create_nested(name: str, db: Session = Depends(get_db)):
    async def store() -> None:
        db.add(Photo(name=name))
        db.commit()  # expect: SAW101

    await store()  # ok: SAW101, SAW102
    return {}


@router.post("/begin")
async def create_begin(name: str):
    with SessionLocal.begin() as session:  # also: SAW101
        session.add(Photo(name=name))
        session.flush()  # expect: SAW101
    return {}


@router.get("/merge/{photo_id}")
async def merge(photo_id: int, db: Session = Depends(get_db)):
    photo = db.merge(Photo(id=photo_id, name="x"))  # expect: SAW101
    pairs = [(album.id, album.title) for album in db.query(Album).all()]  # expect: SAW101
    return {"id": photo.id, "pairs": pairs}


# blocking calls
@router.get("/wait")
async def wait():
    remote.wait(1)  # expect: SAW103
    remote.poll("https://a.example")  # expect: SAW103
    return {}


@router.get("/download")
async def download(url: str):
    return {"size": len(remote.download(url))}  # expect: SAW103


@router.get("/json")
async def json(path: str):
    first = remote.fetch_json(path)  # expect: SAW103
    second = remote.fetch_with_client(path)  # expect: SAW103
    return {**first, **second, "url": remote.build_url(path)}  # ok: SAW103


@router.get("/convert")
async def convert(path: str):
    remote.convert(path)  # expect: SAW103
    remote.run_shell(f"rm {path}")  # expect: SAW103
    return {}


@router.get("/convert-threaded")
async def convert_threaded(path: str):
    await asyncio.to_thread(remote.convert, path)  # ok: SAW103
    await run_in_threadpool(lambda: remote.run_shell(f"rm {path}"))  # ok: SAW103
    return {}


@router.get("/convert-sync")
def convert_sync(path: str):
    return remote.convert(path)  # ok: SAW103


@router.get("/resolve")
async def resolve(host: str):
    return remote.resolve(host)  # expect: SAW103


@router.get("/cached")
async def cached(key: str):
    return remote.cached(key)  # expect: SAW103


@router.post("/upload")
async def upload(path: str, key: str):
    remote.upload(path, key)  # expect: SAW103
    return {}


@router.get("/client")
async def client(path: str):
    return remote.CachingClient().get(path)  # expect: SAW103


@router.get("/client-fake")
async def client_fake(path: str):
    return remote.FakeClient().get(path)  # ok: SAW103


@router.get("/later")
async def later():
    sleeper = remote.later(3)  # ok: SAW103
    await to_thread.run_sync(sleeper)  # ok: SAW103
    return {}


@router.get("/presigned")
async def presigned(key: str):
    return remote.presigned(key)  # ok: SAW103


@router.get("/tail")
async def tail(path: str):
    return StreamingResponse(remote.tail(path))  # ok: SAW103


@router.get("/tail-here")
async def tail_here(path: str):
    for line in remote.tail(path):  # expect: SAW103
        return line


@router.get("/tunnel")
async def tunnel():
    async with remote.Tunnel():  # ok: SAW103
        return {}


@router.get("/tunnel-sync")
async def tunnel_sync():
    with remote.Tunnel():  # expect: SAW103
        return {}


@router.get("/store")
async def store(key: str, request: Request):
    store: remote.Store = request.app.state.store
    if isinstance(store, remote.AsyncStore):
        return await store.read(key)  # ok: SAW103
    return store.read(key)  # expect: SAW103


@router.get("/render")
async def render(path: str):
    return await remote.render(path)  # ok: SAW103


@router.get("/direct")
async def direct(url: str):
    sleep(0.1)  # expect: SAW104
    time.sleep(0.1)  # expect: SAW104
    response = requests.post(url, json={})  # expect: SAW104
    other = httpx.get(url)  # expect: SAW104
    subprocess.run(["true"], check=True)  # expect: SAW104
    return [response.status_code, other.status_code]


@router.get("/direct-client")
async def direct_client(url: str):
    with requests.Session() as session:
        first = session.get(url)  # expect: SAW104
    with httpx.Client() as client:
        second = client.get(url)  # expect: SAW104
    return [first.status_code, second.status_code]


@router.get("/direct-async")
async def direct_async(url: str):
    await asyncio.sleep(0.1)  # ok: SAW104
    await anyio.sleep(0.1)  # ok: SAW104
    async with httpx.AsyncClient() as client:
        response = await client.get(url)  # ok: SAW104, SAW406
    process = await asyncio.create_subprocess_exec("true")  # ok: SAW104
    await process.wait()
    await asyncio.to_thread(time.sleep, 0.1)  # ok: SAW104
    return response.status_code


# the processor
@router.post("/{photo_id}/thumbnail")
async def thumbnail(photo_id: int, file: UploadFile):
    data = await file.read()
    small = images.thumbnail(data)  # expect: SAW105
    return {"size": len(small), "label": images.size_label(128, 128)}  # ok: SAW105


@router.post("/{photo_id}/thumbnail-process")
async def thumbnail_process(photo_id: int, file: UploadFile):
    loop = asyncio.get_running_loop()
    small = await loop.run_in_executor(processes, images.thumbnail, await file.read())  # ok: SAW105
    return {"size": len(small)}


@router.post("/summary")
async def summary(file: UploadFile):
    return images.summarise(await file.read())  # expect: SAW105


@router.post("/summary-threaded")
async def summary_threaded(file: UploadFile):
    raw = await file.read()
    return await run_in_threadpool(images.summarise, raw)  # ok: SAW105
