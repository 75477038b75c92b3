"""``python -m lossreel`` runs the program."""

from __future__ import annotations

import os
import subprocess
import sys

from lossreel._binary import find
from lossreel._errors import Error


def main() -> int:
    """Runs the program with this process's arguments and returns its exit code."""
    try:
        program = str(find())
    except Error as error:
        print(f"lossreel: {error}", file=sys.stderr)
        return 1
    args = [program, *sys.argv[1:]]
    if os.name == "posix":
        os.execv(program, args)
    return subprocess.call(args)


if __name__ == "__main__":
    sys.exit(main())
