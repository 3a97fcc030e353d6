"""COCO's detection metrics on arrays; the metrics need NumPy alone.

Besides the names below: ``evaluation`` (the matches), ``curves``, ``operating`` (score thresholds), ``categories``
(a model's classes in the annotations), ``analysis`` (error types, confidence intervals, plots and more).

>>> from lucidbox.evaluate import load_truth, load_predictions, evaluate
>>> truth = load_truth("instances.json")
>>> print(evaluate(truth, load_predictions("results.json", truth)))
"""

from lucidbox.evaluate.files import load_predictions, load_truth, save_predictions
from lucidbox.evaluate.predictions import Predictions
from lucidbox.evaluate.protocol import COCO, AreaRange, Protocol
from lucidbox.evaluate.streaming import CocoEvaluator
from lucidbox.evaluate.summary import Summary, evaluate
from lucidbox.evaluate.tables import evaluate_table, load_detections
from lucidbox.evaluate.truth import Truth

__all__ = [
    "AreaRange", "COCO", "CocoEvaluator", "Predictions", "Protocol", "Summary", "Truth", "analysis",
    "categories", "curves", "evaluate", "evaluate_table", "evaluation", "load_detections", "load_predictions",
    "load_truth", "operating", "save_predictions", "summary", "tracks", "truth",
]  # fmt: skip
