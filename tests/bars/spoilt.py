"""`python -m tests.bars.spoilt DEFECT,… ARGUMENTS`: the command line with defects seeded into it, for controls."""

import sys

from orderhouse import cli
from tests.bars.defects import SEEDED

if __name__ == "__main__":
    for name in sys.argv.pop(1).split(","):
        SEEDED[name]()
    cli.app()
