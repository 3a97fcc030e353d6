# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # 1 · Data: what a detector learns from
#
# *First of five notebooks: **data** → backbone → neck and head → training → inference.*
#
# A detector is shown pictures in which people have drawn boxes, and learns to draw them itself. Before any network there are
# three questions, and each has a wrong answer that costs accuracy for ever after:
#
# 1. **What is a box?** Four numbers, but which four, of which pixels?
# 2. **How does a picture of any shape enter a network of a fixed grid** without people becoming fat or thin?
# 3. **How do four pictures become four thousand?** Augmentation changes pixels at random. Its boxes must follow exactly.
#
# Everything here runs on four photographs from COCO that come with lucidbox (CC BY; `examples/README.md` names their
# sources), on the very functions that `lucidbox train` uses. No torch is needed for any of it.

# %%
# For Colab alone: fetches lucidbox with its example pictures, and installs it.
# Anywhere else this cell does nothing.
import os
import subprocess
import sys

REPOSITORY = ""  # on Colab, put here what you would give to git clone
if "google.colab" in sys.modules and not os.path.isdir("examples"):
    assert REPOSITORY, "name the repository's address in this cell"
    subprocess.run(["git", "clone", "--depth", "1", REPOSITORY, "lucidbox"], check=True)
    os.chdir("lucidbox")
    subprocess.run([sys.executable, "-m", "pip", "install", "-q", ".[train,plots]"], check=True)

# %%
from dataclasses import replace
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np

from lucidbox.core.boxes import pairwise_iou, xywh_to_cxcywh, xywh_to_xyxy
from lucidbox.datasets import read_dataset
from lucidbox.datasets.augment import Augmentation, Augmenter, Sample, contact_sheet, plain
from lucidbox.datasets.training import PictureSamples
from lucidbox.detect.letterbox import fit
from lucidbox.draw import show
from lucidbox.images.reading import read_image

here = Path.cwd()
EXAMPLES = next(
    folder / "examples"
    for folder in (here, *here.parents)
    if (folder / "examples/street.jpg").is_file()
)
plt.rcParams.update({"figure.dpi": 80, "font.size": 9, "axes.axisbelow": True})
plt.rcParams.update({"axes.grid": True, "grid.color": "#eef1f4"})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})

# %% [markdown]
# ## 1. A data set is columns
#
# COCO's annotation file is one JSON with three lists: `images`, `categories`, `annotations`
# ([format](https://cocodataset.org/#format-data); Lin et al., [arXiv 1405.0312](https://arxiv.org/abs/1405.0312)). An annotation
# names its image and category by number, and has a `bbox` = left, top, width, height in pixels.
#
# `read_dataset` turns lists of objects into a few arrays (one row an object) and *counts what is wrong* instead of failing
# at the first odd entry. Category ids have gaps in COCO (1 to 90 for 80 classes); class ids have none: they are indices into
# `names`.

# %%
reading = read_dataset(EXAMPLES / "instances.json", images=EXAMPLES)
data = reading.parts[0]
data

# %% [markdown]
# The table above is how a data set shows itself. The pictures, with the boxes that people drew. Look closely: the kitchen has
# 19 boxes, some of a few pixels; in the pizza picture only one of the people behind the table is annotated. Truth
# is what someone had time for, and a detector is measured against exactly that.

# %%
samples = PictureSamples(data, 360)  # the longer side of every picture has 360 pixels
show(contact_sheet([samples[index] for index in range(len(samples))], data.names, columns=2))

# %% [markdown]
# Sizes decide how hard an object is. COCO calls objects *small* below $32^2$ square pixels and *large* from $96^2$ on.
# There are many small ones, and classes are either frequent or rare, here as in the whole of COCO:

# %%
sides = np.sqrt(data.boxes_xywh[:, 2] * data.boxes_xywh[:, 3])
figure, (left, right) = plt.subplots(1, 2, figsize=(9, 2.8), layout="constrained")
left.hist(sides, bins=np.geomspace(4, 500, 22), color="#2f6fb3")
left.set(xscale="log", xlabel="√(width · height) of a box, pixels", ylabel="objects")
for border, name in ((32, "small | medium"), (96, "medium | large")):
    left.axvline(border, color="#d9822b")
    left.text(border, left.get_ylim()[1], f" {name}", va="top", fontsize=7, color="#d9822b")
counts = np.bincount(data.classes, minlength=len(data.names))
frequent = np.argsort(-counts, kind="stable")[: np.count_nonzero(counts)]
right.bar([data.names[index] for index in frequent], counts[frequent], color="#2f6fb3")
right.tick_params(axis="x", rotation=90, labelsize=7)
right.set_ylabel("objects")
plt.show()
small, large = (sides < 32).mean(), (sides >= 96).mean()
print(f"{small:.0%} of the objects are small, {large:.0%} are large")

# %% [markdown]
# ## 2. Three ways to write one box
#
# | name | numbers | who writes it so |
# |---|---|---|
# | xywh | left, top, width, height in pixels | COCO's JSON |
# | xyxy | left, top, right, bottom in pixels | networks, suppression, nearly all code |
# | cxcywh, normalised | centre x, centre y, width, height, each divided by the picture's side | YOLO's text files |
#
# A box in the wrong form is still four plausible numbers, which is why this mistake is so common. The first person in
# the street, in all three:

# %%
street = data.file_names.index("street.jpg")
rows = data.objects(street)
xywh = data.boxes_xywh[rows][data.classes[rows] == data.names.index("person")]
width, height = data.sizes[street]
print("xywh            ", xywh[0].round(1))
print("xyxy            ", xywh_to_xyxy(xywh)[0].round(1))
print("cxcywh, relative", (xywh_to_cxcywh(xywh)[0] / [width, height, width, height]).round(4))

# %% [markdown]
# **What happens when xywh is taken for xyxy?** How well two boxes agree is measured by *intersection over union*,
#
# $$\mathrm{IoU}(A,B) = \frac{|A \cap B|}{|A \cup B|} = \frac{|A\cap B|}{|A| + |B| - |A\cap B|}.$$
#
# By hand for two boxes of 10 × 10 that share half: the intersection is 50, the union 150, so IoU = 1/3. Then the three
# people, each beside its own box misread:

# %%
square, shifted = np.array([[0.0, 0, 10, 10]]), np.array([[5.0, 0, 15, 10]])
print(
    "by hand 50 / (100 + 100 - 50) =",
    round(50 / 150, 4),
    "  ours:",
    pairwise_iou(square, shifted)[0, 0].round(4),
)
misread = pairwise_iou(xywh_to_xyxy(xywh), np.abs(xywh)).diagonal()
print("IoU of each person's box with the same numbers read as xyxy:", misread.round(3))

# %% [markdown]
# Every box would count as wrong. `lucidbox evaluate` tries such readings when a result is suspiciously bad, and names
# the one under which the predictions fit.
#
# ## 3. Letterbox: any picture into one grid
#
# The network halves its input five times, so its sides must be multiples of $2^5 = 32$. Our street has 640 × 428 pixels.
# Stretching it to a square would make everyone half as wide again, and the network would have to learn every person at every
# aspect ratio. A **letterbox** keeps the shape: one gain for both sides, and grey where nothing is left.
#
# $$g = \min\left(\frac{H_\text{net}}{h}, \frac{W_\text{net}}{w}\right), \qquad
# (h', w') = (\lfloor g h \rceil, \lfloor g w \rceil)$$

# %%
image = read_image(EXAMPLES / "street.jpg")
square_box = fit(image.shape[:2], (416, 416), square=True)
tight_box = fit(image.shape[:2], (416, 416))
stretched = cv2.resize(image, (416, 416))
white = np.full((416, 8, 3), 255, np.uint8)
tight = np.full((416, 416, 3), 255, np.uint8)
tight[: tight_box.shape[0]] = tight_box.apply(image)
row = np.hstack([stretched, white, square_box.apply(image), white, tight])
show(cv2.resize(row, None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA))
print(
    "left: stretched.  middle: letterbox to a square.  right: to multiples of 32, as lucidbox predicts"
)
saved = 1 - np.prod(tight_box.shape) / np.prod(square_box.shape)
print(
    f"network inputs {square_box.shape} and {tight_box.shape}: {saved:.0%} of the pixels, and of the work, are saved"
)

# %% [markdown]
# **Back to the picture.** Boxes come out in pixels of the network's input. Undoing the letterbox needs the *rounded* sizes:
# 428 · 0.65 = 278.2 pixels become 278, so the vertical gain is 278 / 428, not 0.65. The seed of this series uses one scale
# for both sides. How far does a box at the far corner drift?

# %%
corner = np.array([[600.0, 400, 640, 428]], np.float32)
vertical, horizontal = tight_box.gain
inside = corner * np.float32([horizontal, vertical, horizontal, vertical])
inside += np.float32([tight_box.left, tight_box.top, tight_box.left, tight_box.top])
one_scale = (inside - np.float32([tight_box.left, tight_box.top] * 2)) / np.float32(416 / 640)
print("restored with a gain for each side:", tight_box.restore(inside)[0].round(3))
print("restored with one scale           :", one_scale[0].round(3))
worst = 0.0
for h in range(200, 1000):  # pictures of other heights, 640 wide
    box = fit((h, 640), (416, 416))
    worst = max(worst, abs(h * box.gain[0] / (416 / max(h, 640)) - h))
print(f"the largest drift over pictures 640 wide and 200 to 999 high: {worst:.2f} pixels")

# %% [markdown]
# Less than a pixel: invisible in a drawing. But a person 20 pixels high whose box is off by 0.7 pixels has lost IoU that
# COCO's strictest threshold (0.95) asks for. Exactness is cheap here, so we have it.
#
# ## 4. Augmentation: new pictures from old ones
#
# The small YOLO11 has 2.6 million weights, and learns a few thousand pictures by heart. Augmentation says what does **not** matter: a person is a person
# mirrored, brighter, smaller, cut off. Each line below is one setting alone; the boxes are computed, not drawn again.


# %%
def variants(count: int = 4, seed: int = 4, **changes: float) -> list[Sample]:
    """Samples of the street in which only these settings change anything."""
    augmenter = Augmenter(samples, 208, replace(plain(), **changes))
    return [augmenter(street, np.random.default_rng((seed, number))) for number in range(count)]


settings = {
    "flip_horizontal": {"flip_horizontal": 0.5},
    "hue, saturation, value": {"hue": 0.015, "saturation": 0.7, "value": 0.4},
    "scale, translate": {"scale": 0.5, "translate": 0.1},
    "degrees, shear": {"degrees": 12.0, "shear": 6.0},
    "mosaic": {"mosaic": 1.0},
    "mixup": {"mixup": 1.0},
}
for name, changes in settings.items():
    print(name)
    show(contact_sheet(variants(**changes), data.names, columns=4))

# %% [markdown]
# **Flips** map $x \to W - x$, and left and right change places; twice is nothing:

# %%
from lucidbox.datasets.augment.geometry import flip_horizontal

once = flip_horizontal(samples[street])
twice = flip_horizontal(once)
print("pixels as before:", np.array_equal(twice.image, samples[street].image))
print(
    "boxes as before :", np.abs(twice.boxes - samples[street].boxes).max(), "pixels apart at most"
)
print("still left < right:", bool((once.boxes[:, 0] < once.boxes[:, 2]).all()))

# %% [markdown]
# **Rotation is off by default, and here is why.** A turned object is still inside the turned box, but the label must be an
# *upright* box around the four turned corners. That grows, whatever the object's outline does:
#
# $$w' = w\,|\cos\alpha| + h\,|\sin\alpha|, \qquad h' = w\,|\sin\alpha| + h\,|\cos\alpha|$$
#
# (An ellipse, more like a person than a rectangle is, would need $w' = \sqrt{w^2\cos^2\alpha + h^2\sin^2\alpha}$ only.) We
# turn a 60 × 160 box with the pipeline's own function, and compare with the formula:

# %%
from lucidbox.datasets.augment.geometry import Affine, move_boxes

angles = np.arange(0, 46, 3)
box, w, h = np.array([[170.0, 120, 230, 280]]), 60, 160
ours, formula, ellipse = [], [], []
for angle in np.radians(angles):
    cosine, sine = np.cos(angle), np.sin(angle)
    turn = Affine(
        np.array([[cosine, sine, 0], [-sine, cosine, 0]]), 1.0, (0, 0, 416, 416), upright=False
    )
    moved = move_boxes(box, turn)[0]
    ours.append((moved[2] - moved[0]) * (moved[3] - moved[1]))
    formula.append((w * cosine + h * sine) * (w * sine + h * cosine))
    ellipse.append(np.hypot(w * cosine, h * sine) * np.hypot(w * sine, h * cosine))
print(
    "largest difference to the formula:",
    np.abs(np.subtract(ours, formula)).max().round(9),
    "square pixels",
)
figure, axes = plt.subplots(figsize=(5, 2.6), layout="constrained")
axes.plot(angles, np.divide(ours, w * h), "o-", label="box around the turned box (what is learnt)")
axes.plot(
    angles,
    np.divide(ellipse, w * h),
    "--",
    label="box around a turned ellipse (what would be right)",
)
axes.set(xlabel="degrees", ylabel="area, upright = 1")
axes.legend(frameon=False)
plt.show()
print(
    f"at 12 degrees the label is {ours[4] / ellipse[4]:.2f} times as large as an elliptic object's own box"
)

# %% [markdown]
# **Mosaic** (Bochkovskiy et al., [arXiv 2004.10934](https://arxiv.org/abs/2004.10934)) puts four pictures around one random point.
# Two claims are made for it: more objects in a picture, and smaller ones. Claims can be counted:

# %%
single = Augmenter(samples, 320, plain())
mosaic = Augmenter(samples, 320, Augmentation())  # the published settings: mosaic always, scale 0.5
plain_boxes = [single(index, np.random.default_rng(0)).boxes for index in range(4)]
mosaic_boxes = [
    mosaic(number % 4, np.random.default_rng((1, number))).boxes for number in range(120)
]


def lengths(boxes: list[np.ndarray]) -> np.ndarray:
    """Square roots of the areas of all boxes."""
    every = np.concatenate(boxes)
    return np.sqrt((every[:, 2:] - every[:, :2]).prod(axis=1))


figure, axes = plt.subplots(figsize=(6, 2.6), layout="constrained")
bins = np.geomspace(2, 320, 26)
for label, boxes, colour in (
    ("letterboxed", plain_boxes, "#7b8794"),
    ("mosaic", mosaic_boxes, "#2f6fb3"),
):
    share = np.full(sum(map(len, boxes)), 1 / len(boxes))
    axes.hist(lengths(boxes), bins, weights=share, histtype="step", lw=2, color=colour, label=label)
    each = [len(one) for one in boxes]
    median = np.median(lengths(boxes))
    print(f"{label:<12} {np.mean(each):5.1f} objects a picture, median size {median:5.1f} pixels")
axes.set(xscale="log", xlabel="√area of a box at 320 pixels", ylabel="boxes a picture")
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# The first claim holds. The second does not, with these settings: each of the four pictures keeps its full size on a canvas twice
# as wide, and the scale of 0.5 to 1.5 works in both directions. What mosaic gives besides more objects is that they are
# **cut off**, and that one picture has **four backgrounds**, so that no class can be told by where it usually stands.
#
# **Which boxes survive?** After cutting, a box of a sliver says "here is a person" where a finger is left. The published rule
# keeps a box if it is more than 2 pixels wide and high, more than a tenth of it is visible, and it is not a hundred times as long as wide.

# %%
from lucidbox.datasets.augment.geometry import kept

before = np.array([[0.0, 0, 100, 100]] * 4)
after = np.array([[0.0, 0, 100, 100], [0, 0, 9, 100], [0, 0, 11, 100], [0, 0, 100, 1.5]])
for cut, stays in zip(after, kept(before, after), strict=True):
    print(f"{cut[2]:5.1f} × {cut[3]:5.1f} of 100 × 100 is left:", "kept" if stays else "dropped")

# %% [markdown]
# **One interpolation, not three.** Every resampling blurs. Fitting, then scaling, then rotating would blur three times; here all
# maps are multiplied first, and pixels are read once. How much detail does each way keep? (Variance of the Laplacian: the usual
# measure of sharpness.)


# %%
def detail(pixels: np.ndarray) -> float:
    """Variance of the Laplacian: high where edges are sharp."""
    return float(
        cv2.Laplacian(cv2.cvtColor(pixels, cv2.COLOR_RGB2GRAY), cv2.CV_64F)[30:-30, 30:-30].var()
    )


def about_centre(angle: float, scale: float) -> np.ndarray:
    return np.vstack([cv2.getRotationMatrix2D((320, 214), angle, scale), [0, 0, 1]])


steps = [about_centre(7, 1), about_centre(0, 0.9), about_centre(-3, 1 / 0.9)]
three_times = image
for step in steps:
    three_times = cv2.warpAffine(three_times, step[:2], (640, 428), flags=cv2.INTER_LINEAR)
one_map = cv2.warpAffine(
    image, (steps[2] @ steps[1] @ steps[0])[:2], (640, 428), flags=cv2.INTER_LINEAR
)
for name, pixels in (("original", image), ("one interpolation", one_map), ("three", three_times)):
    print(f"{name:<18} sharpness {detail(pixels):5.0f}")
view = np.s_[150:300, 250:450]
bar = np.full((300, 8, 3), 255, np.uint8)
parts = [
    cv2.resize(one[view], (400, 300), interpolation=cv2.INTER_NEAREST)
    for one in (image, one_map, three_times)
]
show(np.hstack([parts[0], bar, parts[1], bar, parts[2]]))

# %% [markdown]
# ## 5. Randomness with an address
#
# Usually one generator is drawn from again and again, and what a picture becomes depends on everything drawn before. Then
# two workers, or a training that is resumed, see other pictures. Here every picture's changes follow from (seed, epoch, position)
# alone, so anybody can make them at any time:

# %%
from lucidbox.train.sampling_schedule import SamplingSchedule, prepare

whole = SamplingSchedule(pictures=4, batch=4, epochs=2, mixed_epochs=1, seed=7)
places = list(whole.places(0))
forward = [prepare(mosaic, place, 4, seed=7).sample for batch in places for place in batch]
backward = [
    prepare(mosaic, place, 4, seed=7).sample
    for batch in reversed(places)
    for place in reversed(batch)
]
same = [np.array_equal(a.image, b.image) for a, b in zip(forward, reversed(backward), strict=True)]
print(f"prepared forwards and backwards: {sum(same)} of {len(same)} pictures are equal bit for bit")
halves = [list(replace(whole, rank=rank, processes=2).places(0)) for rank in (0, 1)]
together = [first + second for first, second in zip(*halves, strict=True)]
print("two processes see together what one sees:", together == places)
print("an epoch's order:", whole.order(0)[0], " the next one's:", whole.order(1)[0])
print("mosaic in epoch 0:", places[0][0].mixing, " in the last epochs:", places[1][0].mixing)

# %% [markdown]
# The last epochs go without mosaic: a network that has only ever seen collages would be surprised by a photograph.
#
# ## What to take along
#
# - A box is four numbers *and* a convention. Every function in lucidbox says which one.
# - Letterbox keeps shapes; its rounding must be undone as it was done.
# - Augmentation is a claim about what does not matter. Count what it does; some claims are weaker than they sound.
# - One resampling, one address for every random number.
#
# ## Exercises
#
# 1. The pizza picture has 461 rows. What is its network input at 416, and how many rows of it are grey? Compute by hand, then ask `fit`.
# 2. Set `hue=0.5`. Which classes of COCO would that harm most? Which not at all?
# 3. `flip_vertical` is 0 by default. Name a data set for which 0.5 would be right.
# 4. With `copy_paste=1.0` whole rectangles are pasted. Find in `augment/mixing.py` when a box is *not* pasted, and say why.
# 5. In the mosaic histogram, replace `Augmentation()` by `replace(Augmentation(), scale=0.0)`. Which part of the change in sizes was
#    mosaic's, and which scale's?
# 6. Write one line that turns every xyxy box of `samples[street]` into YOLO's text format, and check it with `lucidbox data convert`.
