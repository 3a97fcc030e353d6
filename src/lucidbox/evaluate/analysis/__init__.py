"""Analyses of an evaluation's matches; each is a module.

- ``confusion``: which class is detected as which
- ``errors``: how much AP each type of error costs
- ``intervals``: confidence intervals, comparison of two sets of predictions
- ``notebook_variant``: the average precision that the seed notebook computes
- ``plots``: curves, bars and matrices as images
- ``variants``: the same predictions scored as other tools score them
"""

__all__ = ["confusion", "errors", "intervals", "notebook_variant", "plots", "variants"]
