"""The instructions of a pickle, decoded but not executed.

Only those that writers of torch files use (protocols 2 to 5) are known; the others are refused by name,
among them ``INST``, ``OBJ`` and the extension registry's ``EXT1``, which are other ways to call something.
The instructions are described in the standard library's ``pickletools``.
"""

import pickletools
from collections.abc import Iterator
from struct import Struct
from typing import Any, NamedTuple

from lucidbox.core.errors import WeightsError

MAX_BYTES = 64 * 2**20
"""Largest pickle that is read. It contains no tensors: that of a published YOLO11x checkpoint has under 1 MiB."""

MAX_INSTRUCTIONS = 500_000
"""Most instructions. A published YOLO11n has 52,000; the limit bounds time and memory, because each can make a
value of about 200 bytes."""

_NUMBERS = {
    "PROTO": Struct("<B"), "FRAME": Struct("<Q"),
    "BININT": Struct("<i"), "BININT1": Struct("<B"), "BININT2": Struct("<H"), "BINFLOAT": Struct(">d"),
    "BINGET": Struct("<B"), "LONG_BINGET": Struct("<I"), "BINPUT": Struct("<B"), "LONG_BINPUT": Struct("<I"),
}  # fmt: skip
_TEXTS = {"SHORT_BINUNICODE": Struct("<B"), "BINUNICODE": Struct("<I"), "BINUNICODE8": Struct("<Q")}
_BYTES = {"SHORT_BINBYTES": Struct("<B"), "BINBYTES": Struct("<I"), "BINBYTES8": Struct("<Q")}
_BARE = {
    "MARK", "STOP", "NONE", "NEWTRUE", "NEWFALSE", "EMPTY_TUPLE", "TUPLE", "TUPLE1", "TUPLE2", "TUPLE3",
    "EMPTY_LIST", "APPEND", "APPENDS", "EMPTY_DICT", "SETITEM", "SETITEMS", "EMPTY_SET", "ADDITEMS",
    "MEMOIZE", "STACK_GLOBAL", "REDUCE", "NEWOBJ", "BUILD", "BINPERSID",
}  # fmt: skip
_NAMES = {ord(opcode.code): opcode.name for opcode in pickletools.opcodes}


class Instruction(NamedTuple):
    """One instruction: pickletools' name for it, and its argument (None where it has none)."""

    name: str
    argument: Any


def instructions(data: bytes) -> Iterator[Instruction]:
    """The instructions of a pickle, up to and with its STOP.

    Raises:
        WeightsError: an instruction is not of those known, the pickle is truncated or goes on after its
            end, or it exceeds a limit.
    """
    if len(data) > MAX_BYTES:
        raise WeightsError(f"its pickle has {len(data)} bytes, more than the {MAX_BYTES} that are read")
    code = _Code(data)
    for _ in range(MAX_INSTRUCTIONS):
        opcode = code.take(1)[0]
        name = _NAMES.get(opcode, "")
        if name in _BARE:
            yield Instruction(name, None)
        elif name in _NUMBERS:
            yield Instruction(name, code.number(_NUMBERS[name]))
        else:
            yield Instruction(name, _longer_argument(code, name, opcode))
        if name == "STOP":
            return code.must_be_at_end()
    raise WeightsError(f"its pickle has more than {MAX_INSTRUCTIONS} instructions")


class _Code:
    """The pickle's bytes and how far they have been read."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.position = 0

    def take(self, count: int) -> bytes:
        end = self.position + count
        if end > len(self.data):
            raise WeightsError("its pickle is truncated")
        taken = self.data[self.position : end]
        self.position = end
        return taken

    def number(self, form: Struct) -> Any:
        return form.unpack(self.take(form.size))[0]

    def line(self) -> bytes:
        end = self.data.find(b"\n", self.position)
        if end < 0:
            raise WeightsError("its pickle is truncated")
        return self.take(end + 1 - self.position)[:-1]

    def must_be_at_end(self) -> None:
        if self.position != len(self.data):
            raise WeightsError("its pickle is malformed: it goes on after its end")


def _longer_argument(code: _Code, name: str, opcode: int) -> Any:
    if name in _TEXTS:
        return _decoded(code.take(code.number(_TEXTS[name])))
    if name in _BYTES:
        return code.take(code.number(_BYTES[name]))
    if name == "LONG1":
        return int.from_bytes(code.take(code.take(1)[0]), "little", signed=True)
    if name == "GLOBAL":
        return _decoded(code.line()), _decoded(code.line())
    raise WeightsError(
        f"its pickle uses the instruction {name or hex(opcode)}, which no writer of torch files does; the file is "
        "refused and nothing in it was run"
    )


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise WeightsError("its pickle is malformed: a text in it is not UTF-8") from None
