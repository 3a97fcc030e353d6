"""Reading a JSON list of uniform objects with NumPy: many times as fast as making Python objects of it.

Programs write all entries of a list in one way: the same keys in the same order with the same spaces, around
numbers that differ. Such text needs no JSON parser. All entries are read together, eight bytes at a time as one
64-bit integer (the technique is known as SWAR; D. Lemire, "Quickly parsing eight digits", 2018).

Only numbers of up to eight characters without an exponent are read. Such a number is a whole number below 2**53
divided by a power of ten, both of which a double holds exactly, so the quotient is the double nearest to the text,
as any JSON parser gives it. Everything else is left to a JSON parser.
"""

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import count
from typing import Any

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int, UInt8, UInt64

SPARE_BYTES = 16
"""How many bytes after a text must be there, of any value."""

_WORD = 8  # bytes
_ALL_BYTES = np.uint64(0x0101010101010101)  # times a byte: that byte eight times
_HIGH_BITS = np.uint64(0x8080808080808080)
_HIGH_NIBBLES = np.uint64(0xF0F0F0F0F0F0F0F0)
_SIXES = np.uint64(0x0606060606060606)
_FIRST_BYTE, _BYTE_BITS = np.uint64(0xFF), np.uint64(8)
_POWERS_OF_TEN = 10.0 ** np.arange(_WORD)
_BRACE = ord("{")

NumberColumn = Int[np.ndarray, " n"] | Float[np.ndarray, " n"]


class NotUniformError(ValueError):
    """The text is not what the template says, or has a number that is not read here."""


@dataclass(frozen=True)
class EntryTemplate:
    """How every entry is written.

    Attributes:
        literals: the text before each number, and after the last one.
        separator: the text between two entries.
        fields: the entry, each number replaced by its index.
    """

    literals: tuple[bytes, ...]
    separator: bytes
    fields: Mapping[str, Any]

    @classmethod
    def of(cls, text: bytes) -> "EntryTemplate":
        """The template of the first entry of a list.

        Args:
            text: at least the list's first two entries, from the first ``{``.

        Raises:
            NotUniformError: the entry holds something else than numbers and lists of numbers.
        """
        end = text.find(b"}") + 1
        entry, next_entry = text[:end], text.find(b"{", end)
        if not entry.startswith(b"{") or b"{" in entry[1:] or b"\\" in entry or next_entry < 0:
            raise NotUniformError
        numbers = [match for match in re.finditer(rb'"[^"]*"|([-.\d]+)', entry) if match[1]]
        starts, ends = [match.start() for match in numbers], [match.end() for match in numbers]
        literals = tuple(entry[start:stop] for start, stop in zip([0, *ends], [*starts, None], strict=True))
        # The entry with its numbers replaced by 0, 1, 2 … says which field has which number.
        indices = count()
        numbered = b"".join(b"%s%d" % (literal, next(indices)) for literal in literals[:-1]) + literals[-1]
        return cls(literals, text[end:next_entry], json.loads(numbered))

    def read(self, text: UInt8[np.ndarray, " bytes"]) -> list[NumberColumn]:
        """The numbers of all entries, a column for each of the entry's numbers.

        A column is of whole numbers, or of doubles where any of its numbers has a decimal point.

        Args:
            text: entries, separators between them, and the spare bytes.

        Raises:
            NotUniformError: the text is anything else.
        """
        end = len(text) - SPARE_BYTES
        starts = np.flatnonzero(text[:end] == _BRACE)
        cursors = _Cursors(text, starts)
        columns = []
        for literal, following in zip(self.literals, self.literals[1:], strict=False):
            columns.append(cursors.read_numbers(cursors.skip(literal), following[0]))
        cursors.skip(self.literals[-1])
        ends = cursors.positions[-1:].copy()
        cursors.positions = cursors.positions[:-1]
        cursors.skip(self.separator)
        if not len(starts) or starts[0] != 0 or ends[0] != end or (cursors.positions != starts[1:]).any():
            raise NotUniformError
        return columns


class _Cursors:
    """A place in each entry of a text; all of them move on together.

    Attributes:
        positions: index of a byte for each entry. No entry's cursor leaves the entry: what it passes is compared,
            and nothing that is passed has a brace, other than the first and last byte.
    """

    def __init__(self, text: UInt8[np.ndarray, " bytes"], starts: Int[np.ndarray, " n"]) -> None:
        self.positions = starts.copy()
        self._text = text

    def skip(self, literal: bytes) -> UInt64[np.ndarray, " n"]:
        """Pass the same text in every entry.

        Returns:
            The eight bytes after it, the first of them the least significant.

        Raises:
            NotUniformError: some entry has another text there.
        """
        full, rest = divmod(len(literal), _WORD)
        words = self._words(full + 2)
        for index in range(full + (rest > 0)):
            part = literal[index * _WORD : (index + 1) * _WORD]
            mask = np.uint64((1 << 8 * len(part)) - 1)
            if ((words[index] & mask) != np.uint64(int.from_bytes(part, "little"))).any():
                raise NotUniformError
        self.positions += len(literal)
        following: UInt64[np.ndarray, " n"] = words[full]
        if rest:
            following = (following >> np.uint64(8 * rest)) | (words[full + 1] << np.uint64(64 - 8 * rest))
        return following

    def _words(self, count: int) -> UInt64[np.ndarray, "count n"]:
        """So many words from each cursor on."""
        size = count * _WORD
        if not len(self.positions):
            return np.zeros((count, 0), np.uint64)
        if self.positions[-1] + size > len(self._text):  # what is expected here would not end before the text does
            raise NotUniformError
        windows = np.ndarray((len(self._text) - size + 1,), f"V{size}", self._text, 0, (1,))
        words: UInt64[np.ndarray, "count n"] = windows[self.positions].view("<u8").reshape(-1, count).T
        return words

    def read_numbers(self, words: UInt64[np.ndarray, " n"], end: int) -> NumberColumn:
        """Pass a number in every entry.

        Args:
            words: the eight bytes at each cursor.
            end: the byte after the number.

        Raises:
            NotUniformError: some entry has no JSON number there, or one that is not read here.
        """
        # Of a longer token, all eight bytes are taken; then the byte after them is not what skip() expects.
        token = _first_place(words, end) - np.uint64(1)
        self.positions += _byte_count(token)
        negative = (words & _FIRST_BYTE) == ord("-")
        if negative.any():
            words, token = words >> (negative * _BYTE_BITS), token >> (negative * _BYTE_BITS)
        values, pointed = _parse_tokens(words, token)
        if (
            negative & ~pointed & (values == 0)
        ).any():  # -0 has no sign as a whole number, but has one as a double
            raise NotUniformError
        return np.negative(values, out=values, where=negative)


def _parse_tokens(
    words: UInt64[np.ndarray, " n"], token: UInt64[np.ndarray, " n"]
) -> tuple[NumberColumn, Bool[np.ndarray, " n"]]:
    """Numbers without signs, and which of them have a decimal point.

    Args:
        words: the characters.
        token: the bits of those that belong to the number.
    """
    point = _first_place(words, ord(".")) & token
    pointed = point != 0
    before = (point - np.uint64(1)) & token
    whole_digits = _byte_count(before)
    if pointed.any():
        words = (words & before) | ((words >> _BYTE_BITS) & ~before)
        token = token >> (pointed * _BYTE_BITS)
    digits = _byte_count(token)
    decimals = digits - whole_digits
    words = (words ^ (_ALL_BYTES * np.uint64(ord("0")))) & token
    wrong = ((words | (words + _SIXES)) & _HIGH_NIBBLES) != 0  # a byte above 9
    wrong |= (whole_digits == 0) | (pointed & (decimals == 0))
    wrong |= ((words & _FIRST_BYTE) == 0) & (whole_digits > 1)  # a leading zero
    if wrong.any():
        raise NotUniformError
    values = _digits_to_numbers(words << (np.uint64(64) - digits * _BYTE_BITS))
    return values / _POWERS_OF_TEN.take(decimals) if pointed.any() else values, pointed


def _first_place(words: UInt64[np.ndarray, " n"], byte: int) -> UInt64[np.ndarray, " n"]:
    """The lowest bit of each word's first byte that has this value; 0 where none has."""
    differences = words ^ (_ALL_BYTES * np.uint64(byte))
    zeros = (differences - _ALL_BYTES) & ~differences & _HIGH_BITS
    first: UInt64[np.ndarray, " n"] = (zeros & (~zeros + np.uint64(1))) >> np.uint64(7)
    return first


def _byte_count(mask: UInt64[np.ndarray, " n"]) -> UInt8[np.ndarray, " n"]:
    """How many bytes of a mask are set."""
    count: UInt8[np.ndarray, " n"] = np.bitwise_count(mask) >> np.uint8(3)
    return count


def _digits_to_numbers(digits: UInt64[np.ndarray, " n"]) -> Int[np.ndarray, " n"]:
    """The number that each word's eight bytes, the first of them the most significant digit, are in decimal."""
    pairs = ((digits * np.uint64(10 * (1 << 8) + 1)) >> np.uint64(8)) & np.uint64(0x00FF00FF00FF00FF)
    fours = ((pairs * np.uint64(100 * (1 << 16) + 1)) >> np.uint64(16)) & np.uint64(0x0000FFFF0000FFFF)
    eights: UInt64[np.ndarray, " n"] = (fours * np.uint64(10000 * (1 << 32) + 1)) >> np.uint64(32)
    return eights.view(np.int64)
