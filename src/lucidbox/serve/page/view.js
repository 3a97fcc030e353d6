/** One picture with its boxes, heat map and the rectangle that a person draws. */

import { Boxes } from "./boxes.js";
import { heated } from "./colours.js";
import { element, set } from "./dom.js";
import { counted, inWords } from "./geometry.js";
import { Marker } from "./marker.js";

const LARGEST = 16; // pixels of the screen for a pixel of the picture
const ENLARGED = 3; // how much a small picture is enlarged to fit

/**
 * `on.point(found | null)`, `on.choose(found)`, `on.place(box)`: a rectangle was drawn; `on.zoom(factor, at)`.
 */
export class View {
  constructor(on) {
    this.on = on;
    this.zoom = 1;
    this.boxes = new Boxes({ point: (found) => on.point(found), choose: (found) => on.choose(found) });
    this.tip = element("div", { class: "tip", "aria-hidden": "true", hidden: true });
    this.picture = element("div", { class: "picture" });
    this.heat = element("canvas", { class: "heat", hidden: true });
    this.words = element("p", { class: "blank", hidden: true });
    this.sheet = element("div", { class: "sheet" }, this.picture, this.words, this.heat, this.boxes.svg, this.tip);
    this.scroller = element("div", { class: "scroller" }, this.sheet);
    this.caption = element("figcaption");
    this.node = element("figure", { class: "view" }, this.caption, this.scroller);
    this.marker = new Marker(this.boxes.svg, (event) => this.toImage(event), (box, done) => on.place(box, done));
    new ResizeObserver(() => this.fit()).observe(this.scroller);
    this.scroller.addEventListener("wheel", (event) => this.#wheel(event), { passive: false });
  }

  /** Shows an image or canvas of this size; `words` instead, where the browser cannot show the file. */
  open(shown, width, height, { label, colours = [], words = "" }) {
    const same = this.width === width && this.height === height;
    Object.assign(this, { width, height, found: [], chosen: null });
    this.picture.replaceChildren(...(shown ? [shown] : []));
    if (shown) set(shown, { role: "img", "aria-label": label });
    this.words.textContent = words;
    this.words.hidden = !words;
    this.boxes.open(width, height, colours);
    this.point(null);
    this.showHeat(null);
    this.marker.open(width, height);
    this.scroller.style.setProperty("aspect-ratio", `${width} / ${height}`); // its height, where a column has none to give
    if (!same) this.zoom = 1;
    this.fit();
  }

  /** Shows these detections, best first. */
  show(found, chosen, caption) {
    this.found = found;
    this.chosen = chosen;
    this.caption.textContent = caption;
    this.caption.hidden = !caption;
    this.boxes.show(found, this.scale, chosen);
    set(this.boxes.svg, { "aria-label": `${counted(found.length, "box", "boxes")} on the picture` });
  }

  /** Shows the label, score and size of a box beside it. */
  point(found) {
    this.boxes.point(found?.index ?? null);
    this.tip.hidden = !found || found.index === this.chosen; // that one has its label and the reasons
    if (this.tip.hidden) return;
    const [left, top, , bottom] = found.box.map((side) => side * this.scale);
    this.tip.textContent = inWords(found);
    const roomBelow = bottom + 36 < this.height * this.scale;
    const most = this.width * this.scale - this.tip.offsetWidth - 4;
    Object.assign(this.tip.style, {
      left: `${Math.max(Math.min(left, most), 4)}px`,
      top: `${roomBelow ? bottom + 6 : Math.max(top + 28, 4)}px`,
    });
  }

  /** Lays a heat map over the picture: a grey image of any size; null takes it away. */
  showHeat(image) {
    this.heat.hidden = !image;
    this.node.classList.toggle("heated", Boolean(image));
    if (!image) return;
    Object.assign(this.heat, { width: image.width, height: image.height });
    const context = this.heat.getContext("2d", { willReadFrequently: true });
    context.drawImage(image, 0, 0);
    const pixels = context.getImageData(0, 0, image.width, image.height);
    heated(pixels.data);
    context.putImageData(pixels, 0, 0);
  }

  /** Takes the size that the zoom asks for; 1 fits the room. */
  fit() {
    if (!this.width || !this.scroller.clientWidth) return;
    const room = [this.scroller.clientWidth / this.width, this.scroller.clientHeight / this.height];
    const fitting = Math.min(...room, ENLARGED) * 0.999; // rounding must not bring scroll bars
    this.zoom = Math.min(Math.max(this.zoom, 1), Math.max(LARGEST / fitting, 1));
    this.scale = fitting * this.zoom;
    Object.assign(this.sheet.style, { width: `${this.width * this.scale}px`, height: `${this.height * this.scale}px` });
    this.boxes.show(this.found, this.scale, this.chosen);
  }

  /** Zooms by a factor; what is at this point of the screen (by default the middle) stays there. */
  zoomBy(factor, at = this.#middle()) {
    const [x, y] = this.toImage(at);
    this.zoom *= factor;
    this.fit();
    const sheet = this.sheet.getBoundingClientRect();
    this.scroller.scrollLeft += sheet.left + x * this.scale - at.clientX;
    this.scroller.scrollTop += sheet.top + y * this.scale - at.clientY;
  }

  /** A point of the screen in pixels of the picture. */
  toImage({ clientX, clientY }) {
    const sheet = this.sheet.getBoundingClientRect();
    return [(clientX - sheet.left) / this.scale, (clientY - sheet.top) / this.scale];
  }

  /** The part of the picture that can be seen, in its pixels. */
  visible() {
    const room = this.scroller.getBoundingClientRect();
    const [left, top] = this.toImage({ clientX: room.left, clientY: room.top });
    const [right, bottom] = this.toImage({ clientX: room.right, clientY: room.bottom });
    return [Math.max(left, 0), Math.max(top, 0), Math.min(right, this.width), Math.min(bottom, this.height)];
  }

  #middle() {
    const room = this.scroller.getBoundingClientRect();
    return { clientX: room.left + room.width / 2, clientY: room.top + room.height / 2 };
  }

  #wheel(event) {
    if (!event.ctrlKey && !event.metaKey) return;
    event.preventDefault();
    this.on.zoom(Math.exp(-event.deltaY / 300), event);
  }
}
