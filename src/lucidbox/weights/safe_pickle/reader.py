"""A reader of pickles that cannot run anything.

A pickle is a program for a small stack machine. This is that machine without its dangerous instructions: a name
stays a name (see :mod:`lucidbox.weights.safe_pickle.globals`), and a "call" is recorded, or builds one of five
plain values. It never imports, calls or accesses attributes of anything that the file names.
"""

from collections import OrderedDict
from collections.abc import Callable
from typing import Any, NoReturn

from lucidbox.core.errors import WeightsError
from lucidbox.weights.safe_pickle.globals import Builder, InertClass, Record, hashable, meaning
from lucidbox.weights.safe_pickle.instructions import MAX_INSTRUCTIONS, instructions

MAX_NESTING = 1_000
"""Most groups open at once. A published YOLO11n has about 30."""

MAX_COPIED = 10_000
"""Most items that calls may copy from lists, in all, because one list can be used many times. A published YOLO11n
copies none: its modules' sets are empty."""

MAX_ARGUMENTS = 16
"""Most arguments of a call that builds something: one tuple can be the arguments of many calls. Torch's have 7."""

MAX_NUMBER_KEYS = 50_000
"""Most numbers among the keys of dicts and the items of sets. Unlike texts, numbers can be chosen so that each is
compared with all before it."""

NEWEST_PROTOCOL = 5


def read_pickle(data: bytes, persistent: Callable[[Any], Any]) -> Any:
    """The value that a pickle describes, made of plain Python values, arrays and :class:`Record`.

    Args:
        data: the pickle.
        persistent: gives the value for a persistent id, which torch uses for storages.

    Raises:
        WeightsError: it names what weights do not need, is malformed, or exceeds a limit.
    """
    machine = _Machine(persistent)
    try:
        for name, argument in instructions(data):
            if name in _PUSHED:
                machine.stack.append(argument)
            elif name in _CONSTANTS:
                machine.stack.append(_CONSTANTS[name]())
            else:
                _ACTIONS[name](machine, argument)
    except (IndexError, KeyError):  # an empty stack, no open group, an empty place of the memo
        raise WeightsError("its pickle is malformed: it uses a value that it never gave") from None
    return machine.result()


class _Machine:
    """The stack machine. ``stack`` has the values of the innermost open group, ``outer`` the groups around it."""

    def __init__(self, persistent: Callable[[Any], Any]) -> None:
        self.stack: list[Any] = []
        self.outer: list[list[Any]] = []
        self.memo: dict[int, Any] = {}
        self.copied = 0
        self.number_keys = 0
        self.persistent = persistent

    def result(self) -> Any:
        if self.outer or len(self.stack) != 1:
            raise WeightsError("its pickle is malformed: something is left over at its end")
        return self.stack.pop()

    def push(self, value: Any) -> None:
        self.stack.append(value)

    def open_group(self) -> None:
        if len(self.outer) >= MAX_NESTING:
            raise WeightsError(f"its pickle nests deeper than {MAX_NESTING}")
        self.outer.append(self.stack)
        self.stack = []

    def close_group(self) -> list[Any]:
        """The values of the innermost group, which ends here."""
        values, self.stack = self.stack, self.outer.pop()
        return values

    def pop_last(self, count: int) -> list[Any]:
        """The last values of the stack, in their order; IndexError when there are fewer."""
        return [self.stack.pop() for _ in range(count)][::-1]

    def remember(self, index: int) -> None:
        # Writers number the memo without gaps; a larger index would only make a reader allocate memory.
        if index > MAX_INSTRUCTIONS:
            raise WeightsError(f"its pickle puts a value at place {index} of its memo, beyond any use")
        self.memo[index] = self.stack[-1]

    def call(self) -> None:
        """Build one of the few plain values, or record a call that never happens."""
        named, arguments = self.pop_last(2)
        if isinstance(named, Builder):
            if len(_arguments(arguments)) > MAX_ARGUMENTS:
                raise WeightsError(
                    f"its pickle calls {named.name} with {len(arguments)} arguments, beyond any use"
                )
            self.count_copied(arguments)
            self.stack.append(named.build(arguments))
        else:
            self.stack.append(_recorded(named, arguments))

    def count_copied(self, arguments: tuple[Any, ...]) -> None:
        """Count the items that a call copies; everything else that it can make is a view, or empty."""
        self.copied += sum(len(argument) for argument in arguments if isinstance(argument, list))
        if self.copied > MAX_COPIED:
            raise WeightsError(f"its pickle builds sets of more than {MAX_COPIED} items in all, beyond any use")

    def set_state(self) -> None:
        """A record keeps its attributes as data; those of an ordered dict (torch's _metadata) are dropped."""
        target, state = self.pop_last(2)
        if isinstance(target, Record):
            target.state = state
        elif not isinstance(target, OrderedDict) or not isinstance(state, dict):
            _refuse("set the attributes of", target)
        self.stack.append(target)

    def set_items(self, keys_and_values: list[Any]) -> None:
        target = self.stack[-1]
        if len(keys_and_values) % 2:
            raise WeightsError("its pickle is malformed: a key without a value")
        keys = self.keys(keys_and_values[::2])
        pairs = list(zip(keys, keys_and_values[1::2], strict=True))
        if isinstance(target, Record):
            target.entries.extend(pairs)
        elif isinstance(target, dict):
            target.update(pairs)
        else:
            _refuse("set items of", target)

    def append_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if isinstance(target, Record):
            target.entries.extend(values)
        elif isinstance(target, list):
            target.extend(values)
        else:
            _refuse("append to", target)

    def add_items(self, values: list[Any]) -> None:
        target = self.stack[-1]
        if not isinstance(target, set):
            _refuse("add to", target)
        target.update(self.keys(values))

    def keys(self, values: list[Any]) -> list[Any]:
        """The values, if all may be keys of a dict or items of a set; numbers among them are counted."""
        self.number_keys += sum(isinstance(value, (int, float)) for value in values)
        if self.number_keys > MAX_NUMBER_KEYS:
            raise WeightsError(f"its pickle has more than {MAX_NUMBER_KEYS} numbers as keys, beyond any use")
        return [hashable(value) for value in values]


def _recorded(named: Any, arguments: Any) -> Record:
    if not isinstance(named, InertClass):
        _refuse("call", named)
    return Record(named.name, _arguments(arguments))


def _arguments(arguments: Any) -> tuple[Any, ...]:
    if not isinstance(arguments, tuple):
        raise WeightsError("its pickle is malformed: a call's arguments are not a tuple")
    return arguments


def _refuse(action: str, target: Any) -> NoReturn:
    what = target.name if isinstance(target, (Builder, InertClass, Record)) else f"a {type(target).__name__}"
    raise WeightsError(f"its pickle tries to {action} {what}; the file is refused and nothing in it was run")


def _check_protocol(version: int) -> None:
    if version > NEWEST_PROTOCOL:
        raise WeightsError(f"its pickle is of protocol {version}; {NEWEST_PROTOCOL} is the newest known")


_PUSHED = {
    "BININT", "BININT1", "BININT2", "LONG1", "BINFLOAT",
    "SHORT_BINUNICODE", "BINUNICODE", "BINUNICODE8", "SHORT_BINBYTES", "BINBYTES", "BINBYTES8",
}  # fmt: skip
"""Instructions that push their argument."""

_CONSTANTS: dict[str, Callable[[], Any]] = {
    "NONE": lambda: None,
    "NEWTRUE": lambda: True,
    "NEWFALSE": lambda: False,
    "EMPTY_TUPLE": tuple,
    "EMPTY_LIST": list,
    "EMPTY_DICT": dict,
    "EMPTY_SET": set,
}
"""Instructions that push a new constant."""

_ACTIONS: dict[str, Callable[[_Machine, Any], None]] = {
    "PROTO": lambda _, version: _check_protocol(version),
    "FRAME": lambda *_: None,  # only advice on buffering
    "STOP": lambda *_: None,
    "MARK": lambda machine, _: machine.open_group(),
    "TUPLE": lambda machine, _: machine.push(tuple(machine.close_group())),
    "TUPLE1": lambda machine, _: machine.push(tuple(machine.pop_last(1))),
    "TUPLE2": lambda machine, _: machine.push(tuple(machine.pop_last(2))),
    "TUPLE3": lambda machine, _: machine.push(tuple(machine.pop_last(3))),
    "APPEND": lambda machine, _: machine.append_items(machine.pop_last(1)),
    "APPENDS": lambda machine, _: machine.append_items(machine.close_group()),
    "SETITEM": lambda machine, _: machine.set_items(machine.pop_last(2)),
    "SETITEMS": lambda machine, _: machine.set_items(machine.close_group()),
    "ADDITEMS": lambda machine, _: machine.add_items(machine.close_group()),
    "BINPUT": lambda machine, index: machine.remember(index),
    "LONG_BINPUT": lambda machine, index: machine.remember(index),
    "MEMOIZE": lambda machine, _: machine.remember(len(machine.memo)),
    "BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "LONG_BINGET": lambda machine, index: machine.push(machine.memo[index]),
    "GLOBAL": lambda machine, names: machine.push(meaning(*names)),
    "STACK_GLOBAL": lambda machine, _: machine.push(meaning(*machine.pop_last(2))),
    "REDUCE": lambda machine, _: machine.call(),
    "NEWOBJ": lambda machine, _: machine.push(_recorded(*machine.pop_last(2))),  # an object that is never made
    "BUILD": lambda machine, _: machine.set_state(),
    "BINPERSID": lambda machine, _: machine.push(machine.persistent(machine.stack.pop())),
}
"""The other instructions, each with its argument."""
