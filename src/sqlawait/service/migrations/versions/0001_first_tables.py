"""The first tables."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from sqlawait.service.columns import Id, Instant, Money
from sqlawait.service.models import DIMENSIONS
from sqlawait.vectors import Vector

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Go forward."""
    op.create_table(
        "users",
        sa.Column("id", Id, primary_key=True),
        sa.Column("email", sa.String(254), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        created_at(),
        sa.UniqueConstraint("email", name="uq_users_email"),
    )
    op.create_table(
        "posts",
        sa.Column("id", Id, primary_key=True),
        reference("posts", "user_id", "users.id", ondelete="CASCADE"),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("published_at", Instant, nullable=True),
        created_at(),
    )
    op.create_table(
        "categories",
        sa.Column("id", Id, primary_key=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.UniqueConstraint("name", name="uq_categories_name"),
    )
    op.create_table(
        "items",
        sa.Column("id", Id, primary_key=True),
        reference("items", "category_id", "categories.id", nullable=True),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("description", sa.Text, nullable=False),
        sa.Column("price", Money, nullable=False),
        created_at(),
    )
    op.create_table(
        "accounts",
        sa.Column("id", Id, primary_key=True),
        reference("accounts", "user_id", "users.id"),
        sa.Column("balance", Money, nullable=False),
        created_at(),
        sa.CheckConstraint("balance >= 0", name="ck_accounts_not_overdrawn"),
    )
    op.create_table(
        "transfers",
        sa.Column("id", Id, primary_key=True),
        reference("transfers", "source_id", "accounts.id"),
        reference("transfers", "target_id", "accounts.id"),
        sa.Column("amount", Money, nullable=False),
        created_at(),
        sa.CheckConstraint("amount > 0", name="ck_transfers_positive"),
    )
    op.create_table(
        "ledger_entries",
        sa.Column("id", Id, primary_key=True),
        reference("ledger_entries", "account_id", "accounts.id"),
        reference("ledger_entries", "transfer_id", "transfers.id", nullable=True),
        sa.Column("amount", Money, nullable=False),
        sa.Column("balance", Money, nullable=False),
        created_at(),
    )
    op.create_table(
        "answers",
        sa.Column("key", sa.String(255), primary_key=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("status", Id, nullable=False),
        sa.Column("body", sa.Text, nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "documents",
        sa.Column("id", Id, primary_key=True),
        sa.Column("title", sa.String(200), nullable=False),
        sa.Column("text", sa.Text, nullable=False),
        sa.Column("embedding", Vector(DIMENSIONS), nullable=False),
        created_at(),
    )
    for table, column in INDEXED:
        op.create_index(f"ix_{table}_{column}", table, [column])
    if op.get_bind().dialect.name == "postgresql":
        op.create_index(
            "ix_documents_embedding",
            "documents",
            ["embedding"],
            postgresql_using="hnsw",
            postgresql_ops={"embedding": "vector_cosine_ops"},
            postgresql_with={"m": 16, "ef_construction": 64},
        )


def downgrade() -> None:
    """Go back."""
    for table in reversed(TABLES):
        op.drop_table(table)


TABLES = [
    "users",
    "posts",
    "categories",
    "items",
    "accounts",
    "transfers",
    "ledger_entries",
    "answers",
    "documents",
]
INDEXED = [
    ("posts", "user_id"),
    ("items", "category_id"),
    ("accounts", "user_id"),
    ("transfers", "source_id"),
    ("transfers", "target_id"),
    ("ledger_entries", "account_id"),
    ("ledger_entries", "transfer_id"),
    ("answers", "created_at"),
]


def created_at() -> sa.Column[object]:
    """When the row was made."""
    return sa.Column("created_at", Instant, nullable=False)


def reference(
    table: str, column: str, target: str, *, nullable: bool = False, ondelete: str | None = None
) -> sa.Column[object]:
    """A column that refers to another table's row."""
    key = sa.ForeignKey(target, name=f"fk_{table}_{column}", ondelete=ondelete)
    return sa.Column(column, Id, key, nullable=nullable)
