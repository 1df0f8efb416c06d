"""The product as its users have it: a process of its own, that can be killed and started again on the same data."""

import sys
from contextlib import AbstractContextManager
from pathlib import Path

from bench import servers
from bench.servers import Product
from orderhouse.assembly.places import place_of
from orderhouse.runtime.database.database import Place
from orderhouse.runtime.settings import Settings
from orderhouse.runtime.tokens import SigningKeys

ROOT = Path(__file__).resolve().parents[1]


class Installation:
    """A data folder and a database, to start the product on as often as a test likes."""

    def __init__(self, folder: Path, database_url: str = "") -> None:
        self.folder = folder
        self.database_url = database_url

    def started(self, *defects: str, log_level: str = "warning", **settings: str) -> AbstractContextManager[Product]:
        """Start the product, with more `settings`; with `defects`, with these seeded into it."""
        settings = {"ORDERHOUSE_LOG_LEVEL": log_level, **settings}
        if not defects:
            return servers.product(self.folder, self.database_url, **settings)
        spoilt = (sys.executable, "-m", "tests.bars.spoilt", ",".join(defects))
        return servers.product(self.folder, self.database_url, spoilt, **settings, PYTHONPATH=str(ROOT))

    @property
    def settings(self) -> Settings:
        return Settings(data_dir=self.folder, database_url=self.database_url, _env_file=None)

    def place(self, context: str) -> Place:
        """Return where the database of `context` is."""
        return place_of(context, self.settings)

    @property
    def environment(self) -> dict[str, str]:
        return servers.environment(self.folder, self.database_url)

    def token(self) -> str:
        """Return an owner's token, as the command line prints it, once the product has made its keys."""
        return SigningKeys(self.folder / "keys").issue("operator", "owner", minutes=600)
