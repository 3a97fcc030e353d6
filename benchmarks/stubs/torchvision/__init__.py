"""Stands in for torchvision, which does not run here, in the comparison with pytorch-grad-cam alone.

That package imports these names and, for the methods compared, uses none of them.
"""

from types import SimpleNamespace

ops = SimpleNamespace()
