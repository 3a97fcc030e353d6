/** Pictures, and what the models answered about each. */

import { detect } from "./api.js";

const AT_ONCE = 2; // pictures asked about at a time

let lastId = 0;

/** One picture: a file, or the frame of a video that is shown now. */
export class Item {
  constructor(file, name = file.name || "pasted picture") {
    Object.assign(this, { id: (lastId += 1), version: 0, answers: new Map() });
    this.replace(file, name);
  }

  /** Another picture in its place: the next frame of a video. */
  replace(file, name) {
    if (this.url) URL.revokeObjectURL(this.url);
    Object.assign(this, { file, name, url: URL.createObjectURL(file), size: null, frame: null });
    this.version += 1;
    this.answers = new Map();
  }

  /** Whether the browser can show it; then `size` is its width and height. */
  async load() {
    const image = new Image();
    image.src = this.url;
    await image.decode().then(
      () => (this.size = [image.naturalWidth, image.naturalHeight]),
      () => (this.size = null),
    );
    this.loaded = true;
  }

  answer(model) {
    return this.answers.get(model) ?? { state: "waiting", found: [] };
  }
}

/** A finished answer: detections know their place in the record, from which the server counts. */
export function answered({ record, times }) {
  return { state: "done", record, times, found: record.detections.map((found, index) => ({ ...found, index })) };
}

/** Asks about pictures a few at a time, in the order they came; the one that is looked at comes first. */
export class Queue {
  constructor(onChange) {
    this.onChange = onChange;
    this.waiting = [];
    this.busy = 0;
  }

  /** Asks a model about a picture, unless that was done already. */
  ask(item, model, { first = false, again = false } = {}) {
    const known = item.answers.get(model);
    if (known?.state === "waiting" && first) this.waiting = this.waiting.filter((job) => job.answer !== known);
    else if (known && !(again && known.state === "failed")) return;
    const answer = { state: "waiting", found: [] };
    item.answers.set(model, answer);
    this.waiting[first ? "unshift" : "push"]({ item, model, answer });
    this.#next();
  }

  /** Forgets what waits for a picture that was taken away. */
  drop(item) {
    this.waiting = this.waiting.filter((job) => job.item !== item);
  }

  async #next() {
    if (this.busy >= AT_ONCE || this.waiting.length === 0) return;
    this.busy += 1;
    const { item, model } = this.waiting.shift();
    const tell = (answer) => {
      item.answers.set(model, { found: [], ...answer });
      this.onChange(item);
    };
    tell({ state: "asking" });
    const onWait = (seconds) => tell({ state: "asking", note: `The server is busy; asking again in ${seconds} s.` });
    try {
      tell(answered(await detect(item.file, model, { onWait })));
    } catch (error) {
      tell({ state: "failed", error: error.message });
    }
    this.busy -= 1;
    this.#next();
  }
}
