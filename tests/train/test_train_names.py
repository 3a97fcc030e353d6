"""What ``lucidbox.train`` offers."""

from types import ModuleType

import pytest

import lucidbox.train as package
from lucidbox.train.trainer import Trainer


def test_names_of_the_package_are_what_they_are_in_their_files():
    for name in package.__all__:
        assert callable(getattr(package, name)) or isinstance(getattr(package, name), ModuleType), name
    assert package.Trainer is Trainer
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = package.nothing
