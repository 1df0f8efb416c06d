"""docs/howto/add-a-column.md, done as it is written, on a copy of the code and a database with somebody in it."""

import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from orderhouse.runtime.migrate import current, drift
from orderhouse.users.wiring import SCHEMA, Users
from tests.installation import Installation

pytestmark = [pytest.mark.anyio, pytest.mark.timeout(180)]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs/howto/add-a-column.md").read_text(encoding="utf-8")
NEXT = f"{int(SCHEMA.head) + 1:04}"
MODELS = re.findall(r"In `(src/[\w/]+/models\.py)`", PAGE)[0]


def blocks(kind: str) -> list[str]:
    return re.findall(rf"^```{kind}\n(.*?)^```$", PAGE, re.DOTALL | re.MULTILINE)


class Workplace:
    """A copy of the code that may be changed, and an installation that runs it."""

    def __init__(self, folder: Path, installation: Installation) -> None:
        self.folder = folder
        shutil.copytree(ROOT / "src", folder / "src", ignore=shutil.ignore_patterns("__pycache__"))
        self.place = installation.place("users")
        self._environment = {**installation.environment, "PYTHONPATH": str(folder / "src"), "COLUMNS": "300"}

    def edited(self, diff: str) -> None:
        """Change the copy as a diff says; AssertionError when the code is not what the page shows."""
        lines = diff.splitlines(keepends=True)
        before = "".join(line[1:] for line in lines if line[0] in " -")
        after = "".join(line[1:] for line in lines if line[0] in " +")
        text = (self.folder / MODELS).read_text(encoding="utf-8")
        assert text.count(before) == 1, f"{MODELS} is not as the page shows it"
        (self.folder / MODELS).write_text(text.replace(before, after), encoding="utf-8")

    def ran(self, command: str) -> subprocess.CompletedProcess[str]:
        """Run a command of the page."""
        program, *arguments = shlex.split(command)
        assert program == "orderhouse"
        return subprocess.run(
            [sys.executable, "-m", "orderhouse.cli", *arguments],
            env=self._environment,
            cwd=self.folder,
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )

    async def owner(self) -> object:
        users = Users.opened(self.place)
        try:
            return await users.first_owner("owner@example.com")
        finally:
            await users.database.close()


@pytest.fixture
def workplace(installation: Installation, tmp_path: Path) -> Workplace:
    return Workplace(tmp_path, installation)


async def test_the_page_leads_to_a_column_and_every_row_is_kept(workplace: Workplace) -> None:
    doctor, revise, apply, check = (block.strip() for block in blocks("sh"))
    (diff,), (missing,) = blocks("diff"), blocks("text")
    assert check.startswith("make ")
    owner = await workplace.owner()
    assert owner is not None

    workplace.edited(diff)
    told = workplace.ran(doctor)
    assert told.returncode == 1
    assert missing.strip() in told.stdout + told.stderr

    written = workplace.ran(revise)
    assert written.returncode == 0, written.stderr
    folder, name = re.findall(r"`(src/[\w/]+/versions)`, `(NNNN_\w+\.py)`", PAGE)[0]
    file = workplace.folder / folder / name.replace("NNNN", NEXT)
    assert "batch_op.add_column(sa.Column('phone', sa.Text(), nullable=True))" in file.read_text()
    assert "batch_op.drop_column('phone')" in file.read_text()

    assert workplace.ran(apply).returncode == 0
    assert current(SCHEMA, workplace.place) == NEXT
    assert missing.strip() not in workplace.ran(doctor).stdout
    # The code of this test, which knows of no such column, goes on beside it, and says what it does not know.
    assert await workplace.owner() == owner
    (unknown,) = drift(SCHEMA, workplace.place)
    assert unknown[0] == "remove_column"


async def test_a_column_that_may_not_be_empty_is_refused_and_nothing_has_changed(workplace: Workplace) -> None:
    (diff,) = blocks("diff")
    owner = await workplace.owner()
    workplace.edited(diff.replace("Mapped[str | None] = mapped_column(Text)", "Mapped[str] = mapped_column(Text)"))
    assert workplace.ran('orderhouse revise users "phone numbers"').returncode == 0
    refused = workplace.ran("orderhouse migrate")
    assert refused.returncode == 2
    assert "users: " in refused.stderr
    assert "Traceback" not in refused.stderr
    assert current(SCHEMA, workplace.place) == SCHEMA.head
    assert drift(SCHEMA, workplace.place) == []
    assert await workplace.owner() == owner
