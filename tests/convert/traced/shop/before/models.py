from sqlalchemy import Column, ForeignKey, Integer, String, Table, Text, create_engine
from sqlalchemy.orm import declarative_base, deferred, relationship, sessionmaker
from sqlalchemy.pool import StaticPool

engine = create_engine("sqlite://", poolclass=StaticPool, connect_args={"check_same_thread": False})
SessionLocal = sessionmaker(engine)
Base = declarative_base()

tagged = Table(
    "tagged",
    Base.metadata,
    Column("item_id", ForeignKey("items.id"), primary_key=True),
    Column("tag_id", ForeignKey("tags.id"), primary_key=True),
)


class Company(Base):
    __tablename__ = "companies"

    id = Column(Integer, primary_key=True)
    name = Column(String(50))
    users = relationship("User", back_populates="company")


class User(Base):
    __tablename__ = "users"

    id = Column(Integer, primary_key=True)
    name = Column(String(50), unique=True)
    biography = deferred(Column(Text))
    company_id = Column(ForeignKey("companies.id"))
    company = relationship("Company", back_populates="users")
    items = relationship("Item", back_populates="owner")

    @property
    def titles(self):
        return [item.title for item in self.items]


class Item(Base):
    __tablename__ = "items"

    id = Column(Integer, primary_key=True)
    title = Column(String(50))
    owner_id = Column(ForeignKey("users.id"))
    owner = relationship("User", back_populates="items")
    tags = relationship("Tag", secondary=tagged)


class Tag(Base):
    __tablename__ = "tags"

    id = Column(Integer, primary_key=True)
    name = Column(String(50))


class Node(Base):
    __tablename__ = "nodes"

    id = Column(Integer, primary_key=True)
    kind = Column(String(20))
    name = Column(String(50))
    __mapper_args__ = {"polymorphic_on": kind, "polymorphic_identity": "node"}


class Paper(Node):
    __tablename__ = "papers"

    id = Column(ForeignKey("nodes.id"), primary_key=True)
    pages = Column(Integer)
    __mapper_args__ = {"polymorphic_identity": "paper"}
