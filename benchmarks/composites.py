"""Composites: large pictures made of the small ones of a data set, with their boxes.

    python benchmarks/composites.py --annotations instances.json --images DIR --out composites

Every picture of the data set goes once into a cell of a grid, at its own size and a random place in the cell;
cells that remain are grey. Writes JPEG files (quality 95) and ``instances.json`` beside them: boxes, areas and
crowds as they were, moved.
"""

import argparse
import json
from pathlib import Path

import cv2
import numpy as np

GREY = 114


def composite(pictures, grid, cell, random):
    """One composite, and where each of its pictures lies: left, top."""
    canvas = np.full((grid * cell, grid * cell, 3), GREY, np.uint8)
    places = []
    for row, picture in enumerate(pictures):
        height, width = picture.shape[:2]
        left = row % grid * cell + int(random.integers(0, cell - width + 1))
        top = row // grid * cell + int(random.integers(0, cell - height + 1))
        canvas[top : top + height, left : left + width] = picture
        places.append((left, top))
    return canvas, places


def read(path, scale, cell):
    picture = cv2.imread(str(path))
    if scale != 1:
        picture = cv2.resize(picture, None, fx=scale, fy=scale, interpolation=cv2.INTER_CUBIC)
    if max(picture.shape[:2]) > cell:
        raise SystemExit(f"{path}: {max(picture.shape[:2])} pixels do not fit into a cell of {cell}")
    return picture


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--annotations", required=True, type=Path)
    parser.add_argument("--images", required=True, type=Path)
    parser.add_argument("--out", required=True, type=Path, help="a new folder")
    parser.add_argument("--grid", type=int, default=4)
    parser.add_argument("--cell", type=int, default=640)
    parser.add_argument("--scale", type=float, default=1, help="enlarge pictures so many times first")
    parser.add_argument("--most", type=int, help="pictures to take (default: all)")
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    truth = json.loads(arguments.annotations.read_text())
    random = np.random.default_rng(arguments.seed)
    chosen = [truth["images"][row] for row in random.permutation(len(truth["images"]))[: arguments.most]]
    boxes = {image["id"]: [] for image in chosen}
    for one in truth["annotations"]:
        if one["image_id"] in boxes:
            boxes[one["image_id"]].append(one)
    arguments.out.mkdir(parents=True)
    images, annotations, each = [], [], arguments.grid**2
    for number, start in enumerate(range(0, len(chosen), each)):
        group = chosen[start : start + each]
        pictures = [read(arguments.images / one["file_name"], arguments.scale, arguments.cell) for one in group]
        canvas, places = composite(pictures, arguments.grid, arguments.cell, random)
        name = f"{number:04}.jpg"
        cv2.imwrite(str(arguments.out / name), canvas, [cv2.IMWRITE_JPEG_QUALITY, 95])
        images.append({"id": number, "file_name": name, "width": canvas.shape[1], "height": canvas.shape[0]})
        for image, (left, top) in zip(group, places, strict=True):
            for one in boxes[image["id"]]:
                x, y, width, height = (side * arguments.scale for side in one["bbox"])
                area = one.get("area", one["bbox"][2] * one["bbox"][3]) * arguments.scale**2
                moved = {"id": len(annotations) + 1, "image_id": number, "category_id": one["category_id"]}
                moved |= {"bbox": [x + left, y + top, width, height], "area": area}
                annotations.append(moved | {"iscrowd": one.get("iscrowd", 0)})
    document = {"images": images, "annotations": annotations, "categories": truth["categories"]}
    (arguments.out / "instances.json").write_text(json.dumps(document))
    print(f"{len(images)} composites of {len(chosen)} pictures, {len(annotations)} boxes, in {arguments.out}")


if __name__ == "__main__":
    main()
