"""Where the program is, and how it is run."""

from __future__ import annotations

import subprocess
import sys
import sysconfig

import pytest

import lossreel
from lossreel import _binary


def test_python_m_runs_the_program():
    done = subprocess.run([sys.executable, "-m", "lossreel", "--version"], capture_output=True, text=True)
    assert done.returncode == 0
    assert done.stdout.startswith("lossreel ")
    done = subprocess.run([sys.executable, "-m", "lossreel", "nothing"], capture_output=True, text=True)
    assert done.returncode == 2


def test_the_variable_is_first_and_a_wrong_one_is_said(monkeypatch, tmp_path):
    program = _binary.find()
    monkeypatch.setenv("LOSSREEL_BIN", str(program))
    assert _binary.find() == program
    monkeypatch.setenv("LOSSREEL_BIN", str(tmp_path / "nothing"))
    with pytest.raises(lossreel.Error, match="LOSSREEL_BIN"):
        _binary.find()


def test_without_any_program_the_error_says_how_to_get_one(monkeypatch, tmp_path):
    monkeypatch.delenv("LOSSREEL_BIN", raising=False)
    monkeypatch.setenv("PATH", str(tmp_path))
    monkeypatch.setattr(sysconfig, "get_path", lambda *_: str(tmp_path))
    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    with pytest.raises(lossreel.Error, match="pip install lossreel"):
        _binary.find()


def test_options_are_written_as_the_program_has_them():
    found = _binary.options(size="9x9", hillshade=True, panel_title=["a", "b"], fps=None, card=False, as_="map")
    assert found == ["--size=9x9", "--hillshade", "--panel-title=a", "--panel-title=b", "--as=map"]


def test_a_command_that_fails_raises_its_words(tmp_path):
    with pytest.raises(lossreel.Error, match="no such run folder"):
        _binary.command(["plane", str(tmp_path / "nothing")])
