"""${message}"""

import sqlalchemy as sa
from alembic import op

from orderhouse.runtime.database.tables import Id, Json, Position

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}


def upgrade() -> None:
    """${message}"""
    ${upgrades if upgrades else "pass"}


def downgrade() -> None:
    """Take it back."""
    ${downgrades if downgrades else "pass"}
