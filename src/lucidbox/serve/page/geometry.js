/** Boxes `[left, top, right, bottom]` in pixels of the picture, and words about them. */

export const area = ([left, top, right, bottom]) => Math.max(right - left, 0) * Math.max(bottom - top, 0);

/** Intersection over union of two boxes. */
export function iou(one, other) {
  const common = area([
    Math.max(one[0], other[0]),
    Math.max(one[1], other[1]),
    Math.min(one[2], other[2]),
    Math.min(one[3], other[3]),
  ]);
  return common === 0 ? 0 : common / (area(one) + area(other) - common);
}

/** A box within a picture of this size. */
export function within([left, top, right, bottom], width, height) {
  const clamp = (value, most) => Math.min(Math.max(value, 0), most);
  return [clamp(left, width), clamp(top, height), clamp(right, width), clamp(bottom, height)];
}

/** "120 × 340". */
export const sizeOf = ([left, top, right, bottom]) => `${Math.round(right - left)} × ${Math.round(bottom - top)}`;

/** A score as a person reads it; next to nothing by its power of ten. */
export const scoreText = (score) => (score >= 0.005 ? score.toFixed(2) : score.toExponential(0));

/** "person, score 0.91, 120 × 340 pixels". */
export const inWords = (found) => `${found.label}, score ${scoreText(found.score)}, ${sizeOf(found.box)} pixels`;

/** "1 box", "3 boxes". */
export const counted = (number, one, many = `${one}s`) => `${number} ${number === 1 ? one : many}`;

/**
 * How two models agree: pairs of the same label that overlap by half or more, best scores first, one to one.
 * Gives how many both found, and how many only the first or only the second.
 */
export function agreement(first, second) {
  const free = new Set(second);
  let both = 0;
  for (const one of first) {
    let best = null;
    for (const other of free) {
      const overlap = other.label === one.label ? iou(one.box, other.box) : 0;
      if (overlap >= 0.5 && overlap > (best?.overlap ?? 0)) best = { other, overlap };
    }
    if (best && free.delete(best.other)) both += 1;
  }
  return { both, first: first.length - both, second: free.size };
}
