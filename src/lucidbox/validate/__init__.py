"""The one path over a data set: predictions to evaluate, missed objects traced, two model files compared."""

__all__ = [
    "batches", "false_negatives", "first_difference", "inference", "model_run", "pairs", "parity",
]  # fmt: skip
