"""Files for the tests of weights: synthetic checkpoints, and attacks spliced into any checkpoint's pickle."""

import hashlib
import io
import sys
import zipfile
from dataclasses import dataclass
from functools import cache
from types import ModuleType

import torch
from torch import nn

from lucidbox.model import build
from lucidbox.weights.keys import DISTRIBUTION_KEY, to_published
from lucidbox.weights.published import module_of, read_module
from lucidbox.weights.recognise import recognise
from lucidbox.weights.safe_pickle.checkpoint import read_checkpoint

# Read once a run: with every call checked, a real file takes seconds.
checkpoint_of = cache(lambda path: read_checkpoint(path.read_bytes()))


@cache
def weights_of(path):
    """What ``lucidbox.weights.read`` gives for a published file."""
    checkpoint = checkpoint_of(path)
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    return recognise(read_module(checkpoint, module_of(checkpoint), path.name), digest)


def saved(value, **options):
    """Bytes of torch's save."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    return buffer.getvalue()


def published_state(classes=3, seed=0):
    """A yolo11n's state by published names: float16 numbers of a trained kind, fixed numbers included."""
    generator = torch.Generator().manual_seed(seed)
    state = {}
    for name, tensor in build("yolo11n", classes).state_dict().items():
        if tensor.is_floating_point():
            tensor = 0.5 + torch.rand(tensor.shape, generator=generator)
        state[to_published(name)] = tensor.half() if tensor.is_floating_point() else tensor
    state[DISTRIBUTION_KEY] = torch.arange(16).half().view(1, 16, 1, 1)
    return state


def module_tree(state):
    """Nested modules of a class ``ultralytics.nn.modules.block.Part`` whose state dict is the given one."""
    part = type("Part", (nn.Module,), {"__module__": "ultralytics.nn.modules.block"})
    root = part()
    for key, tensor in state.items():
        *path, leaf = key.split(".")
        module = root
        for name in path:
            if name not in module._modules:
                module.add_module(name, part())
            module = module._modules[name]
        if "running" in leaf or "num_batches" in leaf:
            module.register_buffer(leaf, tensor)
        else:
            module.register_parameter(leaf, nn.Parameter(tensor, requires_grad=False))
    return root


def published_checkpoint(state=None, *, key="model", names=None, attributes=None, **more):
    """Bytes of a checkpoint as published: a whole module pickled, of classes that exist only meanwhile."""
    root = module_tree(published_state() if state is None else state)
    root.names = {0: "nut", 1: "螺栓", 2: "bolt"} if names is None else names
    root.stride = torch.tensor([8.0, 16.0, 32.0])
    root.task = "detect"
    vars(root).update(attributes or {})
    checkpoint = {"model": None, "ema": None, "license": "AGPL-3.0 (https://example.org)", "version": "8.3.0"}
    block = ModuleType("ultralytics.nn.modules.block")
    block.Part = type(root)
    names_of_modules = ["ultralytics", "ultralytics.nn", "ultralytics.nn.modules", block.__name__]
    before = {name: sys.modules.get(name) for name in names_of_modules}
    sys.modules.update(dict.fromkeys(names_of_modules, block))
    try:
        return saved({**checkpoint, key: root, **more})
    finally:
        for name, module in before.items():
            if module is None:
                del sys.modules[name]
            else:
                sys.modules[name] = module


# Zip files


def entries(content):
    """Name → content of a zip's entries, in their order."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def zipped(contents, compression=zipfile.ZIP_STORED):
    """A zip with these entries: a dict, or pairs where names may come twice."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in contents.items() if isinstance(contents, dict) else contents:
            archive.writestr(name, content)
    return buffer.getvalue()


def with_root(content, root):
    """The same checkpoint with another root folder."""
    return zipped({root + name.partition("/")[2]: data for name, data in entries(content).items()})


def with_pickle(content, change):
    """The same checkpoint with its pickle changed."""
    return zipped(
        {name: change(data) if name.endswith("data.pkl") else data for name, data in entries(content).items()}
    )


def spliced_early(pickle, attack):
    """The attack as the first value of the top dict, which in a checkpoint starts with the first MARK."""
    at = pickle.index(b"(") + 1
    return pickle[:at] + text("extra") + attack + pickle[at:]


def spliced_late(pickle, attack):
    """The attack as the last value of the top dict."""
    assert pickle.endswith(b"u.")
    return pickle[:-2] + text("extra") + attack + pickle[-2:]


# Pickle code, each pushing one value


def text(value):
    data = value.encode()
    return b"X" + len(data).to_bytes(4, "little") + data


def named(module, name):
    return f"c{module}\n{name}\n".encode()


def stack_named(module, name):
    return text(module) + text(name) + b"\x93"


def tuple_of(*values):
    return b"(" + b"".join(values) + b"t"


def called(function, *arguments):
    return function + tuple_of(*arguments) + b"R"


@dataclass(frozen=True)
class Attack:
    """Pickle code that pushes one value, and what the refusal must say.

    Attributes:
        code: the pickle code.
        refusal: a part of the message.
        is_live: whether Python's own unpickler would make the marker file.
    """

    code: bytes
    refusal: str
    is_live: bool = False


def attacks(marker):
    """Attacks by name, all trying to make the file ``marker`` or to exhaust the reader."""
    make = f"__import__('pathlib').Path({str(marker)!r}).touch()"
    touch = b"](" + text("touch") + text(str(marker)) + b"e"
    shell = text(f"touch '{marker}'")
    evil = named("os", "system")
    imported = called(named("__builtin__", "__import__"), text("os"))
    getattr_ = named("__builtin__", "getattr")
    storage_id = tuple_of(text("storage"), named("torch", "HalfStorage"), text("0"), text("cpu"), b"K\x01")
    long_names = [
        ("posix", "system"), ("nt", "system"), ("os", "popen"), ("os", "execv"), ("pty", "spawn"),
        ("builtins", "exec"), ("builtins", "open"), ("builtins", "compile"), ("builtins", "getattr"),
        ("builtins", "object"), ("builtins", "type"), ("__builtin__", "__import__"), ("__builtin__", "apply"),
        ("__main__", "anything"), ("functools", "partial"), ("operator", "attrgetter"), ("pdb", "run"),
        ("operator", "methodcaller"),
        ("importlib", "import_module"), ("runpy", "run_path"), ("pickle", "loads"), ("_pickle", "loads"),
        ("copy_reg", "_reconstructor"), ("copyreg", "__newobj__"), ("shutil", "rmtree"), ("marshal", "loads"),
        ("ctypes", "CDLL"), ("code", "interact"), ("timeit", "timeit"), ("cProfile", "run"), ("sys", "modules"),
        ("collections", "namedtuple"), ("collections", "OrderedDict.fromkeys"), ("collections", "defaultdict"),
        ("collections OrderedDict", ""), ("", ""), (".", "."), ("urllib.request", "urlopen"),
        ("torch", "load"), ("torch.jit", "load"), ("torch.hub", "load"), ("torch", "os.system"),
        ("torch", "Tensor"),
        ("torch._utils", "_import_dotted_name"), ("torch._utils", "_rebuild_wrapper_subclass"),
        ("torch", "_utils._rebuild_tensor_v2"), ("torch.serialization", "os.system"),
        ("torch.ops", "load_library"),
        ("torch", "nn.Module"), ("torch.nn.modules.container", "__builtins__"), ("torch.nn.Module", "__class__"),
        ("torch.nn.modules.module", "torch.os.system"), ("torch.nn", "Module.forward.__globals__"),
        ("torch.nn.modules.__builtins__", "Eval"), ("torch.nn.functional", "silu"), ("torch.nn.init", "eval"),
        ("torch.nnx", "Module"), ("torch.nn..x", "Module"), ("torch.nn.", "Module"), ("torch.nn/../os", "System"),
        ("ultralytics.nn.tasks", "DetectionModel.__init__.__globals__"), ("ultralytics.nn.tasks", "os.system"),
        ("ultralytics.utils", "__dict__"), ("ultralytics.nn.tasks", "attempt_load_weights"),
        ("ultralytics_evil", "Conv"), ("xultralytics.nn", "Conv"), ("ultralytics.nn ", "Conv"),
        ("numpy", "load"), ("numpy", "fromfile"), ("numpy.f2py", "compile"), ("numpy", "memmap"),
        ("numpy.testing._private.utils", "runstring"), ("numpy.ctypeslib", "load_library"),
        ("numpy", "ndarray.tofile"),
        ("numpy.distutils.exec_command", "exec_command"), ("numpy.core.multiarray", "fromfile"),
        ("pathlib", "Path.unlink"), ("pathlib", "PosixPath.write_text"), ("pathlib", "os.system"),
        ("types", "FunctionType"), ("types", "CodeType"), ("types", "ModuleType"), ("types", "sys.modules"),
        ("_codecs", "lookup"), ("codecs", "open"), ("ｏｓ", "system"), ("torch.nn", "Ｍodule"),
    ]  # fmt: skip
    by_name = {
        "os.system": Attack(called(evil, shell), "'os.system'", True),
        "builtins.eval": Attack(called(named("builtins", "eval"), text(make)), "'builtins.eval'", True),
        "__builtin__.eval": Attack(called(named("__builtin__", "eval"), text(make)), "'__builtin__.eval'", True),
        "exec": Attack(called(named("builtins", "exec"), text(make)), "'builtins.exec'", True),
        "getattr chain": Attack(
            called(called(getattr_, imported, text("system")), shell), "'__builtin__.getattr'", True
        ),
        "subprocess.Popen": Attack(called(named("subprocess", "Popen"), touch), "'subprocess.Popen'"),
        "subprocess.call": Attack(called(named("subprocess", "call"), touch), "'subprocess.call'", True),
        "torch.load": Attack(called(named("torch", "load"), text(f"{marker}.pt")), "'torch.load'"),
        "computed name": Attack(
            called(stack_named("os", "system"), shell), "'os.system'", True
        ),
        "computed dotted name": Attack(
            called(stack_named("torch.nn.modules.module", "torch.os.system"), shell), "torch.os.system", True
        ),
        "computed name of numbers": Attack(b"K\x01K\x02\x93", "is not text"),
        "computed name of a record": Attack(
            called(named("ultralytics.x", "Y")) + text("system") + b"\x93", "is not text"
        ),
        "INST": Attack(b"(" + shell + b"ios\nsystem\n", "INST", True),
        "OBJ": Attack(b"(" + evil + shell + b"o", "'os.system'", True),
        "OBJ of an inert class": Attack(b"(" + named("torch.nn", "Module") + b"o", "OBJ"),
        "EXT1": Attack(b"\x82\x01", "EXT1"),
        "EXT2": Attack(b"\x83\x01\x00", "EXT2"),
        "EXT4": Attack(b"\x84\x01\x00\x00\x00", "EXT4"),
        "text persistent id": Attack(b"Pos.system\n", "PERSID"),
        "persistent id of text": Attack(text("os.system") + b"Q", "not a storage"),
        "persistent id of another kind": Attack(
            storage_id.replace(b"storage", b"modules") + b"Q", "not a storage"
        ),
        "persistent id with a callable": Attack(
            tuple_of(text("storage"), evil, text("0"), text("cpu"), b"K\x01") + b"Q", "'os.system'"
        ),
        "persistent id with a class": Attack(
            tuple_of(text("storage"), named("torch.nn", "Module"), text("0"), text("cpu"), b"K\x01") + b"Q",
            "not a storage",
        ),
        "persistent id of a path": Attack(
            storage_id.replace(text("0"), text("../../etc/passwd")) + b"Q", "not a storage"
        ),
        "persistent id that is true": Attack(storage_id.replace(b"K\x01", b"\x88") + b"Q", "not a storage"),
        "missing storage": Attack(
            storage_id.replace(text("0"), text("99999")) + b"Q", "lacks the storage '99999'"
        ),
        "storage of another length": Attack(storage_id.replace(b"K\x01", b"K\x03") + b"Q", "should have 6 bytes"),
        "calling a storage's kind": Attack(called(named("torch", "HalfStorage")), "tries to call"),
        "calling a text": Attack(called(text("os.system"), shell), "tries to call a str"),
        "calling a record": Attack(called(called(named("torch.nn", "Module"))), "tries to call torch.nn.Module"),
        "an ordered dict's instance": Attack(
            named("collections", "OrderedDict") + b")\x81", "tries to call collections.OrderedDict"
        ),
        "an ordered dict with arguments": Attack(
            called(named("collections", "OrderedDict"), b"]"), "an ordered dict is built with arguments"
        ),
        "a set of a record": Attack(
            called(named("__builtin__", "set"), called(named("torch.nn", "Module"))), "not a list"
        ),
        "a set of tuples": Attack(called(named("__builtin__", "set"), b"])a"), "is of type tuple"),
        "state of a text": Attack(text("x") + b"}b", "tries to set the attributes of a str"),
        "state of a set": Attack(called(named("builtins", "set"), b"]") + b"}b", "set the attributes of a set"),
        "items of a text": Attack(text("x") + text("k") + text("v") + b"s", "tries to set items of a str"),
        "appended to a tuple": Attack(b")Na", "tries to append to a tuple"),
        "added to a list": Attack(b"](N\x90", "tries to add to a list"),
        "arguments that are no tuple": Attack(named("torch.nn", "Module") + b"]R", "not a tuple"),
        "a key without a value": Attack(b"}(Nu", "key without a value"),
        "a record as a key": Attack(b"}" + called(named("torch.nn", "Module")) + b"Ns", "is of type Record"),
        "a huge number as a key": Attack(b"}\x8a\x09" + b"\x01" * 9 + b"Ns", "is of type int"),
        "memo bomb": Attack(b"Nr\xff\xff\xff\x7f", "place 2147483647 of its memo"),
        "unknown memo place": Attack(b"j\xff\xff\x00\x00", "a value that it never gave"),
        "duplicated value": Attack(b"N2", "DUP"),
        "popped value": Attack(b"N" + evil + b"0", "'os.system'"),
        "nesting": Attack(b"(" * 5000, "nests deeper than 1000"),
        "empty stack": Attack(b"t" * 50, "a value that it never gave"),
        "huge text": Attack(b"\x8d\xff\xff\xff\xff\xff\xff\xff\x7f", "truncated"),
        "huge bytes": Attack(b"B\xff\xff\xff\xff", "truncated"),
        "huge number": Attack(b"\x8b\xff\xff\xff\x7f", "LONG4"),
        "text of no encoding": Attack(b"X\x01\x00\x00\x00\xff", "not UTF-8"),
        "unknown instruction": Attack(b"\xfe", "0xfe"),
        "buffer from outside": Attack(b"\x97", "NEXT_BUFFER"),
        "unknown protocol": Attack(b"\x80\x63", "protocol 99"),
        "end in the middle": Attack(b".", "goes on after its end"),
    }  # fmt: skip
    return by_name | {f"{m}:{n}": Attack(named(m, n), f"{f'{m}.{n}'!r}") for m, n in long_names}
