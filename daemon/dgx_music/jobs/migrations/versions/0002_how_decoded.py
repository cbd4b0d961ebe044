"""Takes say on which device, in which precision and under which licence's weights they were made."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    for name in ("device", "precision", "licence"):
        op.add_column("takes", sa.Column(name, sa.Text, nullable=False, server_default=""))
