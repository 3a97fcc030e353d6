/** The rectangle that a person draws around what was missed: with the pointer, or with the keyboard alone. */

import { sides } from "./boxes.js";
import { announce, set, svg } from "./dom.js";
import { within } from "./geometry.js";

const SMALLEST = 6; // pixels of the screen; less is a click
const HINT = "Place where something was missed. Arrow keys move it, with Shift they size it, Enter asks why not.";

/**
 * `toImage(event)`: a point of the screen in pixels of the picture.
 * `onPlace(box, done)`: the rectangle is this now; `done` when it is meant to be asked about.
 */
export class Marker {
  constructor(layer, toImage, onPlace) {
    Object.assign(this, { layer, toImage, onPlace, touch: false });
    this.node = svg("rect", { class: "marker", role: "button", "aria-label": HINT, tabindex: 0 });
    this.node.addEventListener("keydown", (event) => this.#key(event));
    layer.addEventListener("pointerdown", (event) => this.#down(event));
    layer.addEventListener("click", (event) => this.#click(event), { capture: true });
  }

  /** A new picture: no rectangle. */
  open(width, height) {
    Object.assign(this, { width, height });
    this.clear();
  }

  clear() {
    this.box = null;
    this.node.remove();
  }

  /** Whether touch draws, too; otherwise touch scrolls. */
  allowTouch(allowed) {
    this.touch = allowed;
    this.layer.classList.toggle("marking", allowed);
  }

  /** Puts a rectangle there and the focus on it. */
  put(box) {
    this.#show(box);
    this.node.focus();
    announce(HINT);
    this.onPlace(this.box, false);
  }

  #show(box) {
    this.box = within(box, this.width, this.height);
    set(this.node, sides(this.box));
    if (!this.node.isConnected) this.layer.append(this.node);
  }

  #down(event) {
    this.drawn = false;
    if (event.button !== 0 || (event.pointerType !== "mouse" && !this.touch)) return;
    const [x, y] = this.toImage(event);
    const move = (moved) => this.#move(event, moved, x, y);
    const end = (ended) => {
      this.layer.removeEventListener("pointermove", move);
      this.layer.removeEventListener("pointerup", end);
      this.layer.removeEventListener("pointercancel", end);
      if (this.drawn && ended.type === "pointerup") this.onPlace(this.box, true);
    };
    this.layer.addEventListener("pointermove", move);
    this.layer.addEventListener("pointerup", end);
    this.layer.addEventListener("pointercancel", end);
  }

  #move(start, event, x, y) {
    const far = Math.min(Math.abs(event.clientX - start.clientX), Math.abs(event.clientY - start.clientY)) >= SMALLEST;
    if (!this.drawn && !far) return;
    if (!this.drawn) this.layer.setPointerCapture(start.pointerId);
    this.drawn = true;
    const [toX, toY] = this.toImage(event);
    this.#show([Math.min(x, toX), Math.min(y, toY), Math.max(x, toX), Math.max(y, toY)]);
  }

  /** After drawing, the click that ends it chooses no box. */
  #click(event) {
    if (!this.drawn) return;
    event.stopPropagation();
    this.drawn = false;
  }

  #key(event) {
    const directions = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
    if (event.key in directions) {
      const step = Math.max(this.width, this.height) / 50;
      const [across, down] = directions[event.key].map((part) => part * step);
      const [left, top, right, bottom] = this.box;
      if (event.shiftKey) this.#show([left, top, Math.max(right + across, left + 1), Math.max(bottom + down, top + 1)]);
      else this.#shift(across, down);
      this.onPlace(this.box, false);
    } else if (event.key === "Enter" || event.key === " ") this.onPlace(this.box, true);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #shift(across, down) {
    const [left, top, right, bottom] = this.box;
    const x = Math.min(Math.max(across, -left), this.width - right);
    const y = Math.min(Math.max(down, -top), this.height - bottom);
    this.#show([left + x, top + y, right + x, bottom + y]);
  }
}
