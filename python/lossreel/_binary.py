"""Finds the ``lossreel`` program and runs its commands."""

from __future__ import annotations

import json
import os
import shutil
import sys
import sysconfig
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lossreel._errors import Error
from lossreel._process import Process

_NAME = "lossreel.exe" if os.name == "nt" else "lossreel"


def find() -> Path:
    """The program: that of ``LOSSREEL_BIN``, else the wheel's own, else the first on ``PATH``.

    Raises:
        Error: where there is none, or ``LOSSREEL_BIN`` names no file.
    """
    named = os.environ.get("LOSSREEL_BIN")
    if named:
        path = Path(named)
        if not path.is_file():
            raise Error(f"LOSSREEL_BIN is {named}, where there is no program; unset or correct it")
        return path
    places = [sysconfig.get_path("scripts"), str(Path(sys.executable).parent)]
    for scheme in ("posix_user", "nt_user"):
        if scheme in sysconfig.get_scheme_names():
            places.append(sysconfig.get_path("scripts", scheme))
    for place in places:
        path = Path(place) / _NAME
        # A small file of this name is a script that starts this package, not the program.
        if path.is_file() and path.stat().st_size > 1 << 20:
            return path
    found = shutil.which("lossreel")
    if found:
        return Path(found)
    raise Error(
        "there is no lossreel program; install the wheel (pip install lossreel), or build it with "
        "cargo and name it in LOSSREEL_BIN"
    )


def command(args: Sequence[str], *, quiet: bool = False) -> Any:
    """Runs a command with ``--json`` and returns its document; progress goes to ``sys.stderr``.

    Raises:
        Error: with the command's words where it fails.
    """
    flags = ["--json"] + (["--quiet"] if quiet else [])
    process = Process([str(find()), args[0], *flags, *args[1:]])
    try:
        text = process.stdout.read()
    except BaseException:
        process.stop()
        raise
    process.finish()
    return json.loads(text) if text.strip() else None


def options(**named: Any) -> list[str]:
    """Options as the program has them.

    ``size="640x360"`` becomes ``--size=640x360``, ``hillshade=True`` a flag, a list the option
    several times; ``None`` and ``False`` are left out.
    """
    args: list[str] = []
    for key, value in named.items():
        flag = "--" + key.rstrip("_").replace("_", "-")
        for one in value if isinstance(value, (list, tuple)) else [value]:
            if one is True:
                args.append(flag)
            elif one is not None and one is not False:
                args.append(f"{flag}={one}")
    return args
