"""What kind of file a model is, what it says of itself, and where converted models are kept. Needs no engine.

A model file is looked at once, by :func:`look_at`; what was seen is handed on as a :class:`ModelFile`.

Public: ``ModelFile``, ``look_at``, ``files_beside``; ``file_format`` (formats), ``metadata`` (what a file states),
``onnx_fields``, ``toolkit_metadata`` (IR and TorchScript), ``other_kinds`` (of other tools), ``cache``.
"""

from lucidbox.model_files.model_file import ModelFile, files_beside, look_at

__all__ = [
    "ModelFile", "cache", "file_format", "files_beside", "layouts", "look_at", "metadata", "onnx_fields",
    "other_kinds", "toolkit_metadata",
]  # fmt: skip
