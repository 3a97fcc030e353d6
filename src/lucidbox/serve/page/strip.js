/** The row of small pictures below the large one. */

import { byId, element, set } from "./dom.js";
import { counted } from "./geometry.js";

/** `on.open(item)`, `on.remove(item)`, `on.countOf(item)`, `on.answerOf(item)`. */
export class Strip {
  constructor(on) {
    this.on = on;
    this.node = byId("strip");
    this.entries = new Map();
  }

  /** Shows these pictures, one of them as the current one. */
  show(items, current) {
    this.node.hidden = items.length < 1 || (items.length === 1 && current === items[0]);
    for (const [item, entry] of this.entries) {
      if (items.includes(item)) continue;
      entry.remove();
      this.entries.delete(item);
    }
    for (const item of items) if (!this.entries.has(item)) this.#add(item);
    for (const [item, entry] of this.entries) set(entry.firstElementChild, { "aria-current": item === current && "true" });
    this.entries.get(current)?.scrollIntoView({ block: "nearest", inline: "nearest" });
    this.refresh();
  }

  /** Counts and errors anew. */
  refresh() {
    for (const [item, entry] of this.entries) {
      const { state } = this.on.answerOf(item);
      const count = this.on.countOf(item);
      const [mark, words] = { done: [count, counted(count, "box", "boxes")], failed: ["!", "failed"] }[state] ?? ["…", "waiting"];
      const badge = entry.querySelector(".badge");
      badge.textContent = mark;
      badge.classList.toggle("bad", state === "failed");
      set(entry.firstElementChild, { "aria-label": `${item.name}, ${words}`, title: item.name });
    }
  }

  #add(item) {
    const image = element("img", { src: item.url, alt: "", loading: "lazy", decoding: "async", width: 96, height: 72, onerror: () => image.remove() });
    const badge = element("span", { class: "badge", "aria-hidden": "true" });
    const open = element("button", { type: "button", onclick: () => this.on.open(item) }, image, badge);
    const away = element("button", { type: "button", class: "away", "aria-label": `Take ${item.name} away`, onclick: () => this.on.remove(item) }, "×");
    const entry = element("li", {}, open, away);
    this.entries.set(item, entry);
    this.node.append(entry);
  }
}
