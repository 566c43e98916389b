"""How the suite writes a file: whole or not at all."""

import contextlib
import os
import secrets
import stat
from collections.abc import Iterable
from pathlib import Path

import msgspec

NO_JSON = (msgspec.MsgspecError, UnicodeDecodeError, RecursionError)
"""What `msgspec.json.decode` raises for bytes that are no JSON, or not of the type that is wanted."""
STREAMS = ("/dev/stdout", "/dev/stderr", "/dev/fd/", "/proc/")
"""Names of files that a process has open already: a file put in their place would be another one."""


class WriteError(RuntimeError):
    """A file that cannot be written; the message is one sentence with the remedy."""


def write(path: Path, content: str | bytes, inputs: Iterable[Path] = ()) -> Path:
    """Write a file whole or not at all, and return its path.

    A regular file is replaced in one step, through symbolic links, and keeps its permissions and owner. A pipe or a device is
    written to. Raises WriteError where the system refuses, and where `path` is one of the `inputs` that were read.
    """
    data = content.encode(errors="backslashreplace") if isinstance(content, str) else content
    try:
        if any(path.exists() and each.exists() and path.samefile(each) for each in inputs):
            raise WriteError(f"{path} was read as input and would be lost: name another file.")
        found = path.stat() if path.exists() else None
        if (found and not stat.S_ISREG(found.st_mode)) or str(path.absolute()).startswith(STREAMS):
            _append(path, data)
        else:
            _replace(Path(os.path.realpath(path)), data, found)
    except OSError as error:
        raise _refused(path, error) from None
    return path


def append(path: Path, line: bytes) -> None:
    """Add a line to a file, which is made where it is absent; a last line that was cut off is ended first. Raises WriteError."""
    try:
        whole = not path.exists() or path.stat().st_size == 0 or _last_byte(path) == b"\n"
        _append(path, line if whole else b"\n" + line)
    except OSError as error:
        raise _refused(path, error) from None


def folder(path: Path) -> Path:
    """Make a folder where there is none. Raises WriteError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise WriteError(f"{path} cannot be made ({error.strerror}): choose another place or make it writable.") from None
    return path


def _refused(path: Path, error: OSError) -> WriteError:
    return WriteError(f"{path} cannot be written ({error.strerror}): choose another place or make it writable.")


def _last_byte(path: Path) -> bytes:
    with path.open("rb") as file:
        file.seek(-1, os.SEEK_END)
        return file.read()


def _append(path: Path, data: bytes) -> None:
    """A pipe and a device have no end to append to; what a shell redirects may hold more than ours."""
    with path.open("ab", buffering=0) as stream:
        left = memoryview(data)
        while left:
            left = left[stream.write(left) :]


def _replace(path: Path, data: bytes, found: os.stat_result | None) -> None:
    """A draft beside the file takes its place; the draft is gone whatever happens."""
    draft = path.with_name(f".{secrets.token_hex(8)}.tmp")
    try:
        with open(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666), "wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())  # a disk that is full may say so only now
            if found:
                with contextlib.suppress(PermissionError):
                    os.fchown(file.fileno(), found.st_uid, found.st_gid)
                os.fchmod(file.fileno(), stat.S_IMODE(found.st_mode))
        os.replace(draft, path)
    except BaseException:
        draft.unlink(missing_ok=True)
        raise
