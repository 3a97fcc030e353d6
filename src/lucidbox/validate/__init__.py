"""The one path over a data set: predictions to evaluate, missed objects traced, two model files compared."""

__all__ = [
    "false_negatives", "inference", "parity", "batches", "model_run",
]  # fmt: skip
