"""Why a box was made, whether the picture of the reason can be trusted, and why an object was missed.

Importing this imports no torch; methods that follow gradients do when they run.

Example:
    >>> why = explain(detector, "street.jpg", detector("street.jpg")[0])
    >>> why.heatmap, why.faithfulness.sentences(), why.draw()
"""

from lucidbox.explain.drise import Masking
from lucidbox.explain.effort import Effort
from lucidbox.explain.explanation import Explanation, explain, explain_each
from lucidbox.explain.faithfulness import Faithfulness
from lucidbox.explain.gradcam import class_gradcam
from lucidbox.explain.methods import DEFAULT_METHOD, METHODS
from lucidbox.explain.near_anchors import Near, near_anchors
from lucidbox.explain.targets import SIDES

__all__ = [
    "DEFAULT_METHOD", "Effort", "Explanation", "Faithfulness", "METHODS", "Masking", "Near", "SIDES",
    "class_gradcam", "explain", "explain_each", "near_anchors",
    "counterfactual", "drawing", "drise", "effort", "explanation", "faithfulness", "measuring", "methods",
    "targets",
]  # fmt: skip
