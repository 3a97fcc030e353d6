/** Asks the server why a box is there, or why none is at a marked place, and shows the answer over the picture. */

import { LEAST, explain } from "./api.js";
import { announce, byId, set } from "./dom.js";
import { iou } from "./geometry.js";
import { Reasons } from "./reasons.js";

/** `page.state`, `page.stages()`, `page.pause()`: a video stops, `page.changed()`: the boxes are to be drawn anew. */
export class Why {
  constructor(page) {
    this.page = page;
    this.chosen = null; // {model, index}
    this.marks = [];
    this.reasons = new Reasons({
      close: () => {
        this.clear();
        page.changed();
        page.stages()[0].boxes.focus();
      },
      heat: (shown) => this.#stage()?.showHeat(shown ? this.heat : null),
      method: () => this.again(),
      place: (label) => this.#askPlace(label),
      near: (one) => this.#markNear(one),
    });
  }

  /** Nothing is chosen, asked or marked. */
  clear() {
    this.request?.abort();
    Object.assign(this, { chosen: null, place: null, heat: null, request: null });
    for (const stage of this.page.stages()) {
      stage.showHeat(null);
      stage.boxes.mark([]);
      stage.marker.clear();
    }
    this.#marking(false);
    this.reasons.clear();
  }

  /** Why this box? */
  box(model, found) {
    this.page.pause();
    this.clear();
    this.chosen = { model, index: found.index };
    this.page.changed();
    const title = `Why this ${found.label}?`;
    if (!this.page.state.models.get(model).explain) return this.reasons.none(title, found);
    this.again = () => this.#ask(title, { box: found.index + 1, conf: LEAST }, "why");
    return this.again();
  }

  /** The rectangle is here now; `done`: the question may be asked. */
  marked(model, box, done) {
    this.page.pause();
    const moved = this.place?.model === model && !done;
    if (!moved) {
      this.request?.abort();
      Object.assign(this, { chosen: null, heat: null });
      for (const stage of this.page.stages()) {
        stage.showHeat(null);
        if (stage !== this.#stageOf(model)) stage.marker.clear();
      }
      this.page.changed();
    }
    this.place = { model, box };
    if (!this.page.state.models.get(model).explain) {
      return this.reasons.none("Why not here?", { label: "marked place", score: 0, box });
    }
    const note = done ? "" : "Drag another, or move it with the arrow keys (Shift: its size).";
    const select = this.reasons.place(box, this.page.state.models.get(model).classes, this.#guess(model, box), note);
    this.#marking(false);
    if (done) select.focus({ preventScroll: matchMedia("(min-width: 900px)").matches });
    return undefined;
  }

  /** A rectangle for the keyboard in the middle of what is visible; for touch, the next drag draws one. */
  startMarking() {
    const [stage] = this.page.stages();
    this.clear();
    this.page.changed();
    const [left, top, right, bottom] = stage.visible();
    const [across, down] = [(right - left) / 3, (bottom - top) / 3];
    stage.marker.put([left + across, top + down, right - across, bottom - down]);
    this.#marking(true);
  }

  toggleHeat() {
    const box = byId("heat");
    if (box) box.click();
  }

  /** Touch draws instead of scrolling, until a rectangle is there. */
  #marking(on) {
    for (const stage of this.page.stages()) stage.marker.allowTouch(on);
    set(byId("ask-place"), { "aria-pressed": String(on) });
  }

  #askPlace(label) {
    const { model, box } = this.place;
    const at = box.map((side) => side.toFixed(1)).join(",");
    this.chosen = { model, index: null };
    this.again = () => this.#ask(`Why no ${label} here?`, { at, class: label, conf: this.page.state.conf }, "whyNot");
    return this.again();
  }

  async #ask(title, question, kind) {
    const { model } = this.chosen;
    const { methods } = this.page.state.models.get(model);
    const method = this.reasons.method ?? methods[0];
    const stage = this.#stage();
    this.request?.abort();
    const request = (this.request = new AbortController());
    stage.showHeat(null);
    this.reasons.asking(title);
    try {
      const asked = { ...question, model, method: methods.includes(method) ? method : methods[0] };
      const answer = await explain(this.page.state.item.file, asked, { signal: request.signal });
      const heat = answer.heat ? await picture(answer.heat.png) : null;
      if (request.signal.aborted) return;
      this.heat = heat;
      stage.showHeat(heat);
      this.near = answer.near;
      this.#markNear(null);
      this.reasons[kind](title, answer, methods);
      announce(`${title} ${answer.verdict ?? ""}`);
    } catch (error) {
      if (!request.signal.aborted) this.reasons.failed(title, error.message);
    }
  }

  #stage() {
    return this.#stageOf((this.chosen ?? this.place)?.model);
  }

  #stageOf(model) {
    return this.page.stages()[this.page.state.sides.indexOf(model)];
  }

  /** The near boxes as thin lines; the one that is pointed at, and what suppressed it, stand out. */
  #markNear(one) {
    if (!this.near || !this.place) return;
    const all = this.near.map(({ box }) => ({ box, kind: "near" }));
    const strong = one ? [{ box: one.box, kind: "strong" }, ...(one.suppressor ? [{ box: one.suppressor, kind: "suppressor" }] : [])] : [];
    this.#stage()?.boxes.mark([...all, ...strong]);
  }

  /** The class of the best overlap among all that was found, however low its score; else the first of the picture. */
  #guess(model, box) {
    const { found } = this.page.state.item.answer(model);
    const best = found.reduce((one, other) => (iou(other.box, box) > iou(one?.box ?? [0, 0, 0, 0], box) ? other : one), null);
    return (best ?? found[0])?.label;
  }
}

async function picture(base64) {
  const bytes = Uint8Array.from(atob(base64), (letter) => letter.charCodeAt(0));
  return createImageBitmap(new Blob([bytes], { type: "image/png" }));
}
