from fastapi import APIRouter, Depends, HTTPException
from sqlmodel import Session, func, select

from ..db import AsyncSessionDep, ExpiringDep, SessionDep, get_session
from ..models import Doctor, DoctorCreate, DoctorPublic, DoctorWithVisits, Patient, PatientWithVisits, Visit, VisitWithDoctor
from ..repositories.people import DoctorRepository, PatientRepository, VisitRepository, doctor_crud, patient_crud
from ..unit import LeakyUnit, SyncUnitOfWork, UnitOfWork

router = APIRouter(prefix="/doctors")


@router.get("/", response_model=list[DoctorPublic])
async def read_doctors(session: SessionDep, skip: int = 0, limit: int = 100):
    total = session.exec(select(func.count()).select_from(Doctor)).one()  # expect: SAW101
    if not total:
        return []
    return session.exec(select(Doctor).offset(skip).limit(limit)).all()  # expect: SAW101


@router.get("/sync", response_model=list[DoctorPublic])
def read_doctors_sync(session: SessionDep, skip: int = 0, limit: int = 100):
    return session.exec(select(Doctor).offset(skip).limit(limit)).all()  # ok: SAW101


@router.post("/", response_model=DoctorPublic)
async def create_doctor(*, session: Session = Depends(get_session), doctor: DoctorCreate):
    db_doctor = Doctor.model_validate(doctor)  # ok: SAW302
    session.add(db_doctor)  # ok: SAW101
    session.commit()  # expect: SAW101
    session.refresh(db_doctor)  # expect: SAW101
    return db_doctor


@router.get("/crud/{doctor_id}", response_model=DoctorPublic)
async def read_by_crud(doctor_id: int, session: SessionDep):
    doctor = doctor_crud.get(session, doctor_id)  # expect: SAW102
    if doctor is None:
        raise HTTPException(404)
    return doctor


@router.get("/crud", response_model=list[DoctorPublic])
async def list_by_crud(session: SessionDep, ward: str | None = None):
    if ward:
        return doctor_crud.by_ward(session, ward)  # expect: SAW102
    return doctor_crud.get_multi(session, limit=20)  # expect: SAW102


@router.post("/crud", response_model=DoctorPublic)
async def create_by_crud(body: DoctorCreate, session: SessionDep):
    draft = doctor_crud.build(body)  # ok: SAW102
    if not draft.name:
        raise HTTPException(422)
    return doctor_crud.create(session, obj_in=body)  # expect: SAW102


@router.get("/crud-sync/{patient_id}")
def read_patient(patient_id: int, session: SessionDep) -> Patient:
    patient = patient_crud.get(session, patient_id)  # ok: SAW102
    if patient is None:
        raise HTTPException(404)
    return patient


@router.put("/unit/{doctor_id}")
async def rename_in_unit(doctor_id: int, name: str) -> dict[str, bool]:
    with SyncUnitOfWork() as unit:  # also: SAW102, SAW101
        unit.rename_doctor(doctor_id, name)  # expect: SAW102
        unit.commit()  # expect: SAW102
    return {"ok": True}


@router.put("/unit-sync/{doctor_id}")
def rename_in_unit_sync(doctor_id: int, name: str) -> dict[str, bool]:
    with SyncUnitOfWork() as unit:
        unit.rename_doctor(doctor_id, name)  # ok: SAW102
        unit.commit()  # ok: SAW102
    return {"ok": True}


@router.get("/{doctor_id}/visits", response_model=DoctorWithVisits)
async def doctor_with_visits(doctor_id: int, session: AsyncSessionDep):
    doctor = await session.get(Doctor, doctor_id)
    if not doctor:
        raise HTTPException(404)
    return doctor  # expect: SAW302


@router.get("/{doctor_id}/visits-loaded", response_model=DoctorWithVisits)
async def doctor_with_visits_loaded(doctor_id: int, session: AsyncSessionDep):
    doctor = await DoctorRepository(session).with_visits(doctor_id)
    if not doctor:
        raise HTTPException(404)
    return doctor  # ok: SAW302


@router.get("/{doctor_id}/visits-repository", response_model=DoctorWithVisits)
async def doctor_with_visits_repository(doctor_id: int, session: AsyncSessionDep):
    repository = DoctorRepository(session)
    return await repository.get(doctor_id)  # expect: SAW302


@router.get("/patients/{patient_id}", response_model=PatientWithVisits)
async def patient_with_visits(patient_id: int, session: AsyncSessionDep):
    return await PatientRepository(session).get(patient_id)  # ok: SAW302


@router.get("/visits/{visit_id}")
async def visit_with_doctor(visit_id: int, session: AsyncSessionDep) -> VisitWithDoctor:
    visit = await session.get(Visit, visit_id)
    return VisitWithDoctor.model_validate(visit)  # expect: SAW302


@router.get("/visits/{visit_id}/loaded")
async def visit_with_doctor_loaded(visit_id: int, session: AsyncSessionDep) -> VisitWithDoctor:
    visit = await VisitRepository(session).with_doctor(visit_id)
    return VisitWithDoctor.model_validate(visit)  # ok: SAW302


@router.get("/by-name/{name}/reasons")
async def reasons(name: str, session: AsyncSessionDep) -> list[str]:
    doctor = await DoctorRepository(session).by_name(name)
    if doctor is None:
        return []
    return [visit.reason for visit in doctor.visits]  # expect: SAW301


@router.get("/patients/{patient_id}/reasons")
async def patient_reasons(patient_id: int, session: AsyncSessionDep) -> list[str]:
    patient = await session.get(Patient, patient_id)
    return [visit.reason for visit in patient.visits] if patient else []  # ok: SAW301


@router.get("/patients/{patient_id}/doctors")
async def patient_doctors(patient_id: int, session: AsyncSessionDep) -> list[str]:
    visits = await VisitRepository(session).of_patient(patient_id)
    return [visit.doctor.name for visit in visits if visit.doctor_id]  # expect: SAW301


@router.get("/unit-of-work/{doctor_id}")
async def in_unit(doctor_id: int) -> dict[str, int]:
    async with UnitOfWork() as unit:
        doctor = await unit.doctors.get(doctor_id)
        if doctor is None:
            raise HTTPException(404)
        seen = len(doctor.visits)  # expect: SAW301
        await unit.commit()
    return {"seen": seen}


@router.get("/unit-of-work/{doctor_id}/loaded")
async def in_unit_loaded(doctor_id: int) -> dict[str, int]:
    async with UnitOfWork() as unit:
        doctor = await unit.doctors.with_visits(doctor_id)
        return {"seen": len(doctor.visits) if doctor else 0}  # ok: SAW301


@router.post("/visits/bulk")
async def rename_many(names: dict[int, str], session: AsyncSessionDep) -> int:
    repository = DoctorRepository(session)
    for doctor_id, name in names.items():
        doctor = await repository.get(doctor_id)  # expect: SAW305
        if doctor:
            doctor.name = name
    await session.commit()
    return len(names)


@router.post("/visits/stage")
async def stage_many(reasons: list[str], session: AsyncSessionDep) -> int:
    repository = VisitRepository(session)
    for reason in reasons:
        repository.stage(Visit(reason=reason))  # ok: SAW305, SAW102
    await session.commit()
    return len(reasons)


@router.get("/names")
async def names(ids: str, session: AsyncSessionDep) -> list[str]:
    doctors = [await session.get(Doctor, int(part)) for part in ids.split(",")]  # expect: SAW305
    return [doctor.name for doctor in doctors if doctor]


@router.post("/expiring", response_model=DoctorPublic)
async def create_expiring(body: DoctorCreate, session: ExpiringDep):
    doctor = Doctor.model_validate(body)
    session.add(doctor)
    await session.commit()
    return doctor  # expect: SAW303 # also: SAW302


@router.post("/expiring-refreshed", response_model=DoctorPublic)
async def create_expiring_refreshed(body: DoctorCreate, session: ExpiringDep):
    doctor = Doctor.model_validate(body)
    session.add(doctor)
    await session.commit()
    await session.refresh(doctor)
    return doctor  # ok: SAW303


@router.post("/expiring-name")
async def create_expiring_name(body: DoctorCreate, session: ExpiringDep) -> str:
    doctor = Doctor.model_validate(body)
    session.add(doctor)
    await session.commit()
    return f"created {doctor.id}: {body.name}"  # expect: SAW303


@router.get("/query-on-async")
async def query_on_async(session: AsyncSessionDep):
    return session.query(Doctor).all()  # expect: SAW201


@router.get("/unawaited")
async def unawaited(session: AsyncSessionDep):
    return session.exec(select(Doctor)).all()  # expect: SAW202


@router.get("/awaited-all")
async def awaited_all(session: AsyncSessionDep):
    result = await session.exec(select(Doctor))
    return await result.all()  # expect: SAW203


@router.get("/leaky")
async def leaky(ward: str):
    async with LeakyUnit() as session:
        return (await session.exec(select(Doctor).where(Doctor.ward == ward))).all()
