from sqlalchemy import ForeignKey, String
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column, relationship


class Base(DeclarativeBase):
    pass


class Parcel(Base):
    __tablename__ = "parcels"

    id: Mapped[int] = mapped_column(primary_key=True)
    label: Mapped[str] = mapped_column(String(80))
    depot_id: Mapped[int] = mapped_column(ForeignKey("depots.id"))
    depot: Mapped["Depot"] = relationship(back_populates="parcels", lazy="joined")


class Depot(Base):
    __tablename__ = "depots"

    id: Mapped[int] = mapped_column(primary_key=True)
    city: Mapped[str] = mapped_column(String(80))
    parcels: Mapped[list["Parcel"]] = relationship(back_populates="depot")
