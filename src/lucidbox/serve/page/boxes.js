/** Boxes over a picture, as SVG in the picture's own pixels: lines and labels keep their width at any zoom. */

import { textOn } from "./colours.js";
import { set, svg } from "./dom.js";
import { area, inWords, scoreText } from "./geometry.js";

const HEIGHT = 20; // of a label, in pixels of the screen
const FONT = "600 12px system-ui, sans-serif";

const ruler = document.createElement("canvas").getContext("2d");

/**
 * The boxes of one picture.
 *
 * `on.point(found | null)`: the pointer or the focus is on a box; `on.choose(found)`: it was clicked.
 */
export class Boxes {
  constructor(on) {
    this.on = on;
    this.marks = svg("g");
    this.groups = svg("g");
    this.labels = svg("g", { "aria-hidden": "true" }); // above all lines
    const layers = [this.marks, this.groups, this.labels];
    this.svg = svg("svg", { class: "boxes", role: "group", "aria-label": "Boxes on the picture" }, layers);
    this.nodes = new Map(); // by place in the record
    this.texts = new Map();
    this.shown = [];
    this.colours = [];
    this.svg.addEventListener("keydown", (event) => this.#walk(event));
  }

  /** Another picture of this size, another list of colours; the boxes before are gone. */
  open(width, height, colours) {
    this.width = width;
    this.height = height;
    this.colours = colours;
    for (const nodes of [this.nodes, this.texts]) nodes.clear();
    for (const layer of [this.groups, this.labels]) layer.replaceChildren();
    this.mark([]);
    set(this.svg, { viewBox: `0 0 ${width} ${height}` });
  }

  /** Shows these detections, best first; `scale`: pixels of the screen for a pixel of the picture. */
  show(shown, scale, chosen) {
    this.shown = shown;
    this.scale = scale;
    const wanted = new Set(shown.map((found) => found.index));
    for (const nodes of [this.nodes, this.texts]) {
      for (const [index, node] of nodes) {
        if (wanted.has(index)) continue;
        node.remove();
        nodes.delete(index);
      }
    }
    for (const found of shown) if (!this.nodes.has(found.index)) this.#make(found);
    this.#order(shown);
    this.#labels(shown);
    this.choose(chosen);
  }

  /** The box that is explained; the others step back. */
  choose(chosen) {
    this.svg.classList.toggle("has-chosen", chosen !== null);
    this.#toggle("chosen", chosen);
    for (const [index, node] of this.nodes) set(node, { "aria-pressed": String(index === chosen) });
    this.#rove(this.nodes.has(chosen) ? chosen : this.shown[0]?.index);
  }

  /** The box under the pointer or with the focus, here or in the list. */
  point(index) {
    this.#toggle("pointed", index);
  }

  /** Boxes that are no detections: `[{box, kind}]`. */
  mark(marks) {
    this.marks.replaceChildren(...marks.map(({ box, kind }) => svg("rect", { class: `mark ${kind}`, ...sides(box) })));
  }

  /** Puts the focus on the best box, or the chosen one. */
  focus() {
    this.groups.querySelector('[tabindex="0"]')?.focus();
  }

  #make(found) {
    const colour = this.colours[found.class];
    const rectangle = sides(found.box);
    const node = svg(
      "g",
      { class: "box", role: "button", "aria-label": inWords(found), tabindex: -1 },
      svg("rect", { class: "area", ...rectangle }),
      svg("rect", { class: "halo", ...rectangle }),
      svg("rect", { class: "line", ...rectangle, stroke: colour }),
    );
    const text = label(found, colour);
    const [point, leave] = [() => this.on.point(found), () => this.on.point(null)];
    set(node, { onfocus: point, onblur: leave });
    for (const one of [node, text]) set(one, { onpointerenter: point, onpointerleave: leave, onclick: () => this.on.choose(found) });
    this.labels.append(text);
    this.texts.set(found.index, text);
    this.nodes.set(found.index, node);
  }

  #toggle(name, index) {
    for (const nodes of [this.nodes, this.texts]) for (const [one, node] of nodes) node.classList.toggle(name, one === index);
  }

  /** Small boxes lie above large ones, so that each can be reached; moved only where that changes. */
  #order(shown) {
    const nodes = [...shown].sort((one, other) => area(other.box) - area(one.box)).map((found) => this.nodes.get(found.index));
    if (nodes.some((node, place) => this.groups.children[place] !== node)) {
      const focused = this.groups.contains(document.activeElement) ? document.activeElement : null;
      this.groups.replaceChildren(...nodes);
      focused?.focus({ preventScroll: true });
    }
  }

  /** Places labels, best boxes first; one that finds no free place waits until its box is pointed at. */
  #labels(shown) {
    const taken = [];
    for (const found of shown) {
      const text = this.texts.get(found.index);
      const [width, height] = [Number(text.dataset.width) / this.scale, HEIGHT / this.scale];
      const places = this.#places(found.box, width, height);
      const free = places.find((place) => !taken.some((other) => overlap(place, other)));
      const [left, top] = free ?? places[0];
      if (free) taken.push(free);
      text.classList.toggle("crowded", !free);
      set(text, { transform: `translate(${left} ${top}) scale(${1 / this.scale})` });
    }
  }

  #places([left, top, right, bottom], width, height) {
    const x = Math.max(Math.min(left, this.width - width), 0);
    const end = Math.max(right - width, 0);
    return [[x, top - height], [x, top], [end, top - height], [x, bottom], [x, bottom - height]]
      .filter(([, y]) => y >= 0 && y + height <= this.height)
      .concat([[x, Math.max(top, 0)]])
      .map(([across, down]) => [across, down, across + width, down + height]);
  }

  /** Only one box is in the order of the tabulator; arrow keys go to the others. */
  #rove(index) {
    for (const [one, node] of this.nodes) set(node, { tabindex: one === index ? 0 : -1 });
  }

  #walk(event) {
    const place = this.shown.findIndex((found) => this.nodes.get(found.index) === event.target);
    if (place < 0) return;
    const last = this.shown.length - 1;
    const steps = { ArrowRight: place + 1, ArrowDown: place + 1, ArrowLeft: place - 1, ArrowUp: place - 1, Home: 0, End: last };
    if (event.key in steps) {
      const next = this.shown[(steps[event.key] + last + 1) % (last + 1)];
      this.#rove(next.index);
      this.nodes.get(next.index).focus();
    } else if (event.key === "Enter" || event.key === " ") this.on.choose(this.shown[place]);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

/** Attributes of an SVG rectangle. */
export const sides = ([left, top, right, bottom]) => ({ x: left, y: top, width: right - left, height: bottom - top });

/** Text of a label and its width on the screen. */
export function labelOf(found) {
  const text = `${found.label} ${scoreText(found.score)}`;
  ruler.font = FONT;
  return { text, width: Math.ceil(ruler.measureText(text).width) + 12 };
}

function label(found, colour) {
  const { text, width } = labelOf(found);
  return svg(
    "g",
    { class: "label", "data-width": width },
    svg("rect", { width, height: HEIGHT, rx: 4, fill: colour }),
    svg("text", { x: 6, y: 14, fill: textOn(colour) }, text),
  );
}

const overlap = (one, other) => one[0] < other[2] && other[0] < one[2] && one[1] < other[3] && other[1] < one[3];
