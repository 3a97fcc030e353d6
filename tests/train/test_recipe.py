"""Recipes: checked, stored, changed."""

from dataclasses import fields
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lucidbox.core.errors import OptionError
from lucidbox.train.recipe import Recipe, parse_setting, read_recipe
from models import unchecked_shapes

PUBLISHED = {
    "optimizer": "auto", "learning_rate": 0.01, "final_rate": 0.01, "momentum": 0.937, "weight_decay": 0.0005,
    "warmup_epochs": 3.0, "warmup_momentum": 0.8, "warmup_bias_rate": 0.1, "box_gain": 7.5, "class_gain": 0.5,
    "dfl_gain": 1.5, "ema_decay": 0.9999, "patience": 100, "clip": 10.0, "mosaic": 1.0, "close_mosaic": 10,
    "translate": 0.1, "scale": 0.5, "hue": 0.015, "saturation": 0.7, "value": 0.4, "flip_horizontal": 0.5,
    "flip_vertical": 0.0, "degrees": 0.0, "shear": 0.0, "mixup": 0.0, "copy_paste": 0.0, "nominal_batch": 64,
}  # fmt: skip


def test_the_defaults_are_the_published_ones():
    assert {key: getattr(Recipe(), key) for key in PUBLISHED} == PUBLISHED


@given(
    epochs=st.integers(1, 10**6), rate=st.floats(0, 10), teacher=st.text(alphabet='ab/\\" é.', max_size=9),
    freeze=st.lists(st.sampled_from(["backbone", "neck.down_p4"]), max_size=2).map(tuple),
)  # fmt: skip
def test_a_recipe_file_gives_the_recipe_back(tmp_path_factory, epochs, rate, teacher, freeze):
    recipe = Recipe(epochs=epochs, learning_rate=rate, teacher=teacher, freeze=freeze, freeze_norms=True)
    path = tmp_path_factory.mktemp("recipe") / "recipe.toml"
    path.write_text(recipe.to_toml(), encoding="utf-8")
    assert read_recipe(path) == recipe
    assert Recipe().changed(recipe.to_dict()) == recipe


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mosiac": 1.0}, r"unknown key 'mosiac'; do you mean mosaic\?"),
        ({"zzz": 1}, "unknown key 'zzz'; known are epochs, size"),
        ({"mosaic": 1.5}, "mosaic 1.5 is out of range: 0 to 1"),
        ({"learning_rate": float("nan")}, "learning_rate nan is out of range"),
        ({"epochs": 0}, "epochs 0 is out of range"),
        ({"epochs": 1.5}, "epochs 1.5 must be a whole number"),
        ({"epochs": True}, "epochs True must be a whole number"),
        ({"epochs": float("inf")}, "epochs inf must be a whole number"),
        ({"learning_rate": 10**400}, "learning_rate 1000.* must be a number"),
        ({"freeze": None}, "freeze None must be a list of names"),
        ({"size": 100}, "size 100 is not a multiple of 32: try 96"),
        ({"optimizer": "lion"}, "optimizer 'lion' is not one of sgd, adamw, auto"),
        ({"freeze": [1]}, "freeze .* must be a list of names"),
        ({"freeze_norms": 1}, "freeze_norms 1 must be true or false"),
        ({"teacher": 3}, "teacher 3 must be a text"),
    ],
)
def test_what_cannot_be_is_refused_by_name(change, message):
    # The type checker of the tests would be the first to refuse.
    with unchecked_shapes(), pytest.raises(OptionError, match=message):
        Recipe().changed(change)


def test_every_number_has_limits():
    for field in fields(Recipe):
        if field.type in (int, float):
            with pytest.raises(OptionError, match=field.name):
                Recipe().changed({field.name: -1})


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("mosaic=0.5", ("mosaic", 0.5)), ("epochs = 3", ("epochs", 3)), ("optimizer=sgd", ("optimizer", "sgd")),
        ('teacher="a b"', ("teacher", "a b")), ("freeze=backbone,neck", ("freeze", "backbone,neck")),
        ('freeze=["a"]', ("freeze", ["a"])), ("freeze_norms=true", ("freeze_norms", True)),
    ],
)  # fmt: skip
def test_settings_of_the_command_line(text, pair):
    assert parse_setting(text) == pair


def test_a_list_may_be_written_with_commas():
    assert Recipe().changed({"freeze": "backbone, neck"}).freeze == ("backbone", "neck")


def test_values_that_mean_one_of_the_right_type_are_converted():
    given = {
        "epochs": np.int64(3), "batch": 8.0, "warmup_epochs": 0, "mosaic": np.float32(0.5),
        "scale": np.array(0.25), "freeze": ["backbone", np.str_("neck")], "freeze_norms": np.bool_(True),
        "optimizer": np.str_("sgd"), "teacher": Path("yolox.onnx"), "seed": np.uint8(7),
    }  # fmt: skip
    with unchecked_shapes():
        made = Recipe(**given)
    assert made == Recipe(
        epochs=3, batch=8, warmup_epochs=0.0, mosaic=0.5, scale=0.25, freeze=("backbone", "neck"),
        freeze_norms=True, optimizer="sgd", teacher="yolox.onnx", seed=7,
    )  # fmt: skip
    for field in fields(Recipe):
        assert type(getattr(made, field.name)) is type(getattr(Recipe(), field.name)), field.name


def test_settings_need_an_equals_sign():
    with pytest.raises(OptionError, match="write key=value"):
        parse_setting("mosaic")


@pytest.mark.parametrize(
    ("content", "message"), [("epochs = ", "not TOML"), ("epoch = 3", "r.toml: recipe: unknown key 'epoch'")]
)
def test_recipe_files_are_refused_by_name(tmp_path, content, message):
    path = tmp_path / "r.toml"
    path.write_text(content)
    with pytest.raises(OptionError, match=message):
        read_recipe(path)


def test_a_missing_recipe_file(tmp_path):
    with pytest.raises(OptionError, match=r"none\.toml: No such file"):
        read_recipe(tmp_path / "none.toml")
