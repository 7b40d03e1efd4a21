from pydantic import BaseModel, ConfigDict


class Read(BaseModel):
    model_config = ConfigDict(from_attributes=True)


class TagRead(Read):
    name: str


class ItemRead(Read):
    title: str
    tags: list[TagRead]


class CompanyRead(Read):
    name: str


class UserRead(Read):
    name: str
    company: CompanyRead | None
    items: list[ItemRead]


class NodeRead(Read):
    name: str


class PaperRead(NodeRead):
    pages: int
