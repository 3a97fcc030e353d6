"""Analyses of an evaluation's matches; each is a module.

- ``confusion``: which class is detected as which
- ``doubts``: what makes a number doubtful, with the likeliest cause
- ``errors``: how much AP each type of error costs
- ``image_sizes``: opened images whose size is not the stated one
- ``intervals``: confidence intervals, comparison of two sets of predictions
- ``notebook_variant``: the average precision that the seed notebook computes
- ``plots``: curves, bars and matrices as images
- ``sizes_compared``: comparison of two sets of predictions for objects of each size
- ``variants``: the same predictions scored as other tools score them
"""

__all__ = [
    "confusion", "doubts", "errors", "image_sizes", "intervals", "notebook_variant", "plots", "sizes_compared",
    "variants",
]  # fmt: skip
