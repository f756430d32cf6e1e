"""Files of reports: whole or not at all."""

from __future__ import annotations

import os
import stat
import threading
from pathlib import Path

import pytest

from fleetpmap.cli.files import coverage_path, is_regular, writable, write
from fleetpmap.errors import UsageError


def _new(file):
    file.write(b"new")


def _torn(file):
    file.write(b"half")
    raise OSError(28, "No space left on device")


def test_a_file_is_written(tmp_path: Path):
    """Nothing else is left in the directory."""
    write(tmp_path / "report.csv", _new)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("report.csv", b"new")]


def test_a_torn_report_leaves_the_old_one(tmp_path: Path):
    """Whoever reads FILE never sees half a report, and finds no litter beside it."""
    file = tmp_path / "report.csv"
    file.write_bytes(b"old")
    with pytest.raises(OSError, match="No space"):
        write(file, _torn)
    assert [(path.name, path.read_bytes()) for path in tmp_path.iterdir()] == [("report.csv", b"old")]


def test_a_reader_keeps_what_it_opened(tmp_path: Path):
    """Who reads the old report while the new one is written reads the old one to its end."""
    file = tmp_path / "report.csv"
    file.write_bytes(b"old")
    with file.open("rb") as reader:
        write(file, _new)
        assert reader.read() == b"old"
    assert file.read_bytes() == b"new"


def test_the_mode_is_kept(tmp_path: Path):
    """A file that was closed to others stays closed."""
    file = tmp_path / "report.csv"
    file.write_bytes(b"old")
    file.chmod(0o600)
    write(file, _new)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600


def test_a_new_file_has_the_usual_mode(tmp_path: Path):
    """As any program would make it: what the umask leaves."""
    write(tmp_path / "report.csv", _new)
    (tmp_path / "usual").touch()
    assert (tmp_path / "report.csv").stat().st_mode == (tmp_path / "usual").stat().st_mode


def test_a_link_stays_a_link(tmp_path: Path):
    """The file that it points to is written."""
    (tmp_path / "real.csv").write_bytes(b"old")
    (tmp_path / "link.csv").symlink_to("real.csv")
    write(tmp_path / "link.csv", _new)
    assert (tmp_path / "link.csv").is_symlink()
    assert (tmp_path / "real.csv").read_bytes() == b"new"


def test_a_hard_link_stays_one(tmp_path: Path):
    """A rename would part the two names."""
    (tmp_path / "one.csv").write_bytes(b"old")
    os.link(tmp_path / "one.csv", tmp_path / "two.csv")
    write(tmp_path / "one.csv", _new)
    assert (tmp_path / "two.csv").read_bytes() == b"new"


def test_a_fifo_is_written_into(tmp_path: Path):
    """It stays a FIFO, and who reads it gets the report."""
    fifo = tmp_path / "report.csv"
    os.mkfifo(fifo)
    got: list[bytes] = []
    reader = threading.Thread(target=lambda: got.append(fifo.read_bytes()), daemon=True)
    reader.start()
    write(fifo, _new)
    reader.join(timeout=30)
    assert got == [b"new"]
    assert stat.S_ISFIFO(fifo.stat().st_mode)
    assert not is_regular(fifo)


def test_a_name_as_long_as_can_be(tmp_path: Path):
    """The name of the file aside is not made of it."""
    file = tmp_path / ("x" * 251 + ".csv")
    write(file, _new)
    assert file.read_bytes() == b"new"


@pytest.mark.parametrize(
    ("name", "sentence", "hint"),
    [
        (".", "is a directory", "name a file in it"),
        ("none/report.csv", "there is no directory", "make it first"),
        ("x" * 300, "File name too long", "choose a place"),
        ("plain/report.csv", "there is no directory", "make it first"),
        ("loop.csv", "circle", "choose a place"),
    ],
)
def test_a_place_that_cannot_be_written(tmp_path: Path, name: str, sentence: str, hint: str):
    """Found before anybody is asked; the message names the option and the path as typed."""
    (tmp_path / "plain").touch()
    (tmp_path / "loop.csv").symlink_to("loop.csv")
    with pytest.raises(UsageError, match=sentence) as error:
        writable("--export", str(tmp_path / name))
    assert error.value.message.startswith(f"--export {tmp_path / name}: ")
    assert hint in error.value.hint


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
@pytest.mark.parametrize("closed", ["file", "directory"])
def test_permission_denied(tmp_path: Path, closed: str):
    """A file that is there must be writable itself, a new one's directory: a read-only file is not renamed over."""
    place = tmp_path / "place"
    place.mkdir()
    file = place / "report.csv"
    if closed == "file":
        file.touch(mode=0o400)
    else:
        place.chmod(0o500)
    with pytest.raises(UsageError, match="permission denied"):
        writable("-o", str(file))


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_file_in_a_closed_directory(tmp_path: Path):
    """Where nothing can be written aside, the file is written in place."""
    file = tmp_path / "place" / "report.csv"
    file.parent.mkdir()
    file.write_bytes(b"old and longer")
    file.parent.chmod(0o500)
    write(writable("-o", str(file)), _new)
    assert file.read_bytes() == b"new"


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a file away")
def test_the_owner_is_kept(tmp_path: Path):
    """A rename would take another's file from him."""
    file = tmp_path / "report.csv"
    file.write_bytes(b"old")
    os.chown(file, 65534, 65534)
    write(file, _new)
    assert (file.stat().st_uid, file.read_bytes()) == (65534, b"new")


def test_the_coverage_file_is_beside():
    """`FILE.coverage.json`."""
    assert coverage_path(Path("a/hosts.csv")) == Path("a/hosts.csv.coverage.json")
