"""Class names from users' files."""

import pytest

from lucidbox.core.errors import WeightsError
from lucidbox.weights.class_names import read_names


@pytest.mark.parametrize(
    ("content", "names"),
    [
        ("nut\nbolt\n", ("nut", "bolt")),
        ("nut\nbolt", ("nut", "bolt")),
        ("\ufeffnut\r\n  traffic light \r\n\r\n", ("nut", "traffic light")),
        ("螺栓\nmüller", ("螺栓", "müller")),
        ('["nut", "a [b]"]', ("nut", "a [b]")),
        ('\n {"1": "bolt", "0": "nut"}', ("nut", "bolt")),
    ],
)
def test_forms(content, names, tmp_path):
    path = tmp_path / "names"
    path.write_text(content, "utf-8", newline="")
    assert read_names(path) == names


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "no class names"),
        (b"\n \n", "no class names"),
        (b"[]", "no class names"),
        (b"{}", "no class names"),
        (b"\xff\xfe", "neither UTF-8"),
        (b'["a",', "neither UTF-8 text with one class name a line, nor JSON"),
        (b"[" * 100_000, "neither"),
        (b"[1, 2]", "list of texts"),
        (b'["a", ""]', "class 1 has an empty name"),
        (b'{"0": "a", "2": "b"}', "without gaps"),
        (b'{"a": 0, "b": 1}', "without gaps"),
    ],
)
def test_refusals_name_the_file(content, message, tmp_path):
    path = tmp_path / "names.txt"
    path.write_bytes(content)
    with pytest.raises(WeightsError, match=message) as refusal:
        read_names(path)
    assert str(refusal.value).startswith(f"{path}: ")


def test_a_missing_file():
    with pytest.raises(WeightsError, match=r"nowhere.txt: cannot be read"):
        read_names("nowhere.txt")
