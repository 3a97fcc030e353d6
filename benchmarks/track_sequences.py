"""Ten synthetic sequences to choose a tracker by: cut-outs that move over real pictures, with their true tracks.

    python benchmarks/track_sequences.py FOLDER --pictures ../shared/data/coco-val-150 [--weights W] [--video N]

Writes for each sequence, as MOT text, NAME-gt.txt (true tracks) and NAME-noise0.txt to 2 (the truth with noise,
gaps and false alarms); with --weights also NAME-found.txt, what that detector finds in the drawn frames from a
score of 0.1; with --video the frames of sequence N. Objects cross, hide one another and pass behind pillars, leave
and come back in, accelerate, turn, grow and shrink; boxes of people widen and narrow by a quarter, as legs do; in
two sequences the camera moves, in one frames are dropped at random.
The truth holds every box of which at least 30 % lie in the picture, hidden or not, cut at the borders.
"""

import argparse
import json
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from lucidbox import Detector
from lucidbox.formats.mot import mot_line

HEIGHT, WIDTH, FRAMES = 540, 960, 120
KINDS = ("person", "car", "bus", "cat", "dog", "bear", "cow", "horse", "sheep", "truck", "motorcycle")


@dataclass(frozen=True)
class Plan:
    """A sequence: how many objects, how tall, how fast (pixels a frame), and what else happens."""

    name: str
    objects: int
    tall: tuple[float, float]
    fast: float
    turning: float = 0.1
    growing: float = 0.0
    pillars: int = 0
    panning: float = 0.0
    entering: float = 0.3
    dropped: float = 0.0


PLANS = (
    Plan("crossing", 8, (150, 220), 4, 0.05),
    Plan("crowd", 24, (90, 150), 3),
    Plan("pillars", 8, (140, 220), 5, 0.05, pillars=4),
    Plan("fast", 8, (90, 160), 14, 0.4),
    Plan("turning", 10, (100, 170), 5, 0.9),
    Plan("growing", 8, (80, 220), 4, 0.1, growing=0.015),
    Plan("panning", 10, (110, 180), 4, 0.1, panning=6),
    Plan("shaking", 10, (110, 180), 4, 0.1, panning=2, pillars=2),
    Plan("small", 20, (50, 80), 2, 0.1, pillars=2),
    Plan("dropping", 10, (110, 190), 4, 0.1, entering=0.5, dropped=0.3),
)


def cut_outs(folder, listing, random):
    """Whole objects of pictures with their masks by GrabCut, those whose masks fill their boxes well."""
    names = {entry["id"]: entry["name"] for entry in listing["categories"]}
    files = {entry["id"]: entry for entry in listing["images"]}
    found = []
    for entry in listing["annotations"]:
        left, top, width, height = (round(side) for side in entry["bbox"])
        image = files[entry["image_id"]]
        inside = left > 3 and top > 3 and left + width < image["width"] - 3 and top + height < image["height"] - 3
        if entry["iscrowd"] or not inside or names[entry["category_id"]] not in KINDS or width * height < 9000:
            continue
        pixels = cv2.imread(str(folder / "images" / image["file_name"]))
        mask = np.zeros(pixels.shape[:2], np.uint8)
        cv2.setRNGSeed(0)
        cv2.grabCut(pixels, mask, (left, top, width, height), None, None, 4, cv2.GC_INIT_WITH_RECT)
        solid = np.isin(mask, (1, 3))[top : top + height, left : left + width]
        rows, columns = np.flatnonzero(solid.any(axis=1)), np.flatnonzero(solid.any(axis=0))
        if solid.mean() < 0.3 or rows[-1] - rows[0] < 0.9 * height or columns[-1] - columns[0] < 0.9 * width:
            continue
        cut = pixels[top : top + height, left : left + width][:, :, ::-1]
        alpha = cv2.GaussianBlur(solid.astype(np.float32), (5, 5), 0)
        found.append((cut, alpha, width / height, names[entry["category_id"]]))
    random.shuffle(found)
    return found


def paste(canvas, cut, alpha, box):
    """Draw a cut-out into a box, of which parts may lie outside."""
    left, top, right, bottom = (round(side) for side in box)
    size = (max(right - left, 1), max(bottom - top, 1))
    pixels = cv2.resize(cut, size, interpolation=cv2.INTER_AREA)
    cover = cv2.resize(alpha, size, interpolation=cv2.INTER_AREA)[:, :, None]
    x, y, end_x, end_y = max(left, 0), max(top, 0), min(left + size[0], WIDTH), min(top + size[1], HEIGHT)
    if x >= end_x or y >= end_y:
        return
    part = (slice(y - top, end_y - top), slice(x - left, end_x - left))
    under = canvas[y:end_y, x:end_x]
    under[:] = (under * (1 - cover[part]) + pixels[part] * cover[part]).astype(np.uint8)


def backgrounds(folder, listing, count):
    """The first wide pictures without any object of the kinds, half as large again as a frame."""
    wanted = {entry["id"] for entry in listing["categories"] if entry["name"] in KINDS}
    taken = {entry["image_id"] for entry in listing["annotations"] if entry["category_id"] in wanted}
    wide = (one for one in listing["images"] if one["id"] not in taken and one["width"] > one["height"])
    files = sorted(one["file_name"] for one in wide)[:count]
    size = (WIDTH * 3 // 2, HEIGHT * 3 // 2)
    pictures = [cv2.imread(str(folder / "images" / name))[:, :, ::-1] for name in files]
    return [cv2.resize(picture, size, interpolation=cv2.INTER_CUBIC) for picture in pictures]


def paths(plan, shapes, walking, random):
    """Boxes ``frames objects 4`` as xyxy; objects go on outside the picture, and turn back there in time.

    Args:
        plan: of the sequence.
        shapes: width by height of each object.
        walking: which objects are people, who make a step about twice a second (50 frames are two seconds).
        random: generator.
    """
    count = plan.objects
    tall = random.uniform(*plan.tall, count)
    place = np.stack([random.uniform(0, WIDTH, count), random.uniform(HEIGHT * 0.3, HEIGHT * 0.8, count)], axis=1)
    late = random.random(count) < plan.entering
    place[late, 0] = random.choice([-60, WIDTH + 60], late.sum())
    speed = random.normal(0, plan.fast, (count, 2)) * (1, 0.3)
    speed[late, 0] = np.abs(speed[late, 0] + 0.5 * plan.fast) * np.where(place[late, 0] < 0, 1, -1)
    growth = random.normal(0, plan.growing, count)
    camera, pan, boxes = np.zeros(2), random.normal(0, plan.panning, 2) * (1, 0.2), []
    stride, beat = random.uniform(0, 2 * np.pi, count), 2 * np.pi * random.uniform(1.5, 2.2, count) / 25
    for frame in range(FRAMES):
        speed += random.normal(0, plan.turning, (count, 2)) * (1, 0.3)
        speed *= 0.99
        away = (place[:, 0] < -150) | (place[:, 0] > WIDTH + 150)
        speed[away, 0] = np.abs(speed[away, 0]) * np.where(place[away, 0] < 0, 1, -1)
        high = (place[:, 1] < HEIGHT * 0.2) | (place[:, 1] > HEIGHT * 0.85)
        speed[high, 1] = np.abs(speed[high, 1]) * np.where(place[high, 1] < HEIGHT / 2, 1, -1)
        place = place + speed
        growth += random.normal(0, plan.growing / 5, count)
        tall = np.clip(tall * np.exp(growth), 40, 320)
        growth[(tall <= 40) | (tall >= 320)] *= -1
        pan += random.normal(0, plan.panning / 4, 2) * (1, 0.2)
        camera = np.clip(camera + pan, (-WIDTH * 0.2, -HEIGHT * 0.05), (WIDTH * 0.2, HEIGHT * 0.05))
        wide = tall * shapes * (1 + 0.25 * walking * np.sin(stride + beat * frame))
        half = np.stack([wide / 2, tall / 2], axis=1)
        boxes.append(np.concatenate([place - half, place + half], axis=1) - np.tile(camera, 2))
    return np.array(boxes)


def draw_frame(background, boxes, sprites, order, pillars):
    """One frame: objects in their order of depth, pillars before all."""
    canvas = background[HEIGHT // 4 : HEIGHT // 4 + HEIGHT, WIDTH // 4 : WIDTH // 4 + WIDTH].copy()
    for number in order:
        cut, alpha = sprites[number][:2]
        paste(canvas, cut, alpha, boxes[number])
    for left, width in pillars:
        canvas[:, left : left + width] = background[:HEIGHT, left : left + width][:, ::-1]
    return canvas


def within(boxes):
    """Boxes cut at the borders, and which of them are at least 30 % in the picture."""
    cut = np.clip(boxes, 0, (WIDTH, HEIGHT, WIDTH, HEIGHT))
    area = (boxes[:, 2] - boxes[:, 0]) * (boxes[:, 3] - boxes[:, 1])
    return cut, np.clip(cut[:, 2:] - cut[:, :2], 0, None).prod(axis=1) >= 0.3 * area


def noisy(truth, random):
    """Rows of detections made from true rows: sides and place 3 %, 15 % missing in runs of 1 to 8, 10 % false.

    Half of the false alarms are anywhere, half are parts and neighbours of objects, as detectors make them.
    """
    rows = []
    for track in np.unique(truth[:, 1]):
        mine, missing = truth[truth[:, 1] == track], set()
        while len(missing) < 0.15 * len(mine):
            start, run = random.integers(len(mine)), random.integers(1, 9)
            missing |= set(mine[start : start + run, 0])
        for frame, _, *box in mine:
            if frame not in missing:
                size = np.array([box[2] - box[0], box[3] - box[1]])
                corner = np.array(box[:2]) + random.normal(0, 0.03, 2) * size
                far = corner + size * (1 + random.normal(0, 0.03, 2))
                rows.append([frame, -1, *corner, *far, random.uniform(0.4, 0.95)])
    for number in range(len(rows) // 10):
        wide = random.uniform(30, 120)
        left, top, tall = random.uniform(0, WIDTH - wide), random.uniform(0, HEIGHT / 2), 2.5 * wide
        frame = random.choice(truth[:, 0])
        if number % 2:
            frame, _, *box = truth[random.integers(len(truth)), :6]
            wide, tall = (box[2] - box[0]) * random.uniform(0.6, 1.4), (box[3] - box[1]) * random.uniform(0.6, 1.4)
            left, top = box[0] + random.uniform(-0.5, 0.5) * wide, box[1] + random.uniform(-0.5, 0.5) * tall
        rows.append([frame, -1, left, top, left + wide, top + tall, random.uniform(0.25, 0.6)])
    return sorted(rows, key=lambda row: (row[0], -row[6]))


def write(path, rows):
    path.write_text("".join(mot_line(int(r[0]), int(r[1]), r[2:6], r[6]) + "\n" for r in rows))


def make_truth(plan, chosen, random):
    """Boxes of all frames, the numbers of those that are shown, and the rows of the truth."""
    walking = np.array([entry[3] == "person" for entry in chosen])
    boxes = paths(plan, np.array([entry[2] for entry in chosen]), walking, random)
    shown, truth = np.flatnonzero(random.random(FRAMES) >= plan.dropped), []
    for frame in shown:
        cut, inside = within(boxes[frame])
        truth += [[frame + 1, i + 1, *cut[i], 1] for i in np.flatnonzero(inside)]
    return boxes, shown, np.array(truth)


def detect(detector, canvas, frame, kinds):
    """Rows of what the detector finds of these kinds."""
    seen = detector(canvas, conf=0.1)
    found = zip(seen.boxes, seen.scores, seen.labels, strict=True)
    return [[frame + 1, -1, *box, score] for box, score, label in found if label in kinds]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--pictures", type=Path, required=True)
    parser.add_argument("--weights")
    parser.add_argument("--video", type=int)
    arguments = parser.parse_args()
    arguments.folder.mkdir(parents=True, exist_ok=True)
    detector = Detector.load(arguments.weights) if arguments.weights else None
    listing = json.loads((arguments.pictures / "instances.json").read_text())
    sprites = cut_outs(arguments.pictures, listing, np.random.default_rng(0))
    scenes = backgrounds(arguments.pictures, listing, len(PLANS))
    print(f"{len(sprites)} cut-outs: {sorted(entry[3] for entry in sprites)}")
    for number, plan in enumerate(PLANS):
        random = np.random.default_rng(number)
        chosen = [sprites[index] for index in random.integers(0, len(sprites), plan.objects)]
        boxes, shown, truth = make_truth(plan, chosen, random)
        write(arguments.folder / f"{plan.name}-gt.txt", truth)
        for seed in range(3):
            rows = noisy(truth, np.random.default_rng(seed))
            write(arguments.folder / f"{plan.name}-noise{seed}.txt", rows)
        print(f"{plan.name}: {len(truth)} true boxes")
        order = random.permutation(plan.objects)
        pillars = [(int(left), 50) for left in random.uniform(100, WIDTH - 150, plan.pillars)]
        frames = (draw_frame(scenes[number], boxes[frame], chosen, order, pillars) for frame in shown)
        if detector:
            kinds, found = {entry[3] for entry in chosen}, []
            for frame, canvas in zip(shown, frames, strict=True):
                found += detect(detector, canvas, frame, kinds)
            write(arguments.folder / f"{plan.name}-found.txt", found)
            print(f"{len(found)} found")
        elif arguments.video == number:
            fourcc = cv2.VideoWriter.fourcc(*"mp4v")
            video = cv2.VideoWriter(str(arguments.folder / f"{plan.name}.mp4"), fourcc, 25, (WIDTH, HEIGHT))
            for canvas in frames:
                video.write(canvas[:, :, ::-1])
            video.release()


if __name__ == "__main__":
    main()
