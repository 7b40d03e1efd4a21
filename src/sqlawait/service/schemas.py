"""What comes in and goes out. A field too many, or a value that no database can hold, answers 422."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal
from math import hypot
from typing import Annotated, Any, Self

from pydantic import (
    AfterValidator,
    AwareDatetime,
    BaseModel,
    ConfigDict,
    EmailStr,
    Field,
    FiniteFloat,
    model_validator,
)
from pydantic import StringConstraints as Str

from sqlawait.service.models import DIMENSIONS

MAX_ID = 2**63 - 1
NO_NUL = r"^[^\x00]*$"  # PostgreSQL's text can't hold it


def to_utc(value: datetime) -> datetime:
    """Bring a datetime to UTC; one that leaves the calendar there, or that MySQL can't hold, is refused."""
    try:
        value = value.astimezone(UTC)
    except OverflowError:
        value = datetime.min.replace(tzinfo=UTC)
    if not 1000 <= value.year <= 9999:
        raise ValueError("the year must be 1000 to 9999")
    return value


def to_cents(value: Decimal) -> Decimal:
    """Write an amount with two decimals, as the database gives it back."""
    return value.quantize(Decimal("0.01"))


def directed(vector: list[float]) -> list[float]:
    """Refuse a vector that points nowhere, or is longer than 32-bit floats can square."""
    if not 1e-6 < hypot(*vector) < 1e6:
        raise ValueError("the vector's length must be between 0.000001 and 1000000")
    return vector


Id = Annotated[int, Field(ge=1, le=MAX_ID)]
Name = Annotated[str, Str(min_length=1, max_length=100, pattern=NO_NUL)]
Title = Annotated[str, Str(min_length=1, max_length=200, pattern=NO_NUL)]
Text = Annotated[str, Str(max_length=10_000, pattern=NO_NUL)]
Amount = Annotated[
    Decimal, Field(ge=0, max_digits=16, decimal_places=2, examples=["10.00"]), AfterValidator(to_cents)
]
PositiveAmount = Annotated[Amount, Field(gt=0)]
Instant = Annotated[AwareDatetime, AfterValidator(to_utc)]
Email = Annotated[EmailStr, AfterValidator(str.lower)]
Embedding = Annotated[
    list[FiniteFloat], Field(min_length=DIMENSIONS, max_length=DIMENSIONS), AfterValidator(directed)
]


class Body(BaseModel):
    """What a client sends."""

    model_config = ConfigDict(extra="forbid")


class Row(BaseModel):
    """What a client gets: read from a row."""

    model_config = ConfigDict(from_attributes=True)


LEFT_OUT: Any = Field(default=None)
"""The default of a field that may be left out, but not be null."""


class UserCreate(Body):
    email: Email
    name: Name


class UserPatch(Body):
    """What is left out stays as it is."""

    email: Email = LEFT_OUT
    name: Name = LEFT_OUT


class UserRead(Row):
    id: int
    email: str
    name: str
    created_at: datetime


class PostCreate(Body):
    title: Title
    body: Text = ""
    published_at: Instant | None = None


class PostRead(Row):
    id: int
    user_id: int
    title: str
    body: str
    published_at: datetime | None
    created_at: datetime


class UserWithPosts(UserRead):
    posts: list[PostRead]


class CategoryWrite(Body):
    name: Name


class CategoryRead(Row):
    id: int
    name: str


class ItemWrite(Body):
    name: Name
    description: Text = ""
    price: Amount
    category_id: Id | None = None


class ItemRead(Row):
    id: int
    category_id: int | None
    name: str
    description: str
    price: Decimal
    created_at: datetime


class CategoryWithItems(CategoryRead):
    items: list[ItemRead]


class AccountCreate(Body):
    user_id: Id
    balance: Amount = Decimal(0)


class AccountRead(Row):
    id: int
    user_id: int
    balance: Decimal
    created_at: datetime


class TransferCreate(Body):
    source_id: Id
    target_id: Id
    amount: PositiveAmount

    @model_validator(mode="after")
    def check_accounts(self) -> Self:
        """Refuse to move money from an account to itself."""
        if self.source_id == self.target_id:
            raise ValueError("source_id and target_id must differ")
        return self


class TransferRead(Row):
    id: int
    source_id: int
    target_id: int
    amount: Decimal
    created_at: datetime


class LedgerEntryRead(Row):
    id: int
    account_id: int
    transfer_id: int | None
    amount: Decimal
    balance: Decimal
    created_at: datetime


class DocumentCreate(Body):
    """A text; its vector is made by the embedder unless given."""

    title: Title
    text: Text
    embedding: Embedding | None = None


class DocumentRead(Row):
    id: int
    title: str
    text: str
    created_at: datetime


class DocumentSearch(Body):
    """Either a text, which the embedder turns into a vector, or a vector."""

    text: Text | None = None
    embedding: Embedding | None = None
    k: Annotated[int, Field(ge=1, le=100)] = 10

    @model_validator(mode="after")
    def check_query(self) -> Self:
        """Refuse both, and neither."""
        if (self.text is None) == (self.embedding is None):
            raise ValueError("give either text or embedding")
        return self


class DocumentFound(Row):
    document: DocumentRead = Field(validation_alias="Document")
    distance: float
    """Cosine distance: 0 is the same direction, 2 the opposite."""


class AccountSummary(BaseModel):
    """What happened on one account."""

    account_id: int
    entries: int
    received: Decimal
    spent: Decimal
    median: Decimal


class Health(BaseModel):
    status: str
