"""What kind of file a model is, what it says of itself; converted models, and the bundled one. Needs no engine.

A model file is looked at once, by :func:`look_at`; what was seen is handed on as a :class:`ModelFile`.

Public: ``ModelFile``, ``look_at``, ``files_beside``; ``file_format`` (formats), ``metadata`` (what a file states),
``onnx_fields``, ``toolkit_metadata`` (IR and TorchScript), ``other_kinds`` (of other tools), ``cache``,
``bundled`` (the model that comes with lucidbox).
"""

from lucidbox.model_files.model_file import ModelFile, files_beside, look_at

__all__ = [
    "ModelFile", "bundled", "cache", "file_format", "files_beside", "layouts", "look_at", "metadata",
    "onnx_fields", "other_kinds", "toolkit_metadata",
]  # fmt: skip
