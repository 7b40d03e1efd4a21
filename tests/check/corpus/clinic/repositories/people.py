from typing import Optional

from sqlalchemy.orm import selectinload
from sqlmodel import Session, select

from ..models import Doctor, Patient, Visit
from .base import AsyncRepository, CRUDBase


class CRUDDoctor(CRUDBase[Doctor]):
    def by_ward(self, db: Session, ward: str):
        return db.exec(select(Doctor).where(Doctor.ward == ward)).all()

    def greeting(self, doctor: Doctor) -> str:
        return f"Dr {doctor.name}"


doctor_crud = CRUDDoctor(Doctor)
patient_crud = CRUDBase[Patient](Patient)


class DoctorRepository(AsyncRepository[Doctor]):
    model = Doctor

    async def by_name(self, name: str) -> Optional[Doctor]:
        return (await self.session.exec(select(Doctor).where(Doctor.name == name))).first()

    async def with_visits(self, id: int) -> Optional[Doctor]:
        statement = select(Doctor).where(Doctor.id == id).options(selectinload(Doctor.visits))
        return (await self.session.exec(statement)).one_or_none()


class VisitRepository(AsyncRepository[Visit]):
    model = Visit

    async def with_doctor(self, id: int) -> Optional[Visit]:
        return await self.session.get(Visit, id, options=[selectinload(Visit.doctor)])

    async def of_patient(self, patient_id: int):
        return (await self.session.exec(select(Visit).where(Visit.patient_id == patient_id))).all()


class PatientRepository(AsyncRepository[Patient]):
    model = Patient
