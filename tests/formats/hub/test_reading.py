"""Hugging Face data sets for training, from local folders with the features of detection-datasets/coco."""

import os
import pickle
import socket
import subprocess
import sys
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from lucidbox.core.boxes import xywh_to_xyxy
from lucidbox.core.errors import DataError, ImageError, OptionError, SourceError
from lucidbox.datasets import ProblemKind, to_truth
from lucidbox.datasets.training.cache import build_cache
from lucidbox.datasets.training.data import describe_data, identity, open_data
from lucidbox.formats.hub.box_forms import BoxSample, choose_form, misfits, to_xywh
from lucidbox.formats.hub.reading import open_hub

datasets = pytest.importorskip("datasets", reason="the extra 'hub' is not installed")

NAMES = ["person", "bicycle", "car"]
WIDTH, HEIGHT = 64, 48
# Of each picture: classes and boxes as left, top, width, height. The second has none.
PICTURES = [
    ([0, 2], [[4.0, 4.0, 10.0, 20.0], [40.0, 20.0, 24.0, 28.0]]),
    ([], []),
    ([1], [[30.5, 10.0, 20.0, 30.0]]),
    ([2], [[32.0, 24.0, 8.0, 8.0]]),
]
FORMS = {
    "xywh": lambda x, y, w, h: [x, y, w, h],
    "xyxy": lambda x, y, w, h: [x, y, x + w, y + h],
    "cxcywh": lambda x, y, w, h: [x + w / 2, y + h / 2, w, h],
    "xyxyn": lambda x, y, w, h: [x / WIDTH, y / HEIGHT, (x + w) / WIDTH, (y + h) / HEIGHT],
    "xywhn": lambda x, y, w, h: [x / WIDTH, y / HEIGHT, w / WIDTH, h / HEIGHT],
    "cxcywhn": lambda x, y, w, h: [(x + w / 2) / WIDTH, (y + h / 2) / HEIGHT, w / WIDTH, h / HEIGHT],
}


@pytest.fixture(autouse=True)
def offline(monkeypatch, tmp_path):
    """Nothing may be asked for over the network, and the user's cache stays as it is."""

    def refused(*arguments, **options):
        raise AssertionError("a local data set must not open a connection")

    monkeypatch.setattr(socket.socket, "connect", refused)
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "hf-cache")
    # It is shown where standard error is a terminal or not.
    datasets.disable_progress_bars()
    yield
    datasets.enable_progress_bars()


def png(seed, width=WIDTH, height=HEIGHT):
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    file = BytesIO()
    Image.fromarray(pixels).save(file, "PNG")
    return file.getvalue()


def features(**changes):
    objects = {
        "bbox_id": datasets.List(datasets.Value("int64")),
        "category": datasets.List(datasets.ClassLabel(names=NAMES)),
        "bbox": datasets.List(datasets.List(datasets.Value("float64"))),
        "area": datasets.List(datasets.Value("float64")),
    }
    columns = {
        "image_id": datasets.Value("int64"),
        "image": datasets.Image(),
        "width": datasets.Value("int32"),
        "height": datasets.Value("int32"),
        "objects": objects,
    } | changes
    return datasets.Features({name: kind for name, kind in columns.items() if kind is not None})


def rows(form="xywh", pictures=PICTURES, area=0.7):
    """Rows of one split; stated areas are of masks that fill so much of their boxes."""
    number = 0
    for index, (classes, boxes) in enumerate(pictures):
        ids = list(range(number, number + len(boxes)))
        number += len(boxes)
        yield {
            "image_id": 100 + index,
            "image": {"bytes": png(index), "path": f"{100 + index:012d}.png"},
            "width": WIDTH,
            "height": HEIGHT,
            "objects": {
                "bbox_id": ids,
                "category": list(classes),
                "bbox": [FORMS[form](*box) for box in boxes],
                "area": [area * box[2] * box[3] for box in boxes],
            },
        }


def save(folder, splits, columns=None):
    """A data set of these rows in Parquet files, as the hub has them."""
    import pyarrow
    from pyarrow import parquet

    (folder / "data").mkdir(parents=True)
    for split, listed in splits.items():
        table = pyarrow.Table.from_pylist(list(listed), schema=(columns or features()).arrow_schema)
        parquet.write_table(table, folder / "data" / f"{split}-00000-of-00001.parquet")
    return f"hf:{folder}"


@pytest.fixture
def coco(tmp_path):
    """Train and val in COCO's own form."""
    return save(tmp_path / "set", {"train": rows(), "val": rows(pictures=PICTURES[:1])})


def test_annotations_and_pictures(coco):
    data = open_hub(coco)
    part = data.train.dataset
    assert (part.name, part.source, part.names) == ("train", f"{coco}:train", tuple(NAMES))
    assert part.image_ids.tolist() == [100, 101, 102, 103]
    assert part.file_names[0] == "000000000100.png"
    assert part.sizes.tolist() == [[64, 48]] * 4
    assert part.pictures.tolist() == [0, 0, 2, 3]
    assert part.classes.tolist() == [0, 2, 1, 2]
    assert part.boxes_xywh.tolist() == [box for _, boxes in PICTURES for box in boxes]
    assert part.areas.tolist() == pytest.approx([140, 470.4, 420, 44.8])
    assert (data.problems, len(data.val.dataset)) == ((), 1)
    expected = np.asarray(Image.open(BytesIO(png(2))))
    assert np.array_equal(data.train.pictures[2], expected)
    assert data.train.pictures.name(2) == f"{coco}:train#2"


def test_the_whole_road_to_samples(coco, tmp_path):
    data = open_data(coco, classes=["car", "person"])
    assert describe_data(data) == "4 pictures, 3 objects, 2 classes"
    sample = data.samples(32)[0]
    assert sample.image.shape == (24, 32, 3)
    assert sample.boxes.tolist() == [[2, 2, 7, 12], [20, 10, 32, 24]]
    assert sample.classes.tolist() == [1, 0]
    assert data.read_val(0).shape == (48, 64, 3)
    assert to_truth(data.val).image_ids.tolist() == [100]
    cached = build_cache(data.samples(32), tmp_path / "cache", 10**6)
    assert np.array_equal(cached[3].image, data.samples(32)[3].image)
    again = build_cache(open_data(coco).samples(32), tmp_path / "cache", 10**6)
    assert again.path == cached.path
    kept = identity(open_data(coco).train)
    assert kept == identity(open_data(coco).train) != identity(data.train)


def test_pictures_that_are_files_of_their_own(tmp_path):
    """As in an image folder: rows hold paths; what is cached of such a file goes stale when it changes."""
    file = tmp_path / "picture.png"
    file.write_bytes(png(7))
    argument = save(
        tmp_path / "set",
        {"train": changed_row(2, image={"bytes": None, "path": str(file)}), "val": rows()},
    )
    before = open_data(argument).train_pictures
    assert np.array_equal(before[2], np.asarray(Image.open(BytesIO(png(7)))))
    stamps = [before.stamp(index) for index in range(4)]
    assert len(set(stamps)) == 4
    file.write_bytes(png(8))
    os.utime(file, (1, 1))
    again = open_data(argument).train_pictures
    assert [again.stamp(index) == stamps[index] for index in range(4)] == [True, True, False, True]


def test_a_copy_for_a_worker_has_no_pixels(coco):
    samples = open_data(coco).samples(32)
    copied = pickle.dumps(samples)
    assert len(copied) < 20_000
    assert np.array_equal(pickle.loads(copied)[1].image, samples[1].image)


def test_what_save_to_disk_wrote(tmp_path):
    made = {
        name: datasets.Dataset.from_list(list(rows()), features=features()) for name in ("train", "validation")
    }
    datasets.DatasetDict(made).save_to_disk(tmp_path / "saved")
    data = open_data(f"hf:{tmp_path / 'saved'}")
    assert (len(data.train), len(data.val)) == (4, 4)
    made["train"].save_to_disk(tmp_path / "single")
    with pytest.raises(DataError, match=r"has no split for val, called validation or val.*; it has: train"):
        open_data(f"hf:{tmp_path / 'single'}")


def test_objects_as_a_list_of_each(tmp_path):
    """The other way to nest: objects with fields, not fields with lists; and other names for the same."""
    kind = datasets.List(
        {"id": datasets.Value("int64"), "label": datasets.ClassLabel(names=NAMES),
         "bbox": datasets.List(datasets.Value("float32"))}
    )  # fmt: skip
    listed = [
        {
            "image": {"bytes": png(1), "path": None},
            "objects": [{"id": 5, "label": 2, "bbox": [4.0, 4.0, 50.0, 40.0]}],
        },
        {"image": {"bytes": png(2), "path": None}, "objects": []},
    ]
    columns = datasets.Features({"image": datasets.Image(), "objects": kind})
    data = open_data(save(tmp_path / "set", {"train": listed, "test": listed}, columns))
    assert data.train.boxes_xywh.tolist() == [[4, 4, 50, 40]]
    assert (data.train.classes.tolist(), data.train.sizes.tolist()) == ([2], [[64, 48]] * 2)
    assert (data.train.file_names, data.train.image_ids.tolist()) == (("000000", "000001"), [1, 2])
    assert any("no split for validation; test is taken" in note for note in data.notes)


def test_classes_that_are_texts(tmp_path):
    changed = features(
        objects={
            "category": datasets.List(datasets.Value("string")),
            "bbox": datasets.List(datasets.List(datasets.Value("float64"))),
        }
    )

    def named(order):
        for row in rows():
            objects = row["objects"]
            words = [order[number] for number in objects["category"]]
            yield {**row, "objects": {"category": words, "bbox": objects["bbox"]}}

    # In val no person: the numbers of the others would be different ones there.
    data = open_data(save(tmp_path / "set", {"train": named(NAMES), "val": list(named(NAMES))[2:]}, changed))
    assert data.names == ("bicycle", "car", "person")
    assert data.train.classes.tolist() == [2, 1, 0, 1]
    assert data.val.classes.tolist() == [0, 1]


# --- forms of boxes --------------------------------------------------------------------------------------------


@pytest.mark.parametrize("form", FORMS)
def test_each_form_is_read_to_the_same_boxes(tmp_path, form):
    argument = save(tmp_path / "set", {"train": rows(form), "val": rows(form)})
    boxes = open_hub(argument, form).train.dataset.boxes_xywh
    assert np.allclose(boxes, [box for _, boxes in PICTURES for box in boxes], atol=1e-9)


@pytest.mark.parametrize("form", ["xywh", "xyxy"])
def test_by_default_corners_and_sizes_are_told_apart(tmp_path, form):
    argument = save(tmp_path / "set", {"train": rows(form), "val": rows(form)})
    data = open_hub(argument)
    assert np.allclose(data.train.dataset.boxes_xywh[0], PICTURES[0][1][0])
    assert any(f"train: boxes are taken for {form}" in note for note in data.notes)


@pytest.mark.parametrize(
    ("form", "wrong"), [("xywh", "xyxy"), ("xyxy", "xywh"), ("xyxy", "cxcywh"), ("xywhn", "xywh")]
)
def test_a_wrong_form_is_refused_and_the_right_one_named(tmp_path, form, wrong):
    argument = save(tmp_path / "set", {"train": rows(form), "val": rows(form)})
    with pytest.raises(
        DataError, match=rf"boxes cannot be {wrong} .* can be .*\b{form}\b.*: say so with --boxes$"
    ):
        open_data(argument, boxes=wrong)


def test_rarer_forms_are_not_guessed_at(tmp_path):
    argument = save(tmp_path / "set", {"train": rows("xyxyn"), "val": rows("xyxyn")})
    with pytest.raises(DataError, match=r"boxes cannot be xywh .*they can be xyxyn"):
        open_hub(argument)


def test_an_unknown_form(coco):
    with pytest.raises(OptionError, match="boxes 'ltrb' is no form of boxes: auto, xyxy, xywh"):
        open_data(coco, boxes="ltrb")


def sample_of(boxes_xywh, form, areas=None):
    boxes = np.array(boxes_xywh, np.float64)
    written = np.array([FORMS[form](*box) for box in boxes.tolist()])
    sizes = np.tile([float(WIDTH), float(HEIGHT)], (len(boxes), 1))
    return BoxSample(written, sizes, np.full(len(boxes), np.nan) if areas is None else np.asarray(areas, float))


def test_where_both_forms_fit_the_family_decides():
    # In the upper left quarter, left and top below width and height: all of these fit both.
    sample = sample_of([[2, 2, 20, 20], [5, 5, 15, 12]], "xywh")
    assert misfits(sample)["xyxy"] == misfits(sample)["xywh"] == 0
    assert choose_form(sample, "auto", "xyxy", "a") == "xyxy"
    assert choose_form(sample, "auto", "xywh", "a") == "xywh"


def test_stated_areas_of_boxes_decide_where_pictures_cannot():
    boxes = [[2, 2, 20, 20], [5, 5, 15, 12]]
    areas = [400, 180]
    assert choose_form(sample_of(boxes, "xywh", areas), "auto", "xyxy", "a") == "xywh"
    assert choose_form(sample_of(boxes, "xyxy", areas), "auto", "xywh", "a") == "xyxy"
    with pytest.raises(DataError, match="100% of the first 2 boxes cannot be xyxy"):
        choose_form(sample_of(boxes, "xywh", areas), "xyxy", "xywh", "a")


def test_areas_of_masks_larger_than_the_box_speak_against_a_form():
    # As corners, these would be boxes of 18×18 and 10×7.
    sample = sample_of([[2, 2, 20, 20], [5, 5, 15, 12]], "xywh", [390, 120])
    assert misfits(sample)["xyxy"] == 1


def test_a_few_wrong_boxes_do_not_make_a_wrong_form():
    good = [[30, 20, 30, 20]] * 97
    assert (
        choose_form(sample_of([*good, [60, 40, 30, 30], [5, 5, 0, 3], [-9, 0, 5, 5]], "xywh"), "auto", "xyxy", "a")
        == "xywh"
    )


def test_one_wrong_box_of_five_does_not_make_a_wrong_form_either():
    boxes = [[30, 20, 30, 20], [40, 10, 20, 20], [20, 30, 9, 9], [50, 5, 10, 9], [60, 40, 30, 30]]
    sample = sample_of(boxes, "xywh")
    assert misfits(sample)["xywh"] == 0.2
    assert choose_form(sample, "auto", "xyxy", "a") == "xywh"
    many = sample_of(boxes * 4, "xywh")
    with pytest.raises(DataError, match="20% of the first 20 boxes cannot be xywh"):
        choose_form(many, "xywh", "xywh", "a")


def test_boxes_of_less_than_a_pixel_are_shares():
    sample = sample_of([[30, 20, 30, 20], [40, 10, 20, 20]], "xywhn")
    assert misfits(sample)["xywh"] == 1
    with pytest.raises(DataError, match=r"they can be xywhn.*: say so with --boxes"):
        choose_form(sample, "xywh", "xywh", "a")


def test_the_val_split_is_of_the_form_of_the_train_split(tmp_path):
    # Of itself, val could be of both forms.
    both = [([0], [[2.0, 2.0, 20.0, 20.0]])]
    for form in ("xywh", "xyxy"):
        argument = save(tmp_path / form, {"train": rows(form), "val": rows(form, both, area=0.1)})
        assert open_hub(argument).val.dataset.boxes_xywh.tolist() == [[2, 2, 20, 20]]


def test_without_any_box_the_family_decides():
    none = BoxSample(np.zeros((0, 4)), np.zeros((0, 2)), np.zeros(0))
    assert choose_form(none, "auto", "xyxy", "a") == "xyxy"


def test_to_xywh_of_corners_undoes_boxes():
    boxes = np.array([[1.5, 2, 10, 20]])
    assert to_xywh(xywh_to_xyxy(boxes), np.array([[64.0, 48.0]]), "xyxy").tolist() == boxes.tolist()


def test_real_pictures_as_corners(coco_folder, tmp_path):
    """COCO's own pictures in the form that detection-datasets/coco is believed to have, and read by the other."""
    from lucidbox.datasets import read_dataset

    part = read_dataset(coco_folder).part()
    count, splits = min(40, len(part) - 1), {}
    for split, numbers in {"train": range(count), "val": range(count, min(len(part), 60))}.items():
        splits[split] = [
            {
                "image_id": int(part.image_ids[index]),
                "image": {"bytes": part.path(index).read_bytes(), "path": part.file_names[index]},
                "width": int(part.sizes[index, 0]),
                "height": int(part.sizes[index, 1]),
                "objects": {
                    "bbox_id": part.annotation_ids[part.objects(index)].tolist(),
                    "category": part.classes[part.objects(index)].tolist(),
                    "bbox": xywh_to_xyxy(part.boxes_xywh[part.objects(index)]).tolist(),
                    "area": part.areas[part.objects(index)].tolist(),
                },
            }
            for index in numbers
        ]
    objects = features()["objects"] | {"category": datasets.List(datasets.ClassLabel(names=list(part.names)))}
    argument = save(tmp_path / "set", splits, features(objects=objects))
    data = open_data(argument)
    first = slice(0, part.objects(count - 1).stop)
    assert data.train.annotation_ids.tolist() == part.annotation_ids[first].tolist()
    assert np.allclose(data.train.boxes_xywh, part.boxes_xywh[first], atol=0.011)  # clipped where rounded outwards
    assert data.train.category_ids.tolist() == part.category_ids.tolist()  # COCO's own numbers
    for wrong in ("xywh", "cxcywh", "xyxyn"):
        with pytest.raises(DataError, match=rf"boxes cannot be {wrong} .*; they can be xyxy: say so with"):
            open_data(argument, boxes=wrong)


# --- bad input -------------------------------------------------------------------------------------------------


def changed_row(index, **changes):
    for number, row in enumerate(rows()):
        yield {**row, **changes} if number == index else row


def with_objects(**changes):
    objects = {"bbox_id": [0, 1], "category": [0, 2], "bbox": PICTURES[0][1], "area": [100.0, 100.0]}
    return changed_row(0, objects=objects | changes)


@pytest.mark.parametrize(
    ("changes", "kind"),
    [
        ({"category": [0, 7]}, ProblemKind.UNKNOWN_ID),
        ({"category": [0, None]}, ProblemKind.WRONG_TYPE),
        ({"bbox": [PICTURES[0][1][0], [1.0, 2.0, float("nan"), 4.0]]}, ProblemKind.NOT_FINITE),
        ({"bbox": [PICTURES[0][1][0], [1.0, 2.0, 3.0]]}, ProblemKind.WRONG_TYPE),
        ({"bbox": [PICTURES[0][1][0]]}, ProblemKind.WRONG_TYPE),
        ({"bbox": [PICTURES[0][1][0], None]}, ProblemKind.WRONG_TYPE),
    ],
)
def test_bad_objects_are_reported_and_left_out(tmp_path, changes, kind):
    argument = save(tmp_path / "set", {"train": with_objects(**changes), "val": rows()})
    data = open_data(argument, boxes="xywh")
    assert [problem.kind for problem in data.problems] == [kind]
    assert data.problems[0].place == f"{argument}:train#0: object 1"
    assert data.train.pictures.tolist() == [0, 2, 3]
    assert len(data.train) == 4


def test_a_bad_object_is_found_by_its_row_where_others_are_left_out(tmp_path):
    listed = list(rows())
    listed[0] = {**listed[0], "image": None}
    listed[2] = {**listed[2], "objects": listed[2]["objects"] | {"category": [7]}}
    argument = save(tmp_path / "set", {"train": listed, "val": rows()})
    data = open_data(argument, boxes="xywh")
    assert [problem.place for problem in data.problems] == [f"{argument}:train#0", f"{argument}:train#2: object 0"]


def test_boxes_outside_are_reported(tmp_path):
    many = [([0], [[30.0, 20.0, 30.0, 20.0]])] * 30
    listed = [*many, ([0], [[70.0, 10.0, 5.0, 5.0]])]
    data = open_data(save(tmp_path / "set", {"train": rows(pictures=listed), "val": rows()}))
    assert [problem.kind for problem in data.problems] == [ProblemKind.OUTSIDE]
    assert len(data.train.classes) == 30


@pytest.mark.parametrize(
    ("cell", "kind", "message"),
    [
        ({"bytes": b"not a picture", "path": None}, ProblemKind.UNREADABLE_PICTURE, "not a picture"),
        ({"bytes": b"", "path": None}, ProblemKind.UNREADABLE_PICTURE, "is empty"),
        (
            {"bytes": b"8BPS" + bytes(64 * 48 * 3), "path": None},
            ProblemKind.UNREADABLE_PICTURE,
            "not a picture",
        ),
        ({"bytes": None, "path": "gone.png"}, ProblemKind.UNREADABLE_PICTURE, "no such file"),
        (None, ProblemKind.UNREADABLE_PICTURE, "the row has no picture"),
        ({"bytes": png(1, 48, 64), "path": None}, ProblemKind.PICTURE_SIZE, "is 48×64, annotated as 64×48"),
    ],
)
def test_bad_pictures_are_reported_and_left_out(tmp_path, cell, kind, message):
    argument = save(tmp_path / "set", {"train": changed_row(2, image=cell), "val": rows()})
    data = open_data(argument)
    (problem,) = data.problems
    assert (problem.kind, problem.place, problem.left_out) == (kind, f"{argument}:train#2", True)
    assert message in problem.message
    assert data.train.image_ids.tolist() == [100, 101, 103]
    assert np.array_equal(data.train_pictures[2], np.asarray(Image.open(BytesIO(png(3)))))


def test_a_cut_picture_is_told_when_it_is_read(tmp_path):
    cell = {"bytes": png(2)[:-200], "path": None}
    argument = save(tmp_path / "set", {"train": changed_row(2, image=cell), "val": rows()})
    with pytest.raises(ImageError, match=r":train#2: damaged or truncated"):
        open_data(argument).samples(32)[2]


def test_a_picture_turned_by_exif_is_as_large_as_a_viewer_shows_it(tmp_path):
    file = BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(np.zeros((64, 48, 3), np.uint8)).save(file, "JPEG", exif=exif)
    cell = {"bytes": file.getvalue(), "path": None}
    data = open_data(save(tmp_path / "set", {"train": changed_row(0, image=cell), "val": rows()}))
    assert data.problems == ()
    assert data.samples(64)[0].image.shape == (48, 64, 3)


def test_ids_that_are_not_unique_are_replaced(tmp_path):
    listed = [{**row, "image_id": 1} for row in rows()]
    data = open_data(save(tmp_path / "set", {"train": listed, "val": rows()}))
    assert data.train.image_ids.tolist() == [1, 2, 3, 4]
    assert data.problems == ()


def test_no_data_set_and_missing_columns(tmp_path):
    with pytest.raises(SourceError, match=r"^hf:.*nowhere"):
        open_data(f"hf:{tmp_path / 'nowhere'}")
    without = datasets.Features({"image": datasets.Image()})
    listed = [{"image": {"bytes": png(0), "path": None}}]
    argument = save(tmp_path / "bare", {"train": listed, "val": listed}, without)
    with pytest.raises(DataError, match=r"has no column objects or annotations; it has: image"):
        open_data(argument)
    boxless = [{**row, "objects": {"category": row["objects"]["category"]}} for row in rows()]
    columns = features(objects={"category": datasets.List(datasets.Value("int64"))})
    argument = save(tmp_path / "boxless", {"train": boxless, "val": boxless}, columns)
    with pytest.raises(DataError, match=r"objects has no field bbox or bboxes .*; it has: category"):
        open_data(argument)
    blind = [{**row, "image": "text"} for row in rows()]
    argument = save(tmp_path / "blind", {"train": blind, "val": blind}, features(image=datasets.Value("string")))
    with pytest.raises(DataError, match="no column is declared to hold pictures"):
        open_data(argument)


def test_nothing_usable(tmp_path):
    blank = [{**row, "image": None} for row in rows()]
    with pytest.raises(DataError, match=r"train: no usable picture to learn from; 4 problems.*#0: the row has no"):
        open_data(save(tmp_path / "blank", {"train": blank, "val": rows()}))
    objectless = [{**row, "objects": {key: [] for key in row["objects"]}} for row in rows()]
    with pytest.raises(DataError, match="train: no usable object to learn from"):
        open_data(save(tmp_path / "objectless", {"train": objectless, "val": rows()}))


def test_files_that_datasets_cannot_read(tmp_path):
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "train.parquet").write_bytes(b"PAR1 not really")
    with pytest.raises(SourceError, match=r"^hf:.*set: .*[Pp]arquet"):
        open_data(f"hf:{tmp_path / 'set'}")


def test_name_revision_and_configuration(monkeypatch, coco):
    asked = []

    def load(*arguments, **options):
        asked.append((arguments, options))
        raise ConnectionError("Couldn't reach the hub\nand more")

    monkeypatch.setattr(datasets, "load_dataset", load)
    for argument in ("hf:a/b", "hf:a/b:small", "hf:a/b@v1", "hf:a/b@v1:small"):
        with pytest.raises(SourceError, match=rf"^{argument}: Couldn't reach the hub$"):
            open_data(argument)
    assert asked == [
        (("a/b", None), {"revision": None}),
        (("a/b", "small"), {"revision": None}),
        (("a/b", None), {"revision": "v1"}),
        (("a/b", "small"), {"revision": "v1"}),
    ]


@pytest.mark.thorough
def test_opening_imports_no_torch_and_telemetry_is_off(coco, tmp_path):
    script = """
import sys
from lucidbox.formats.hub.reading import open_hub
assert "datasets" not in sys.modules
data = open_hub(sys.argv[1])
assert data.train.pictures[0].shape == (48, 64, 3)
import huggingface_hub.constants
print("torch" in sys.modules, huggingface_hub.constants.HF_HUB_DISABLE_TELEMETRY)
"""
    environment = {**os.environ, "HF_DATASETS_CACHE": str(tmp_path / "other-cache")}
    done = subprocess.run(
        [sys.executable, "-c", script, coco], capture_output=True, text=True, timeout=120, env=environment
    )
    assert done.stdout.strip() == "False True", done.stderr
