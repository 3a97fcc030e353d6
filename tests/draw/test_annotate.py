"""Boxes and labels on pictures: where each pixel's colour comes from, and what is left out."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lucidbox.core.detections import Detections
from lucidbox.core.errors import OptionError
from lucidbox.draw.annotate import SMALLEST_FONT, Style, _pixel_corners, _place_labels, draw
from lucidbox.draw.palette import palette
from models import unchecked_shapes

NAMES = ("person", "自行车", "a very long name of a thing", "\ue000", "шар")


def found(*rows, names=NAMES):
    """Detections of rows (left, top, right, bottom, score, class)."""
    table = np.array(rows, np.float64).reshape(-1, 6)
    return Detections(
        table[:, :4].astype(np.float32), table[:, 4].astype(np.float32), table[:, 5].astype(int), names
    )


def black(height=200, width=300):
    return np.zeros((height, width, 3), np.uint8)


def changed(image):
    return image.any(axis=2)


def test_a_box_is_a_frame_on_its_own_pixels():
    drawn = draw(black(), found((100, 50, 200, 150, 0.9, 1)), max_labels=0, line_width=2)
    expected = np.zeros((200, 300), bool)
    expected[50:150, 100:200] = True
    expected[52:148, 102:198] = False
    assert np.array_equal(changed(drawn), expected)
    assert (drawn[expected] == palette(1)).all()


def test_the_picture_given_is_left_alone():
    image = np.full((200, 300, 3), 7, np.uint8)
    image.flags.writeable = False
    drawn = draw(image, found((10, 10, 90, 90, 0.9, 0)))
    assert (image == 7).all()
    assert drawn.flags.writeable
    assert np.array_equal(draw(image, found()), image)
    assert draw(image, found()) is not image


def test_pixels_need_not_lie_in_a_row():
    image = np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8)
    detections = found((10, 10, 90, 90, 0.9, 0))
    turned = image[..., ::-1][::-1]  # a view with negative strides, as from a BGR picture
    assert np.array_equal(draw(turned, detections), draw(turned.copy(), detections))


def test_frame_is_visible_at_the_pictures_border():
    drawn = draw(black(), found((-50, -0.4, 300, 999, 0.9, 0)), max_labels=0, line_width=3)
    inside = np.zeros((200, 300), bool)
    inside[3:-3, 3:-3] = True
    assert np.array_equal(changed(drawn), ~inside)


def test_the_better_score_is_on_top():
    boxes = (20, 20, 100, 100), (20, 20, 100, 100)
    for scores in ((0.9, 0.3), (0.3, 0.9)):
        drawn = draw(black(), found((*boxes[0], scores[0], 0), (*boxes[1], scores[1], 1)), max_labels=0)
        assert tuple(drawn[20, 20].tolist()) == palette(int(np.argmax(scores)))


@pytest.mark.parametrize(
    "box",
    [
        (np.nan, 10, 20, 20),
        (10, 10, np.inf, 20),
        (30, 10, 20, 20),
        (-20, 10, -5, 20),
        (300, 10, 320, 20),
        (10, 200, 20, 220),
    ],
)
def test_what_is_no_box_in_the_picture_is_not_drawn(box):
    assert not draw(black(), found((*box, 0.9, 0))).any()


def test_a_box_without_area_is_a_dot():
    drawn = draw(black(), found((40.2, 60.1, 40.2, 60.1, 0.9, 0)), max_labels=0)
    assert changed(drawn).sum() == 1
    assert changed(drawn)[60, 40]


def test_max_labels_labels_the_best_and_draws_all_boxes():
    rows = [(20, 60, 60, 120, 0.5, 0), (120, 60, 160, 120, 0.9, 0), (220, 60, 260, 120, 0.7, 0)]
    frames = changed(draw(black(), found(*rows), max_labels=0))
    labelled = changed(draw(black(), found(*rows), max_labels=1))
    assert (labelled >= frames).all()
    extra = np.flatnonzero((labelled & ~frames).any(axis=0))
    assert extra.min() >= 110
    assert extra.max() < 215
    assert np.array_equal(draw(black(), found(*rows), max_labels=3), draw(black(), found(*rows)))


def test_label_stands_above_its_box_where_there_is_room_else_inside():
    for top, side in ((100, "above"), (3, "inside")):
        frame = changed(draw(black(), found((50, top, 250, 190, 0.9, 0)), max_labels=0))
        label = changed(draw(black(), found((50, top, 250, 190, 0.9, 0)))) & ~frame
        rows = np.flatnonzero(label.any(axis=1))
        assert (rows.max() < top) if side == "above" else (rows.min() >= top)


def test_scores_can_be_left_out():
    detections = found((50, 50, 90, 90, 0.87, 0))
    widths = [
        np.flatnonzero(changed(draw(black(), detections, show_scores=shown))[:50].any(axis=0)).size
        for shown in (True, False)
    ]
    assert widths[0] > widths[1] > 0


def style_and_labels(rows, height, width, names=NAMES, **sizes):
    detections = found(*rows, names=names)
    corners = _pixel_corners(detections.boxes, height, width).tolist()
    style = Style.for_picture(height, width, **sizes)
    return _place_labels(detections, corners, (height, width), style, True)


def rectangles(labels):
    return [(x.left, x.top, x.left + x.ink.shape[1], x.top + x.ink.shape[0]) for x in labels]


sides = st.integers(1, 400)
unit = st.floats(0, 1, width=32)
rows = st.lists(st.tuples(unit, unit, unit, unit, unit, st.integers(0, len(NAMES) - 1)), max_size=25)


@settings(deadline=None, max_examples=60)
@given(sides, sides, rows)
def test_labels_lie_in_the_picture_and_never_on_one_another(height, width, shares):
    boxes = [
        (min(a, c) * width, min(b, d) * height, max(a, c) * width, max(b, d) * height, score, kind)
        for a, b, c, d, score, kind in shares
    ]
    placed = rectangles(style_and_labels(boxes, height, width))
    for index, (left, top, right, bottom) in enumerate(placed):
        assert 0 <= left < right <= width
        assert 0 <= top < bottom <= height
        for other in placed[:index]:
            assert right <= other[0] or other[2] <= left or bottom <= other[1] or other[3] <= top
    drawn = draw(black(height, width), found(*boxes))
    assert drawn.shape == (height, width, 3)


def test_of_boxes_in_one_place_the_best_keeps_its_label():
    crowd = [(20, 20, 40, 40, 0.9 - index / 100, 0) for index in range(50)]
    labels = style_and_labels(crowd, 48, 64)
    alone = style_and_labels(crowd[:1], 48, 64)
    assert 1 <= len(labels) < 50
    assert rectangles(labels)[0] == rectangles(alone)[0]


@pytest.mark.parametrize(("height", "width"), [(48, 64), (480, 640), (1080, 1920), (6000, 8000)])
def test_letters_are_readable_at_any_resolution(height, width):
    (label,) = style_and_labels([(width / 4, height / 4, width / 2, height / 2, 0.87, 0)], height, width)
    inked = np.flatnonzero((label.ink > 127).any(axis=1))
    letter_height = inked[-1] - inked[0] + 1
    assert letter_height >= 0.8 * SMALLEST_FONT
    # Shown 1,000 pixels wide, letters are still some eight pixels high.
    assert letter_height * 1000 / max(width, 1000) >= 0.8 * SMALLEST_FONT


def test_lines_and_letters_grow_with_the_picture():
    styles = [Style.for_picture(3 * side, 4 * side) for side in (16, 120, 270, 1000, 2000)]
    for sizes in zip(*((style.line, style.font, style.pad) for style in styles), strict=True):
        assert list(sizes) == sorted(sizes)
    assert styles[0].line == 1
    assert styles[-1].line >= 20
    assert Style.for_picture(100, 100, line_width=9, font_size=33) == Style(9, 33, 5)


def test_too_long_a_name_loses_its_score_then_its_end():
    def width(picture_width):
        (label,) = style_and_labels([(0, 40, 20, 60, 0.87, 2)], 100, picture_width)
        return label.ink.shape[1]

    full = width(600)
    assert width(full) == full
    without_score = width(full - 1)
    assert 0.7 * full < without_score < full
    assert 0.6 * without_score < width(without_score - 1) < without_score


def test_no_label_where_not_even_one_letter_fits():
    assert style_and_labels([(0, 0, 1, 4000, 0.9, 0)], 4000, 1) == []
    assert style_and_labels([(0, 0, 4000, 1, 0.9, 0)], 1, 4000) == []
    assert draw(black(1, 1), found((0, 0, 1, 1, 0.9, 0))).tolist() == [[list(palette(0))]]


def test_a_name_that_cannot_be_written_becomes_its_number():
    detections = found((50, 50, 90, 90, 0.87, 3))  # U+E000, which Unicode leaves to everyone
    numbered = found((50, 50, 90, 90, 0.87, 3), names=(*NAMES[:3], "#3"))
    assert np.array_equal(draw(black(), detections), draw(black(), numbered))


@pytest.mark.parametrize(
    "name", ["", "\ud83d", "\x1b[0m", "two\nlines", "x" * 10_000, "👩\u200d🚀", "שלום", "شخص"]
)
def test_no_name_is_too_strange_to_draw(name):
    drawn = draw(black(), found((50, 50, 90, 90, 0.87, 0), names=(name,)))
    assert changed(drawn)[:49].any()  # some label is there


def test_chinese_names_differ_on_the_picture():
    names = ("自行车", "交通灯", "手提包")
    pictures = [draw(black(), found((50, 50, 90, 90, 0.87, 0), names=(name,))) for name in names]
    assert len({picture.tobytes() for picture in pictures}) == 3


@pytest.mark.parametrize("wrong", [{"max_labels": -1}, {"line_width": 0}, {"font_size": -3}])
def test_sizes_out_of_range_are_named(wrong):
    ((name, value),) = wrong.items()
    with pytest.raises(OptionError, match=f"{name} {value} is less than"):
        draw(black(), found(), **wrong)


def test_threads_draw_what_one_alone_draws():
    random = np.random.default_rng(1)
    corners = random.uniform(0, 200, (40, 2, 2))
    boxes = np.concatenate([corners.min(axis=1), corners.max(axis=1)], axis=1)
    jobs = [
        found(*np.column_stack([boxes, random.uniform(size=40), random.integers(0, 5, 40)])) for _ in range(12)
    ]
    alone = [draw(black(), job).tobytes() for job in jobs]
    with ThreadPoolExecutor(6) as pool:
        assert [image.tobytes() for image in pool.map(lambda job: draw(black(), job), jobs)] == alone


def test_grey_and_rgba_images_are_drawn_on():
    grey = np.full((40, 60), 90, np.uint8)
    expected = draw(np.repeat(grey[:, :, None], 3, axis=2), found((10, 20, 30, 35, 0.9, 0)))
    for image in (grey, grey[:, :, None], np.dstack([grey, grey, grey, grey])):
        assert np.array_equal(draw(image, found((10, 20, 30, 35, 0.9, 0))), expected)


@pytest.mark.parametrize(
    ("image", "options", "message"),
    [
        (np.zeros((4, 4, 3)), {}, "float64 of shape"),
        (np.zeros((4, 4, 2), np.uint8), {}, "no image to draw on"),
        (np.zeros((4, 4, 3), np.uint8), {"max_labels": "5"}, "max_labels '5' is not a whole number"),
    ],
)
def test_what_cannot_be_drawn_on_is_named(image, options, message):
    with unchecked_shapes(), pytest.raises(OptionError, match=message):
        draw(image, found((0, 0, 2, 2, 0.9, 0)), **options)
