"""How arrays and dataclasses travel between processes: MessagePack, so that reading a message never executes anything."""

from __future__ import annotations

import struct
from contextlib import nullcontext
from typing import Any, BinaryIO, TypeVar, overload

import msgspec
import numpy as np

from models.arrays import Array
from models.spent import Ledger

ARRAY, SEEN_ARRAY = 1, 2
HEADER = struct.Struct("!Q")
LONGEST = 1 << 40
"""Bytes. Eight characters that are text read as a length a million times this, so that what is no message is not waited for."""
Kind = TypeVar("Kind")
Message = Any
"""Dataclasses, dicts, lists, numbers, text and NumPy arrays, in any nesting."""


class NoMessageError(ValueError):
    """What came is not one of our messages; `printed` is what it was instead."""

    def __init__(self, printed: bytes) -> None:
        """Keep what was printed."""
        super().__init__("this is not a message")
        self.printed = printed


def encode(message: object) -> bytes:
    """Bytes of a message made of dataclasses, dicts, numbers, text and NumPy arrays; an array that it holds twice travels once."""
    return msgspec.msgpack.encode(message, enc_hook=_Packer())


def decode(data: bytes) -> Message:
    """The message in plain dicts, lists and arrays; raises msgspec.DecodeError for anything else."""
    return msgspec.msgpack.decode(data, ext_hook=_Unpacker())


@overload
def as_kind(message: object, kind: type[Kind]) -> Kind: ...


@overload
def as_kind(message: object, kind: object) -> Message: ...


def as_kind(message: object, kind: object) -> object:
    """A decoded message of plain dicts as the dataclass `kind`; raises msgspec.ValidationError where it does not fit."""
    return msgspec.convert(message, kind)


def send(stream: BinaryIO, message: object, ledger: Ledger | None = None) -> None:
    """Write one message, length first; packing it is spent on `messages` in the ledger."""
    with ledger.stage("messages") if ledger else nullcontext():
        data = encode(message)
    stream.write(HEADER.pack(len(data)))
    stream.write(data)
    stream.flush()


def receive(stream: BinaryIO, ledger: Ledger | None = None) -> Message:
    """Read one message, unpacking spent on `messages` in the ledger.

    Raises EOFError when the other side has gone, NoMessageError where it talks of something else.
    """
    header = stream.read(HEADER.size)
    if len(header) < HEADER.size:
        raise EOFError
    (length,) = HEADER.unpack(header)
    if length > LONGEST:
        raise NoMessageError(header)
    data = stream.read(length)
    if len(data) < length:
        raise EOFError
    try:
        with ledger.stage("messages") if ledger else nullcontext():
            return decode(data)
    except msgspec.DecodeError:
        raise NoMessageError(data) from None


class _Packer:
    """Packs the arrays of one message, and of one that was packed before only its number."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}

    def __call__(self, value: object) -> object:
        if isinstance(value, np.ndarray):
            if id(value) in self._numbers:
                return msgspec.msgpack.Ext(SEEN_ARRAY, HEADER.pack(self._numbers[id(value)]))
            self._numbers[id(value)] = len(self._numbers)
            shape = msgspec.msgpack.encode((value.dtype.str, value.shape))
            return msgspec.msgpack.Ext(ARRAY, HEADER.pack(len(shape)) + shape + value.tobytes())
        if isinstance(value, np.generic):
            return value.item()
        raise TypeError(f"{type(value).__name__} does not travel between processes")


class _Unpacker:
    """Unpacks the arrays of one message, in the order in which they were packed."""

    def __init__(self) -> None:
        self._arrays: list[Array] = []

    def __call__(self, code: int, data: memoryview) -> Array:
        (length,) = HEADER.unpack(data[: HEADER.size])
        if code == SEEN_ARRAY:
            return self._arrays[length]
        start = HEADER.size + length
        dtype, shape = msgspec.msgpack.decode(data[HEADER.size : start], type=tuple[str, tuple[int, ...]])
        array = np.frombuffer(data[start:], dtype).reshape(shape).copy()  # a copy, since frameworks want to own what they are given
        self._arrays.append(array)
        return array
