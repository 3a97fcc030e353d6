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
# # 5 · Inference: decode, suppress, measure, explain
#
# *Last of five notebooks: data → backbone → neck and head → training → **inference**.*
#
# This one follows the notebook that lucidbox grew from, "Inference, NMS, and COCO Evaluation" of the series *YOLOv11 from scratch*,
# section by section, on a network that has learnt something. The seed is a good teacher: short, and right in nearly everything. Where we differ,
# we say so and measure what it changes.
#
# | in the seed | here |
# |---|---|
# | setup, imports, model components | 1 |
# | prediction decoding | 2 |
# | non-maximum suppression | 3 |
# | end-to-end pipeline | 4 |
# | visualization functions, demo inference | 5 |
# | COCO mAP evaluation, evaluation on real images | 6 |
# | Grad-CAM, its demo | 7, and beyond it |
# | performance benchmarking | 8 |
# | summary | 9, with the table of all differences |

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
from pathlib import Path

import cv2
import matplotlib.pyplot as plt
import numpy as np
import torch

from lucidbox import Detector, weights
from lucidbox.core.boxes import pairwise_iou, xywh_to_xyxy
from lucidbox.core.detections import Detections
from lucidbox.detect.letterbox import fit
from lucidbox.detect.nms import Limits, select, suppress
from lucidbox.draw import draw, show
from lucidbox.evaluate import evaluate, load_truth
from lucidbox.explain import class_gradcam, explain
from lucidbox.images.reading import read_image
from lucidbox.model import Decoder, anchor_points, build
from lucidbox.model_files import bundled

here = Path.cwd()
EXAMPLES = next(
    folder / "examples"
    for folder in (here, *here.parents)
    if (folder / "examples/street.jpg").is_file()
)
plt.rcParams.update({"figure.dpi": 80, "font.size": 9, "axes.axisbelow": True})
plt.rcParams.update({"axes.grid": True, "grid.color": "#eef1f4"})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
STREET = EXAMPLES / "street.jpg"
image = read_image(STREET)
detector = Detector.load(precision="fp32")  # the model that comes with lucidbox, on OpenVINO

# %% [markdown]
# ## 1. The network
#
# The seed writes its network out once more, with random weights, and therefore finds nothing. Here it is a name: same modules, same tensors'
# names and shapes, so a checkpoint made with the seed's notebooks loads. (With 16 base channels, to be quick; 64 is the seed's own.)

# %%
torch.manual_seed(0)
seeds = build("notebook", classes=80, base_channels=16).eval()
frame = fit(image.shape[:2], (384, 384))
x = torch.from_numpy(frame.apply(image)).permute(2, 0, 1)[None] / 255
with torch.no_grad():
    scores = Decoder(seeds.strides, seeds.bins)(seeds(x), *frame.shape).scores[0]
print("first tensors:", list(seeds.state_dict())[:3])
print(f"{len(scores)} anchors, best score with random weights {scores.max():.3f}:",
      f"{(scores.amax(dim=1) > 0.25).sum()} anchors above 0.25")  # fmt: skip

# %% [markdown]
# Every single anchor is above the threshold: the seed's class bias begins near 0 (no prior, see notebook 3), so all sigmoids start near 0.5. From
# here on we use the trained YOLO11n.

# %%
network = weights.network(weights.read(bundled.SAFETENSORS)).eval()
with torch.no_grad():
    logits = network(x)
height, width = frame.shape

# %% [markdown]
# ## 2. Prediction decoding
#
# A cell $(i, j)$ of a level with stride $s$ stands for the point $((i + \tfrac12)s,\ (j + \tfrac12)s)$, and its four numbers are distances in cells:
#
# $$x_1 = c_x - l s, \quad y_1 = c_y - t s, \quad x_2 = c_x + r s, \quad y_2 = c_y + b s, \qquad
# (l, t, r, b) = \mathbb{E}[\mathrm{softmax}(z)]$$
#
# By hand for all anchors at once, then by the `Decoder` that stands inside our exported graph:

# %%
grids = [(height // stride, width // stride) for stride in (8, 16, 32)]
points, strides = [], []
for (rows, columns), stride in zip(grids, (8, 16, 32), strict=True):
    y, px = np.mgrid[:rows, :columns]
    points.append(np.stack([px.ravel() + 0.5, y.ravel() + 0.5], axis=1) * stride)
    strides += [stride] * (rows * columns)
points, strides = np.concatenate(points), np.array(strides)
sides = logits.boxes[0].double().T.reshape(-1, 4, 16).softmax(dim=2).numpy() @ np.arange(16)
by_hand = np.concatenate(
    [points - sides[:, :2] * strides[:, None], points + sides[:, 2:] * strides[:, None]], 1
)
predicted = Decoder(network.strides, network.bins)(logits, height, width)
boxes, scores = predicted.boxes[0].numpy(), predicted.scores[0].numpy()
print(
    "anchor points equal ours:",
    np.array_equal(points, anchor_points(grids, (8, 16, 32)).points.numpy()),
)
print(f"largest difference of a box: {np.abs(by_hand - boxes).max():.1e} pixels")

# %% [markdown]
# **Filter.** An anchor's best class must score above a threshold. `select` does it in one pass over all scores, best first, equal ones by
# the lower anchor. (The seed takes equal scores as torch's sort happens to give them.)

# %%
for conf in (0.5, 0.25, 0.1, 0.01):
    print(
        f"above {conf:<4}: {len(select(scores, Limits(conf=conf)).anchors):>4} of {len(scores)} anchors"
    )

# %% [markdown]
# **A difference: clamping.** The seed clamps boxes to 0 … 640 *before* suppression. That changes overlaps of boxes that reach over the
# edge. Two boxes of a person who is half outside:

# %%
two = np.array([[-60.0, 100, 90, 300], [-10.0, 100, 90, 300]])
print("IoU as predicted:", pairwise_iou(two[:1], two[1:])[0, 0].round(3))
clamped = two.clip(0, 640)
print("IoU after clamping:", pairwise_iou(clamped[:1], clamped[1:])[0, 0].round(3))

# %% [markdown]
# Above or below the threshold of 0.7, by the order of two steps. Here boxes are clipped to the picture *after* suppression.
#
# ## 3. Non-maximum suppression
#
# One object, many anchors. Greedy suppression keeps the best box, drops what overlaps it, and goes on with the best of the rest. Two boxes by hand: the
# intersection is 80 · 100, the union 2 · 10,000 − 8,000, so IoU = 8,000 / 12,000 = 2/3:

# %%
pair = np.array([[0, 0, 100, 100], [20, 0, 120, 100]], np.float32)
pair_scores, same_class = np.array([0.8, 0.9], np.float32), np.array([0, 0])
for threshold in (0.45, 0.66, 0.67, 0.7):
    print(
        f"threshold {threshold}: kept", suppress(pair, pair_scores, same_class, threshold).tolist()
    )
print("two classes:", suppress(pair, pair_scores, np.array([0, 1]), 0.45).tolist())

# %% [markdown]
# The seed suppresses at 0.45, the published settings at 0.7 (people who stand close overlap by more than 0.45). Now for all candidates of the
# street, with a loop as plain as can be, against ours, which works in blocks and stops when it has enough:


# %%
def plain_nms(boxes: np.ndarray, scores: np.ndarray, classes: np.ndarray, iou: float) -> list[int]:
    """Greedy suppression per class, one box at a time."""
    kept: list[int] = []
    for row in np.argsort(-scores, kind="stable"):
        rivals = [other for other in kept if classes[other] == classes[row]]
        if not rivals or pairwise_iou(boxes[row][None], boxes[rivals]).max() <= iou:
            kept.append(int(row))
    return kept


candidates = select(scores, Limits(conf=0.05))
chosen = boxes[candidates.anchors]
ours = suppress(chosen, candidates.scores, candidates.classes, 0.7)
print(f"{len(chosen)} candidates, {len(ours)} kept; as by the plain loop:",
      ours.tolist() == plain_nms(chosen, candidates.scores, candidates.classes, 0.7))  # fmt: skip


def drawn(rows: np.ndarray) -> np.ndarray:
    """The network's input with these candidates above 0.25."""
    rows = rows[candidates.scores[rows] > 0.25]
    parts = chosen[rows], candidates.scores[rows], candidates.classes[rows]
    return draw(frame.apply(image), Detections(*parts, detector.names))


show(np.hstack([drawn(np.arange(len(chosen))), drawn(ours)]))

# %% [markdown]
# **How many boxes stay depends on the threshold**, slowly at first, then all at once:

# %%
thresholds = np.arange(0.1, 1.0, 0.05)
left = [len(suppress(chosen, candidates.scores, candidates.classes, float(t))) for t in thresholds]
figure, axes = plt.subplots(figsize=(5, 2.2), layout="constrained")
axes.plot(thresholds, left, "o-")
axes.axvline(0.45, color="#7b8794", linestyle=":")
axes.axvline(0.7, color="#d9822b", linestyle=":")
axes.set(xlabel="IoU threshold (dotted: the seed's, the published)", ylabel="boxes kept")
plt.show()

# %% [markdown]
# **A difference to what many do: no offsets.** A popular trick suppresses all classes at once by moving each class's boxes to another
# place: adding class × 7,680 to all coordinates. float32 has 24 bits; at 600,000 the next number is 1/16 further. The boxes are rounded, and with them the IoU:

# %%
random = np.random.default_rng(0)
corner = random.uniform(0, 300, (20_000, 2))
first = np.hstack([corner, corner + random.uniform(4, 40, (20_000, 2))]).astype(np.float32)
second = first + random.normal(0, 1.0, first.shape).astype(np.float32)


def pairs_iou(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    shared = (np.minimum(a[:, 2:], b[:, 2:]) - np.maximum(a[:, :2], b[:, :2])).clip(0).prod(1)
    return shared / ((a[:, 2:] - a[:, :2]).prod(1) + (b[:, 2:] - b[:, :2]).prod(1) - shared)


offset = np.float32(79 * 7680)
exact, moved = pairs_iou(first, second), pairs_iou(first + offset, second + offset)
print(f"IoU moves by up to {np.abs(exact - moved).max():.3f};",
      f"{((exact > 0.7) != (moved > 0.7)).sum()} of {len(exact)} pairs change sides of 0.7")  # fmt: skip

# %% [markdown]
# Few, but each is a box too many or too few, for the last classes of the list only. Here classes are compared, and nothing is added.
#
# ## 4. End to end
#
# `Detector` is this path for any picture: letterbox → network → select → suppress → back to the picture's own pixels. It runs an exported graph on an
# engine without torch. Is it the same? Our steps by hand, in torch, against it:

# %%
limits = detector.limits
best = select(scores, limits)
kept = suppress(boxes[best.anchors], best.scores, best.classes, limits.iou)
by_hand = frame.restore(boxes[best.anchors][kept])
found = detector(STREET)
print(f"limits: conf {limits.conf}, iou {limits.iou}, at most {limits.max_det}")
print("same classes in the same order:", found.classes.tolist() == best.classes[kept].tolist())
print(f"boxes at most {np.abs(found.boxes - by_hand).max():.4f} pixels apart,",
      f"scores {np.abs(found.scores - best.scores[kept]).max():.1e}")  # fmt: skip
found

# %% [markdown]
# ## 5. Seeing it
#
# `Detections` alone have no picture, hence the table. What a stream gives has one, and shows itself. Colours differ as far as possible
# between classes; a label takes the first free place at its box, or none, so that no label covers another; everything grows with the picture.

# %%
result = next(detector.stream([EXAMPLES / "kitchen.jpg"]))
result

# %% [markdown]
# Unlike the seed we look at photographs as they are *meant*: a phone stores a portrait lying down, with a note (EXIF) how to turn it. Boxes
# of the stored pixels would lie beside the picture that everyone sees.

# %%
turned = cv2.imencode(".jpg", cv2.cvtColor(np.rot90(image), cv2.COLOR_RGB2BGR))[1].tobytes()
note = b"Exif\0\0MM\0\x2a\0\0\0\x08\0\x01\x01\x12\0\x03\0\0\0\x01\0\x06\0\0\0\0\0\0"
phone = turned[:2] + b"\xff\xe1" + (len(note) + 2).to_bytes(2, "big") + note + turned[2:]
print("stored as", np.rot90(image).shape[:2], " read as", read_image(phone).shape[:2])
print("found as stored:", detector(np.ascontiguousarray(np.rot90(image))).labels)
print("found upright  :", detector(phone).labels)

# %% [markdown]
# ## 6. Average precision
#
# A detector is a list of claims with scores. Going down the list, *precision* is the share of right claims so far, *recall* the share of the truth
# that has been found. A claim is right if its IoU with a truth of its class, not yet taken by a better claim, reaches a threshold.
# Average precision is the area below the curve, after the envelope (precision never rises again to the right), read at 101 recalls:
#
# $$\mathrm{AP} = \frac{1}{101} \sum_{r \in \{0, 0.01, \dots, 1\}} \max_{\tilde r \ge r} p(\tilde r)$$
#
# COCO takes the mean over ten thresholds, IoU 0.5 to 0.95, then over classes ([arXiv 1405.0312](https://arxiv.org/abs/1405.0312)). First by
# hand, for people in the four pictures, at IoU 0.75:

# %%
from lucidbox.validate.inference import files_of
from lucidbox.validate.model_run import ModelRun

truth = load_truth(EXAMPLES / "instances.json")
run = ModelRun(detector, truth, files_of(truth, EXAMPLES))  # as published accuracies are measured
predictions = run.predictions()
person_id = truth.category_ids[truth.category_names.index("person")]
mine = predictions.category_ids == person_id
people = truth.categories == truth.category_names.index("person")
true_boxes = xywh_to_xyxy(truth.boxes_xywh[people])
true_images = truth.image_ids[truth.images[people]]
columns = predictions.scores, predictions.image_ids, xywh_to_xyxy(predictions.boxes_xywh)
claims = sorted(
    zip(*(column[mine] for column in columns), strict=True), key=lambda claim: -claim[0]
)
taken: set[int] = set()
right = []
for _, image_id, box in claims:
    rivals = [row for row in np.flatnonzero(true_images == image_id) if row not in taken]
    overlap = pairwise_iou(box[None], true_boxes[rivals])[0] if rivals else np.zeros(1)
    right.append(overlap.max() >= 0.75)
    if right[-1]:
        taken.add(rivals[int(overlap.argmax())])
hits = np.cumsum(right)
precision, recall = hits / np.arange(1, len(right) + 1), hits / people.sum()
envelope = np.array([precision[recall >= r].max(initial=0) for r in np.linspace(0, 1, 101)])
print(f"{people.sum()} people, {len(claims)} claims, {hits[-1]} right")

summary = evaluate(truth, predictions)
ours = next(one for one in summary.per_class if one.name == "person")
print(f"AP75 by hand {envelope.mean():.6f}, of lucidbox.evaluate {ours.AP75:.6f}")
figure, axes = plt.subplots(figsize=(5, 2.4), layout="constrained")
axes.plot(recall[:60], precision[:60], ".-", color="#7b8794", label="down the list")
axes.step(
    np.linspace(0, 1, 101), envelope, where="post", color="#2f6fb3", label="envelope at 101 recalls"
)
axes.set(xlabel="recall", ylabel="precision", ylim=(0, 1.05))
axes.legend(frameon=False)
plt.show()

# %% [markdown]
# **All classes.** A summary shows its twelve numbers and its classes; `plot()` gives the curves. Four pictures are an example, not a measurement:
# `lucidbox evaluate --bootstrap` says how wide the interval of such a number is.

# %%
summary

# %%
summary.plot()

# %% [markdown]
# **The threshold is not a detail.** AP wants *all* claims, also faint ones: they cost nothing if they rank last, and find what is left. Published
# numbers use 0.001. What people use to look at pictures, 0.25, is another measurement, and the seed evaluates at 0.1:

# %%
for conf in (0.001, 0.1, 0.25, 0.5):
    above = evaluate(truth, predictions[predictions.scores > conf])
    print(
        f"conf {conf:<5}: AP {above.stats[0]:.4f}   AP50 {above.stats[1]:.4f}   AR100 {above.stats[8]:.4f}"
    )

# %% [markdown]
# **The seed's evaluator** differs from COCO's in rules that are easily overlooked: crowds are objects like others, any number of claims counts (COCO: 100 an
# image and class), and there are no sizes. To see what such rules do, mark the street's first person as a crowd, as COCO does with boxes around many people.
# A claim on a crowd is neither right nor wrong:

# %%
from dataclasses import replace

from lucidbox.evaluate.analysis.notebook_variant import evaluate_notebook_rule

crowds = truth.crowds.copy()
crowds[np.flatnonzero(people)[0]] = True
for name, annotated in (
    ("as annotated", truth),
    ("one person a crowd", replace(truth, crowds=crowds)),
):
    seed_rule = evaluate_notebook_rule(annotated, predictions).mean
    print(
        f"{name:<20} seed's rule {seed_rule:.4f}   COCO's {evaluate(annotated, predictions).stats[0]:.4f}"
    )

# %% [markdown]
# ## 7. Grad-CAM, and beyond
#
# *Why this box?* Grad-CAM (Selvaraju et al., [arXiv 1610.02391](https://arxiv.org/abs/1610.02391)) takes a layer's channels $A_k$, weighs each by how
# much the score grows with it on average, and keeps what speaks for it:
#
# $$w_k = \frac{1}{HW}\sum_{i,j}\frac{\partial y}{\partial A_k^{ij}}, \qquad L = \mathrm{ReLU}\Big(\sum_k w_k A_k\Big)$$
#
# The seed takes for $y$ the logits of a class **summed over all cells** of P3. `class_gradcam` is exactly that. We ask for "person":

# %%
from lucidbox.explain.drawing import visualize_gradcam

seed_map = class_gradcam(network, x, "backbone.attend_p5", class_id=0)
show(visualize_gradcam(frame.apply(image), seed_map))

# %% [markdown]
# It says what speaks for people *somewhere*. Not why one box is there: with three people there is one map. And the sum runs over cells that no
# detection came from. So lucidbox explains **one detection**: the score of the very anchor that made it. `explain` has several methods. ODAM
# (Zhao and Chan, 2023) keeps each cell's own gradient instead of its mean. For two people, by both:

# %%
people_found = found[found.classes == 0]
maps = {}
for method in ("gradcam", "odam"):
    for number in range(2):
        maps[method, number] = explain(detector, image, people_found[number], method=method)
from lucidbox.explain.drawing import overlay

rows = [
    np.hstack([draw(overlay(image, maps[method, n].heatmap), people_found[n]) for n in range(2)])
    for method in ("gradcam", "odam")
]
show(cv2.resize(np.vstack(rows), None, fx=0.7, fy=0.7, interpolation=cv2.INTER_AREA))

# %% [markdown]
# Above Grad-CAM, below ODAM; left the first person, right the second. **Can such pictures be believed?** A map is pretty in any case. Three questions
# can be put to it, and `faithfulness` puts them: is the heat on the object; does the score fall when hot pixels are hidden, and come back when they are
# shown (RISE, [arXiv 1806.07421](https://arxiv.org/abs/1806.07421)); and does it do that any better than a map that knows nothing but the box, a Gaussian or
# rectangles around its middle? Few do. Then the map says where the box is, which we knew.

# %%
for method in ("gradcam", "odam"):
    print(f"{method}, first person:")
    for sentence in maps[method, 0].faithfulness.sentences():
        print("   ", sentence)
from lucidbox.explain.faithfulness import map_overlap

for method in ("gradcam", "odam"):
    shared = map_overlap(maps[method, 0].heatmap, maps[method, 1].heatmap)
    print(f"{method}: the maps of the two people share {shared:.0%} of their heat")

# %% [markdown]
# Grad-CAM gives each channel one weight for the whole picture, so it lights up whatever is *like* the first person, and two people's maps are
# largely the same. ODAM's are apart, on the objects, and the score follows them. And still, read the last sentence of each: a map read
# near the head can only be warm near its anchor, so part of any such map would be there without learning.
#
# An explanation by the default method, as `lucidbox explain` draws it, its doubts in words below. Read the words first.

# %%
explain(detector, image, people_found[0])

# %% [markdown]
# **Beyond classes.** A box has four sides, and each is a number that can be explained: what put this side where it is?

# %%
sides = [
    explain(detector, image, people_found[0], method="odam", side=side)
    for side in ("left", "bottom")
]
show(np.hstack([overlay(image, side.heatmap)[140:400, 250:470] for side in sides]))

# %% [markdown]
# ## 8. How fast?
#
# The seed times ten runs of network, decoding and suppression on a tensor that is ready, and gives their **mean**. Two things are easily fooled by that. First,
# one interruption spoils a mean:

# %%
from lucidbox.benchmark import Setting, Spread, measure, sample
from lucidbox.sources import open_sources

runs = [10.1, 10.0, 10.2, 9.9, 10.0, 10.1, 71.0, 10.0, 9.9]  # invented: something else woke up
spread = Spread.of(runs)
print(
    f"mean {np.mean(runs):.1f} ms, median {spread.p50:.1f} ms, 10th percentile {spread.p10:.1f} ms"
)

# %% [markdown]
# Second, users have files, not tensors: reading, decoding and the letterbox count, and a stream overlaps them with inference. So lucidbox measures each
# stage, and states percentiles, and a bound that no pipeline with these stages can beat. The next cell gives your machine's numbers (they are not
# stored in the repository, since they would be another machine's). `lucidbox benchmark` does it with more care: rounds in alternation,
# the machine's peak and its noise beside them.

# %% tags=["varies"]
setting = Setting("openvino", "fp32")
measured, _ = measure({setting: detector}, sample(open_sources(EXAMPLES), 4), rounds=3)
measured[0]

# %% [markdown]
# ## 9. Where we differ on purpose
#
# | the seed | here | why |
# |---|---|---|
# | stored pixels as they are | EXIF orientation applied | boxes belong on the picture as people see it (5) |
# | resized size truncated, always 640 × 640, PIL's antialiasing | rounded, to multiples of 32, OpenCV's bilinear | what the published network was trained with; fewer pixels (notebook 1) |
# | one scale back for both sides | one gain for each side | up to 0.8 pixel (notebook 1) |
# | boxes clamped before suppression | clipped after it | a clamp changes IoU (2) |
# | equal scores in any order | the lower anchor first | the same answer everywhere (2) |
# | 1e-7 added to unions | an empty union has IoU 0 | exact at the threshold |
# | IoU threshold 0.45, no limit | 0.7, at most 300 boxes | published settings (3) |
# | crowds count, all claims count | COCO's rules, to pycocotools' last digit | comparable numbers (6) |
# | Grad-CAM of a class over P3 | one detection, with figures that may say "a map that only knows where the box is does better" | the question was: why *this* box? (7) |
# | mean of ten runs of a ready tensor | stages, percentiles, whole streams | what a user waits for (8) |
#
# What is *not* different: decoding, greedy suppression per class, 101-point interpolation, Grad-CAM's formula. `tests/` compare them with numbers
# recorded from the seed's own code.
#
# ## Exercises
#
# 1. `suppress` with `agnostic=True` is the seed's `nms`. Find two boxes in the kitchen that only the one or the other keeps.
# 2. Move the second box of the pair in section 3 so that IoU is exactly 0.5, by hand, and check.
# 3. Sort the claims of section 6 by *ascending* score. What is the AP of people then? Is there a worse order?
# 4. Add 1,000 random boxes with scores below 0.001 to the predictions. How does AP change, and why so little?
# 5. Explain the *lowest*-scored person with ODAM. Do the sentences tell you to trust it less?
# 6. Hide the middle person's head with a grey patch and detect again. Did the heat map predict what happens?
# 7. With `size=640` the detector sees more pixels than the 384 that it does best with. Evaluate both on the four pictures. Would you believe the difference?
