from sqlalchemy import Column, Float, ForeignKey, Integer, MetaData, String, Table
from sqlalchemy.orm import Mapped, mapped_column, registry

metadata = MetaData(schema="atlas")
mapper_registry = registry(metadata=metadata)
Base = mapper_registry.generate_base()

city_tag = Table(
    "city_tag",
    metadata,
    Column("city_id", Integer, ForeignKey("atlas.city.id"), primary_key=True),
    Column("tag", String, primary_key=True),
)


class Country(Base):
    __tablename__ = "country"

    code: Mapped[str] = mapped_column(String(2), primary_key=True)
    name: Mapped[str]


class City(Base):
    __tablename__ = "city"

    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str]
    latitude: Mapped[float] = mapped_column(Float)
    country_code: Mapped[str] = mapped_column(ForeignKey("atlas.country.code"))
