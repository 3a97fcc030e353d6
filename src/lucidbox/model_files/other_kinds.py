"""Model files of other tools, known by how they begin or by their names, and refused for what they are."""

from pathlib import Path

from lucidbox.core.errors import WeightsError

_BY_BEGINNING = {
    (4, b"TFL3"): "a TensorFlow Lite model",
    (0, b"\x89HDF\r\n\x1a\n"): "an HDF5 file, such as Keras writes",
    (0, b"ftrt"): "a TensorRT engine",
    (0, b"ptrt"): "a TensorRT engine",
    (0, b"GGUF"): "a GGUF model",
    (0, b"RKNN"): "an RKNN model",
    (0, b"7767517\n"): "an NCNN network",
    (0, b"\x93NUMPY"): "a NumPy array",
    (0, b"\x1f\x8b"): "a gzip archive",
    (0, b"BZh"): "a bzip2 archive",
    (0, b"\xfd7zXZ\x00"): "an xz archive",
    (0, b"7z\xbc\xaf"): "a 7z archive",
    (0, b"Rar!"): "a RAR archive",
}
"""Kinds by some of their first bytes and where those stand."""

_BY_SUFFIX = {
    ".engine": "a TensorRT engine",
    ".plan": "a TensorRT engine",
    ".trt": "a TensorRT engine",
    ".tflite": "a TensorFlow Lite model",
    ".h5": "a Keras model",
    ".hdf5": "a Keras model",
    ".keras": "a Keras model",
    ".pb": "a TensorFlow graph",
    ".mlmodel": "a Core ML model",
    ".mlpackage": "a Core ML model",
    ".param": "an NCNN network",
    ".bin": "the numbers of an OpenVINO IR, an NCNN network or the like (of an IR, give the .xml beside it)",
    ".pdmodel": "a PaddlePaddle model",
    ".pdparams": "a PaddlePaddle model",
    ".pdiparams": "a PaddlePaddle model",
    ".mnn": "an MNN model",
    ".rknn": "an RKNN model",
    ".hef": "a Hailo model",
    ".dlc": "a Qualcomm model",
    ".cfg": "a Darknet network",
    ".weights": "Darknet weights",
    ".caffemodel": "a Caffe model",
    ".pte": "an ExecuTorch program",
    ".pt2": "a program of torch.export",
    ".gguf": "a GGUF model",
    ".tar": "a tar archive",
}
"""Kinds by the ends of names, for files that do not begin like any that lucidbox reads."""

_IN_FOLDERS = {
    "saved_model.pb": "a TensorFlow model",
    "Manifest.json": "a Core ML model",
    "*.param": "an NCNN network",
    "*.pdmodel": "a PaddlePaddle model",
    "*.json": "a TensorFlow.js model",
}
"""Kinds of models that are folders, by a file in them."""

_REMEDY = "which lucidbox does not read; give the YOLO11 checkpoint that it was made from"


def refuse_other_kind(path: Path, start: bytes) -> None:
    """Refuse a file that is a known kind of model and none that lucidbox reads.

    Args:
        path: its name.
        start: its first bytes, at least 64 where it has so many.

    Raises:
        WeightsError: it is one; the message names the kind.
    """
    kinds = [kind for (at, mark), kind in _BY_BEGINNING.items() if start[at : at + len(mark)] == mark]
    suffix = path.suffix.lower()
    # The names of zip files and of pickles say nothing: they are read, or refused with a better reason.
    if suffix in _BY_SUFFIX and not start.startswith((b"PK", b"\x80")) and start[8:9] != b"{":
        kinds.append(_BY_SUFFIX[suffix])
    if kinds:
        raise WeightsError(f"{path}: {kinds[0]}, {_REMEDY}")


def model_in(folder: Path) -> Path:
    """The OpenVINO IR in a folder that holds one, as tools write it.

    Raises:
        WeightsError: it holds none, or several.
        OSError: it cannot be looked into.
    """
    found = sorted(path for path in folder.iterdir() if path.suffix.lower() == ".xml")
    if len(found) == 1:
        return found[0]
    if found:
        raise WeightsError(f"{folder}: a folder with several OpenVINO models; name one: {found[0].name}, ...")
    kind = next((kind for name, kind in _IN_FOLDERS.items() if any(folder.glob(name))), None)
    if kind or folder.suffix.lower() in _BY_SUFFIX:
        raise WeightsError(f"{folder}: {kind or _BY_SUFFIX[folder.suffix.lower()]}, {_REMEDY}")
    raise WeightsError(f"{folder}: a folder, not a weights file; name a file in it")
