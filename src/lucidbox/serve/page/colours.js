/** Colours: text that is readable on a class's colour, and the colours of heat. */

/** Black or white, whichever has more contrast, on `#rrggbb`. */
export function textOn(colour) {
  const [red, green, blue] = [1, 3, 5].map((at) => linear(Number.parseInt(colour.slice(at, at + 2), 16) / 255));
  const luminance = 0.2126 * red + 0.7152 * green + 0.0722 * blue;
  return (luminance + 0.05) ** 2 > 1.05 * 0.05 ? "#000000" : "#ffffff";
}

const linear = (share) => (share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4);

// From dark violet to pale yellow, always lighter: readable also without seeing colours.
const HEAT = [[12, 8, 38], [87, 16, 110], [188, 55, 84], [249, 142, 9], [252, 255, 164]];

/** Grey levels of a picture's pixels turned into heat, in place: cold is dark and thin, hot is bright. */
export function heated(pixels) {
  const table = Array.from({ length: 256 }, (_, level) => heat(level / 255));
  for (let at = 0; at < pixels.length; at += 4) pixels.set(table[pixels[at]], at);
  return pixels;
}

function heat(share) {
  const place = share * (HEAT.length - 1);
  const low = Math.min(Math.floor(place), HEAT.length - 2);
  const colour = HEAT[low].map((from, part) => Math.round(from + (HEAT[low + 1][part] - from) * (place - low)));
  return [...colour, Math.round(255 * (0.5 + 0.25 * share))];
}
