from datetime import date
from typing import Optional

from sqlmodel import Field, Relationship, SQLModel


class DoctorBase(SQLModel):
    name: str = Field(index=True)
    ward: str = "general"


class Doctor(DoctorBase, table=True):
    id: Optional[int] = Field(default=None, primary_key=True)
    visits: list["Visit"] = Relationship(back_populates="doctor")


class PatientBase(SQLModel):
    name: str
    born: Optional[date] = None


class Patient(PatientBase, table=True):
    id: Optional[int] = Field(default=None, primary_key=True)
    visits: list["Visit"] = Relationship(back_populates="patient", sa_relationship_kwargs={"lazy": "selectin"})


class Visit(SQLModel, table=True):
    id: Optional[int] = Field(default=None, primary_key=True)
    reason: str = ""
    doctor_id: Optional[int] = Field(default=None, foreign_key="doctor.id")
    patient_id: Optional[int] = Field(default=None, foreign_key="patient.id")

    doctor: Optional[Doctor] = Relationship(back_populates="visits")
    patient: Optional[Patient] = Relationship(back_populates="visits")


class DoctorCreate(DoctorBase):
    pass


class DoctorPublic(DoctorBase):
    id: int


class VisitPublic(SQLModel):
    id: int
    reason: str


class DoctorWithVisits(DoctorPublic):
    visits: list[VisitPublic] = []


class PatientWithVisits(PatientBase):
    id: int
    visits: list[VisitPublic] = []


class VisitWithDoctor(VisitPublic):
    doctor: Optional[DoctorPublic] = None
