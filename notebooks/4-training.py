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
# # 4 · Training: who learns what, and how wrong was it?
#
# *Fourth of five notebooks: data → backbone → neck and head → **training** → inference.*
#
# A network of 416 × 416 pixels has 3,549 anchors; a photograph has perhaps seven objects. Before any loss can be computed it must be decided
# **which anchor should have said what**. Then three losses say how wrong it was: the class, the box, and the distribution of its sides.
# Then a loop takes small steps. We look at each, by hand first, on real pictures, and in the end teach the network
# something that it did not know.

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
import torch
from torch import nn
from torch.nn import functional

from lucidbox import weights
from lucidbox.datasets import read_dataset
from lucidbox.datasets.augment import Augmentation, Augmenter, Sample, contact_sheet, plain
from lucidbox.datasets.training import PictureSamples
from lucidbox.draw import show
from lucidbox.draw.palette import palette
from lucidbox.model import Decoder, anchor_points, build
from lucidbox.model.network import BINS, STRIDES
from lucidbox.model_files import bundled
from lucidbox.train import Recipe, TargetBoxes, Targets, assign, ciou, detection_loss
from lucidbox.train.losses import distribution_losses
from lucidbox.train.model_ema import ModelEMA
from lucidbox.train.optimizer import choose_optimization, make_optimizer, set_training_mode
from lucidbox.train.schedule import rates

here = Path.cwd()
EXAMPLES = next(
    folder / "examples"
    for folder in (here, *here.parents)
    if (folder / "examples/street.jpg").is_file()
)
plt.rcParams.update({"figure.dpi": 80, "font.size": 9, "axes.axisbelow": True})
plt.rcParams.update({"axes.grid": True, "grid.color": "#eef1f4"})
plt.rcParams.update({"axes.spines.top": False, "axes.spines.right": False})
torch.manual_seed(0)

network = weights.network(weights.read(bundled.SAFETENSORS)).eval()
data = read_dataset(EXAMPLES / "instances.json", images=EXAMPLES).parts[0]
samples = PictureSamples(data, 416)
street = data.file_names.index("street.jpg")
sample = Augmenter(samples, 416, plain())(street, np.random.default_rng(0))
x = torch.from_numpy(sample.image).permute(2, 0, 1)[None] / 255
labels = [data.names[number] for number in sample.classes]
print("objects:", ", ".join(labels))

# %% [markdown]
# ## 1. Assignment: the best anchors learn
#
# Early detectors assigned by geometry alone: the anchor box with enough IoU, the cell at the centre. Task-aligned assignment (Feng et al.,
# TOOD, [arXiv 2108.07755](https://arxiv.org/abs/2108.07755)) asks the network itself. For each object and each anchor whose centre it contains:
#
# $$t = s^{\alpha} \cdot u^{\beta}, \qquad \alpha = \tfrac12,\ \beta = 6$$
#
# with $s$ the anchor's score for the object's class and $u$ the overlap (CIoU) of its box. The ten best anchors of an object learn it. So
# who is good at both *what* and *where* gets better at both, and the final score can tell good boxes from bad ones.

# %%
grids = [(416 // stride, 416 // stride) for stride in STRIDES]
anchors = anchor_points(grids, STRIDES)
truth = TargetBoxes(
    torch.from_numpy(sample.classes)[None],
    torch.from_numpy(sample.boxes)[None],
    torch.ones(1, len(sample.classes), dtype=torch.bool),
)
with torch.no_grad():
    predictions = Decoder(STRIDES, BINS)(network(x), 416, 416)
assignment = assign(predictions, anchors.points, truth)
print(
    f"{int(assignment.foreground.sum())} of {len(anchors.points)} anchors learn an object, the others background\n"
)
print(f"{'object':<15}{'pixels':>10}  P3  P4  P5   largest target")
for number, label in enumerate(labels):
    mine = assignment.owners[0] == number
    per_level = [int((mine & (anchors.strides == stride)).sum()) for stride in STRIDES]
    left, top, right, bottom = sample.boxes[number]
    target = assignment.scores[0][mine].max().item() if mine.any() else 0.0
    print(f"{label:<15}{f'{right - left:.0f}×{bottom - top:.0f}':>10}" + "".join(f"{n:4}" for n in per_level)
          + f"{target:10.2f}")  # fmt: skip

# %% [markdown]
# **The same rule by hand**, for the first person: candidates, alignment, the ten best.

# %%
person = labels.index("person")
left, top, right, bottom = sample.boxes[person]
px, py = anchors.points.T
candidates = (px > left) & (px < right) & (py > top) & (py < bottom)
overlap = ciou(predictions.boxes[0], truth.boxes[0, person].expand(len(px), 4)).clamp(min=0)
score = predictions.scores[0, :, sample.classes[person]]
alignment = torch.where(candidates, score.sqrt() * overlap**6, 0)
ten = alignment.topk(10).indices.sort().values
ours = torch.nonzero(assignment.owners[0] == person)[:, 0]
print("candidates:", int(candidates.sum()))
print("by hand:", ten.tolist())
print("ours   :", ours.tolist())

# %% [markdown]
# **Seen in the picture.** Each dot is an anchor that learns, in its object's colour, the larger the coarser its level. On the left the trained
# network chooses. On the right one with random weights: all its boxes are alike, so the anchors in the middle of an object overlap it best,
# and assignment begins as plain geometry. The targets thus move while the network learns, one reason to begin gently.


# %%
def chosen_by(net: nn.Module) -> np.ndarray:
    """The picture with the anchors that learn its objects."""
    with torch.no_grad():
        said = Decoder(STRIDES, BINS)(net(x), 416, 416)
    made = assign(said, anchors.points, truth)
    canvas = (sample.image * 0.6).astype(np.uint8)
    for number, box in enumerate(sample.boxes.round().astype(int).tolist()):
        cv2.rectangle(canvas, tuple(box[:2]), tuple(box[2:]), palette(number), 1)
    for anchor in torch.nonzero(made.foreground[0])[:, 0].tolist():
        centre = tuple(int(place) for place in anchors.points[anchor].tolist())
        radius = {8: 2, 16: 4, 32: 6}[int(anchors.strides[anchor])]
        cv2.circle(canvas, centre, radius, palette(int(made.owners[0, anchor])), -1)
    return canvas[60:350]


untrained = build("yolo11n", 80).eval()
show(np.hstack([chosen_by(network), np.full((290, 6, 3), 255, np.uint8), chosen_by(untrained)]))

# %% [markdown]
# Two rules keep small objects alive. A box shorter than 16 pixels is widened to 16 when asked whether it contains a centre, since it could
# lie between all centres. And an anchor that two objects want goes to the one that it overlaps more.
#
# **Targets are soft.** The best anchor's target is not 1 but the overlap that it reaches; the others' are lower in proportion to their alignment. A
# score is thus taught to mean "how well is this box placed", which suppression will rely on in the next notebook.
#
# ## 2. Three losses
#
# $$L = \frac{1}{\sum t}\left( 7.5 \sum_{\text{fg}} t\,(1 - \mathrm{CIoU}) \;+\; 0.5 \sum_{\text{all}} \mathrm{BCE}(x, t) \;+\; 1.5 \sum_{\text{fg}} t\,\mathrm{DFL} \right)$$
#
# **Class**: binary cross-entropy with each class's soft target, over *all* anchors and classes. Most targets are 0, hence the form
# $\log(1+e^x) - x\,t$, whose second part needs the foreground alone.
#
# **Box**: why CIoU and not IoU? Slide a box over another one. Where they do not touch, IoU is flat: no slope, nothing to learn from. CIoU
# subtracts the distance of centres and a penalty for other proportions (Zheng et al., [arXiv 1911.08287](https://arxiv.org/abs/1911.08287)):
#
# $$\mathrm{CIoU} = \mathrm{IoU} - \frac{\rho^2}{c^2} - \alpha v, \qquad
# v = \frac{4}{\pi^2}\left(\arctan\frac{w}{h} - \arctan\frac{w'}{h'}\right)^2$$

# %%
from lucidbox.core.boxes import pairwise_iou

shift = torch.linspace(-150, 150, 121, requires_grad=True)
fixed = torch.tensor([100.0, 100, 180, 160])
sliding = fixed + torch.stack([shift, 0 * shift, shift, 0 * shift], dim=1)
complete = ciou(sliding, fixed.expand_as(sliding))
(slope,) = torch.autograd.grad(complete.sum(), shift)
plain_iou = pairwise_iou(sliding.detach().numpy(), fixed.numpy()[None])[:, 0]
figure, (left_axes, right_axes) = plt.subplots(1, 2, figsize=(9, 2.5), layout="constrained")
left_axes.plot(shift.detach(), plain_iou, label="IoU")
left_axes.plot(shift.detach(), complete.detach(), label="CIoU")
left_axes.set(xlabel="shift, pixels", title="value")
right_axes.plot(shift.detach(), np.gradient(plain_iou, shift.detach().numpy()), label="IoU")
right_axes.plot(shift.detach(), slope, label="CIoU")
right_axes.set(xlabel="shift, pixels", title="slope")
left_axes.legend(frameon=False)
plt.show()
far = shift.detach() < -90
print("90 to 150 pixels away: largest slope of IoU", np.abs(np.gradient(plain_iou)[far.numpy()][:-1]).max(),
      " of CIoU", round(slope[far].abs().max().item(), 5))  # fmt: skip

# %% [markdown]
# **Distribution**: a distance of 3.7 cells is taught as "3 with 0.3 and 4 with 0.7", by cross-entropy to both neighbours. By hand, and then by
# following the loss downhill from a flat distribution. The minimum must have the expectation 3.7:

# %%
target = torch.tensor([[3.7, 3.7, 3.7, 3.7]])
z = torch.zeros(1, 4, 16, requires_grad=True)
by_hand = -(0.3 * z.log_softmax(2)[0, 0, 3] + 0.7 * z.log_softmax(2)[0, 0, 4])
print(
    f"flat distribution: by hand {by_hand.item():.4f}, ours {distribution_losses(z, target).item():.4f}"
)
expectation = []
for _ in range(300):
    loss = distribution_losses(z, target).sum()
    (gradient,) = torch.autograd.grad(loss, z)
    z = (z - 4.0 * gradient).detach().requires_grad_()
    expectation.append((z.softmax(2)[0, 0] @ torch.arange(16.0)).item())
figure, (left_axes, right_axes) = plt.subplots(1, 2, figsize=(8, 2.2), layout="constrained")
left_axes.bar(range(16), z.softmax(2)[0, 0].detach(), color="#2f6fb3")
left_axes.set(title="after 300 steps", xlabel="cells")
right_axes.plot(expectation)
right_axes.axhline(3.7, color="#d9822b")
right_axes.set(title="expectation", xlabel="step")
plt.show()
print(
    "3 and 4 cells:",
    z.softmax(2)[0, 0, 3:5].detach().numpy().round(3),
    " expectation",
    round(expectation[-1], 3),
)

# %% [markdown]
# **All together**, from the assignment above and torch's own functions, against `detection_loss`:

# %%
with torch.no_grad():
    logits = network(x)
    count = len(sample.classes)
    targets = Targets(torch.zeros(count, dtype=torch.long), truth.classes[0], truth.boxes[0])
    ours = detection_loss(logits, targets, (416, 416))
    fg = assignment.foreground[0]
    weight = assignment.scores[0][fg].sum(dim=1)
    scale = assignment.scores.sum()
    bce = functional.binary_cross_entropy_with_logits(
        logits.classes[0].T, assignment.scores[0], reduction="sum"
    )
    box = ((1 - ciou(predictions.boxes[0][fg], assignment.boxes[0][fg])) * weight).sum()
    points, strides = anchors.points[fg], anchors.strides[fg][:, None]
    goal = assignment.boxes[0][fg]
    cells = torch.cat([points - goal[:, :2], goal[:, 2:] - points], dim=1) / strides
    sides = logits.boxes[0][:, fg].T.reshape(-1, 4, 16)
    dfl = (distribution_losses(sides, cells) * weight).sum()
    by_hand = torch.stack([7.5 * box, 0.5 * bce, 1.5 * dfl]) / scale
print("box, class, distribution by hand:", by_hand.numpy().round(4))
print("detection_loss                  :", ours.items.numpy().round(4))

# %% [markdown]
# Dividing by $\sum t$ and not by the number of anchors makes the loss of a crowd and of an empty street comparable; with no object at all it is
# divided by 1. Over several processes the sums are added *first* and divided after, so two machines do what one does with
# the double batch, to rounding.
#
# ## 3. Steps: rates, momentum, the average
#
# Three rates move in a training. Weights start at 0 and rise for three epochs (or 100 batches), since the first assignments are arbitrary. Biases start
# *high* with SGD, because they have only to find how rare objects are. Then both fall to a hundredth.

# %%
recipe = Recipe(epochs=50, optimizer="sgd", batch=16)
optimization = choose_optimization(recipe, steps=10_000, classes=80)
batches = 200
numbers = np.unique(np.geomspace(1, recipe.epochs * batches - 1, 300).astype(int))
course = [rates(recipe, optimization, int(number), batches) for number in numbers]
figure, (left_axes, right_axes) = plt.subplots(1, 2, figsize=(9, 2.4), layout="constrained")
left_axes.plot(numbers, [one.learning_rate for one in course], label="weights")
left_axes.plot(numbers, [one.bias_rate for one in course], label="biases")
left_axes.set(xscale="log", yscale="log", xlabel="batch", title="learning rate")
left_axes.legend(frameon=False)
right_axes.plot(numbers, [one.momentum for one in course], label="momentum")
right_axes.plot(numbers, [one.accumulate for one in course], label="batches a step")
right_axes.set(xscale="log", xlabel="batch")
right_axes.legend(frameon=False)
plt.show()

# %% [markdown]
# **The moving average.** What is saved is not the last network but the average of the last thousands, with
# $d = d_\infty (1 - e^{-u/\tau})$ after $u$ updates, so that a young average follows fast. Steps jump around the optimum, and their mean does not:
# a noisy weight around 1 shows how much.

# %%
walker = nn.Linear(1, 1)
average = ModelEMA(walker, decay=0.99, ramp=50)
noise = np.random.default_rng(0)
raw, smooth = [], []
for _ in range(600):
    with torch.no_grad():
        walker.weight.fill_(1 + noise.normal(0, 0.3))
    average.update(walker)
    raw.append(walker.weight.item())
    smooth.append(average.network.weight.item())
print(f"spread of the weight {np.std(raw[200:]):.3f}, of its average {np.std(smooth[200:]):.3f}")

# %% [markdown]
# ## 4. Twenty steps on one batch
#
# The first test of any training code: **can it learn four pictures by heart?** If not, there is a bug, and no data will help. The loop, in full, with
# nothing hidden. A second network sees the same pictures with *boxes drawn anew at random in every step*. It has nothing to learn by heart,
# so if its loss fell as far, ours would prove nothing.

# %%
SIZE = 160
small = Augmenter(PictureSamples(data, SIZE), SIZE, plain())
batch = [small(number, np.random.default_rng(0)) for number in range(4)]


def images_of(batch: list[Sample]) -> torch.Tensor:
    return (
        torch.from_numpy(np.stack([one.image for one in batch])).permute(0, 3, 1, 2).float() / 255
    )


def targets_of(batch: list[Sample]) -> Targets:
    owner = np.concatenate([np.full(len(one.classes), row) for row, one in enumerate(batch)])
    classes = np.concatenate([one.classes for one in batch])
    boxes = np.concatenate([one.boxes for one in batch])
    return Targets(torch.from_numpy(owner), torch.from_numpy(classes), torch.from_numpy(boxes))


def at_random(targets: Targets, seed: int) -> Targets:
    """As many boxes of the same sizes and classes, anywhere."""
    place = torch.Generator().manual_seed(seed)
    extent = targets.boxes[:, 2:] - targets.boxes[:, :2]
    corner = torch.rand(len(extent), 2, generator=place) * (SIZE - extent).clamp(min=0)
    return replace(targets, boxes=torch.cat([corner, corner + extent], dim=1))


def learn(net: nn.Module, size: int, steps: int, rate: float, norms: bool = False, batch: list[Sample] = batch,
          random_boxes: bool = False) -> list[list[float]]:  # fmt: skip
    """Train in place on one batch; the three parts of the loss before each step."""
    optimizer, _ = make_optimizer(net, Recipe(optimizer="adamw", learning_rate=rate), steps=steps)
    set_training_mode(net, (), norms=norms)
    images, truth = images_of(batch), targets_of(batch)
    history = []
    for step in range(steps):
        loss = detection_loss(
            net(images), at_random(truth, step) if random_boxes else truth, (size, size)
        )
        loss.total.backward()
        nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        history.append(loss.items.tolist())
    return history


torch.manual_seed(1)
fresh, control = build("yolo11n", 80), build("yolo11n", 80)
control.load_state_dict(fresh.state_dict())
by_heart = np.array(learn(fresh, SIZE, 20, rate=0.002))
nothing = np.array(learn(control, SIZE, 20, rate=0.002, random_boxes=True))
figure, axes = plt.subplots(1, 3, figsize=(10, 2.3), layout="constrained")
for part, name in enumerate(("box", "class", "distribution")):
    axes[part].plot(by_heart[:, part], label="true boxes")
    axes[part].plot(nothing[:, part], "--", label="boxes at random")
    axes[part].set(title=name, xlabel="step")
axes[0].legend(frameon=False)
plt.show()
for name, course in (("true boxes", by_heart), ("boxes at random", nothing)):
    print(
        f"{name:<16} box loss {course[:3, 0].mean():.2f} at first, {course[-3:, 0].mean():.2f} in the end"
    )

# %% [markdown]
# The second network learns a little, too: that objects are rare, and which sizes they have, follows from any boxes. The rest of the way
# needs the true ones.
#
# ## 5. Teaching it something
#
# The bundled network sees the rider but not the motorcycle. Twenty gentle steps on the four pictures, with the norms' statistics kept as they are
# (four pictures are no statistics), from weights that already know what a motorcycle is:

# %%
from lucidbox.core.detections import Detections
from lucidbox.detect.nms import Limits, detect
from lucidbox.draw import draw

rider = data.file_names.index("rider.jpg")
middle = Augmenter(PictureSamples(data, 256), 256, plain())
four = [middle(number, np.random.default_rng(0)) for number in range(4)]


def seen(net: nn.Module) -> np.ndarray:
    net.eval()
    with torch.no_grad():
        said = Decoder(STRIDES, BINS)(net(images_of(four[rider : rider + 1])), 256, 256)
    boxes, kept = detect(said.boxes[0].numpy(), said.scores[0].numpy(), Limits(conf=0.25))
    found = Detections(boxes, kept.scores, kept.classes, data.names)
    print(
        ", ".join(
            f"{label} {score:.2f}" for label, score in zip(found.labels, found.scores, strict=True)
        )
    )
    return draw(four[rider].image, found)


before = seen(network)
history = learn(network, 256, 20, rate=0.0003, norms=True, batch=four)
after = seen(network)
show(np.hstack([before, np.full((256, 6, 3), 255, np.uint8), after]))
print(f"loss {sum(history[0]):.2f} before, {sum(history[-1]):.2f} after")

# %% [markdown]
# Learnt by heart, not understood: whether it finds *other* motorcycles is a question for pictures that it has not seen. A real training has
# augmentation (notebook 1), thousands of pictures, and a split kept out to measure on. It is one command, with this loop inside:
#
# ```sh
# lucidbox train data.yaml --weights --set epochs=50          # from the bundled weights
# lucidbox data show data.yaml --save sheet.png               # what it will see
# ```
#
# What the real loop has besides (`train/train_step.py`, `train/trainer.py`): gradients of several batches in one step until there are 64 pictures,
# bfloat16 where the processor computes it, the average's own norms measured after each epoch, COCO's AP on the validation split, checkpoints from
# which it goes on bit for bit, steps skipped where a gradient is not finite.
#
# **Augmentation in the loop.** One epoch as the network sees it, by the recipe's defaults:

# %%
lively = Augmenter(PictureSamples(data, 208), 208, Augmentation())
show(
    contact_sheet(
        [lively(n, np.random.default_rng((0, n))) for n in range(4)], data.names, columns=4
    )
)

# %% [markdown]
# ## Exercises
#
# 1. Change $\beta$ from 6 to 1 in the alignment by hand. Are the same ten anchors chosen? Which kind of anchor comes in?
# 2. Which object of the street has the smallest largest target, and why? Look at its score and its overlap.
# 3. In the sliding experiment make the moving box half as high. Where does CIoU's third term show?
# 4. A box side 17 cells away: what does `distribution_losses` teach? (It is clamped. To what?)
# 5. Overfit with `rate=0.05`. What happens to the three losses, and which precaution of the real loop would have helped?
# 6. Leave `norms=True` out in section 5. Why is the result worse though the loss falls?
