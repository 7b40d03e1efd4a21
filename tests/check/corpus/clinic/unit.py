"""A unit of work, async, with its repositories."""

from types import TracebackType
from typing import Self

from sqlmodel import Session
from sqlmodel.ext.asyncio.session import AsyncSession

from .db import AsyncSessionLocal, sync_engine
from .repositories.people import DoctorRepository, PatientRepository, VisitRepository


class UnitOfWork:
    session: AsyncSession

    async def __aenter__(self) -> Self:
        self.session = AsyncSessionLocal()  # ok: SAW403
        self.doctors = DoctorRepository(self.session)
        self.patients = PatientRepository(self.session)
        self.visits = VisitRepository(self.session)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind:
            await self.session.rollback()
        await self.session.close()

    async def commit(self) -> None:
        await self.session.commit()


class SyncUnitOfWork:
    def __enter__(self) -> Self:
        self.session = Session(sync_engine)  # ok: SAW403
        return self

    def __exit__(self, *exc: object) -> None:
        self.session.rollback()
        self.session.close()

    def commit(self) -> None:
        self.session.commit()

    def rename_doctor(self, doctor_id: int, name: str) -> None:
        from .models import Doctor

        doctor = self.session.get(Doctor, doctor_id)
        doctor.name = name


class LeakyUnit:
    """Forgets to close."""

    async def __aenter__(self) -> AsyncSession:
        self.session = AsyncSessionLocal()  # expect: SAW403
        return self.session

    async def __aexit__(self, *exc: object) -> None:
        await self.session.rollback()
