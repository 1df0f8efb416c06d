"""Alembic's way in; how it is run is the runtime's."""

from orderhouse.runtime.migrate import run

run()
