/** The answers to "why this box?" and "why not here?", beside the picture. */

import { byId, element } from "./dom.js";
import { inWords, scoreText, sizeOf } from "./geometry.js";

const FIGURES = {
  inside: ["heat in the box", percent],
  pointing: ["hottest point in the box", (value) => (value ? "yes" : "no")],
  deletion: ["score left with hot pixels hidden", percent],
  insertion: ["score back with hot pixels shown", percent],
  randomised: ["likeness with random weights", (value) => value.toFixed(2)],
};

/**
 * `on.close()`; `on.heat(shown)`; `on.method(name)`: ask again with it; `on.place(label)`: ask about the marked place;
 * `on.near(box | null)`: one of the near boxes is pointed at.
 */
export class Reasons {
  constructor(on) {
    this.on = on;
    this.node = byId("reasons");
    this.method = null;
  }

  clear() {
    this.node.hidden = true;
    this.node.replaceChildren();
  }

  /** A box is asked about. */
  asking(title) {
    this.#show(title, element("p", { class: "soft", role: "status" }, "Looking for the reasons…"), element("progress", { "aria-label": "Looking for the reasons" }));
  }

  failed(title, message) {
    this.#show(title, element("p", { class: "problem", role: "alert" }, message));
  }

  /** This server gives no reasons, but the box has a size. */
  none(title, found) {
    this.#show(title, element("p", {}, inWords(found)), element("p", { class: "soft" }, "This server was started without explanations."));
  }

  /** What speaks for a box. */
  why(title, answer, methods) {
    this.#show(title, ...this.#answer(answer), this.#controls(answer, methods));
  }

  /** Which class was missed at the marked place? */
  place(box, names, guess, note = "") {
    const select = element("select", { id: "missed" }, names.map((name) => element("option", { selected: name === guess }, name)));
    const form = element(
      "form",
      { class: "place", onsubmit: (event) => (event.preventDefault(), this.on.place(select.value)) },
      element("label", { for: "missed" }, "What should be here?"),
      select,
      element("button", { class: "main" }, "Ask"),
    );
    this.#show("Why not here?", element("p", { class: "soft" }, `Marked: ${sizeOf(box)} pixels. ${note}`), form);
    return select;
  }

  /** What became of the anchors near the marked place. */
  whyNot(title, answer, methods) {
    const near = (answer.near ?? []).map((one) => this.#near(one));
    const list = near.length ? [element("h3", {}, "The nearest answers of the network"), element("ul", { class: "near" }, near)] : [];
    this.#show(title, ...list, ...this.#answer(answer), this.#controls(answer, methods));
  }

  #show(title, ...children) {
    const close = element("button", { type: "button", class: "quiet close", "aria-label": "Close the reasons", onclick: () => this.on.close() }, "×");
    this.node.replaceChildren(element("div", { class: "head" }, element("h2", {}, title), close), ...children);
    this.node.hidden = false;
    // On a phone the picture with its heat map comes first, and the reasons below it.
    if (matchMedia("(min-width: 900px)").matches) this.node.scrollIntoView({ block: "nearest" });
    else byId("stage").scrollIntoView({ block: "start" });
  }

  #answer({ verdict, words = [], figures = {} }) {
    const known = Object.entries(FIGURES).filter(([name]) => figures?.[name] !== null && figures?.[name] !== undefined);
    const lines = known.flatMap(([name, [label, text]]) => [element("dt", {}, label), element("dd", {}, text(figures[name]))]);
    const doubtful = figures?.suspicious || figures?.empty;
    return [
      verdict ? element("p", { class: `verdict ${doubtful ? "doubt" : "sound"}` }, verdict) : null,
      lines.length ? element("dl", { class: "table" }, lines) : null,
      words.length ? element("details", {}, element("summary", {}, "In words"), element("ul", {}, words.map((line) => element("li", {}, line)))) : null,
    ].filter(Boolean);
  }

  #controls({ heat, method }, methods) {
    const shown = element("input", { type: "checkbox", id: "heat", checked: true, onchange: () => this.on.heat(shown.checked) });
    const select = element(
      "select",
      { onchange: () => this.on.method((this.method = select.value)) },
      methods.map((name) => element("option", { selected: name === method }, name)),
    );
    return element(
      "div",
      { class: "controls" },
      heat ? element("label", {}, shown, "heat map") : null,
      methods.length > 1 ? element("label", {}, "method ", select) : null,
    );
  }

  #near(one) {
    const point = () => this.on.near(one);
    const leave = () => this.on.near(null);
    const attributes = { type: "button", class: "row", onpointerenter: point, onfocus: point, onpointerleave: leave, onblur: leave, onclick: point };
    const score = one.fate.startsWith("score") ? "" : `score ${scoreText(one.score)}, `;
    const likelier = one.best_score > one.score ? `; more like ${one.best} (${scoreText(one.best_score)})` : "";
    const figures = `${score}overlaps the mark by ${Math.round(100 * one.iou)} %${likelier}`;
    return element("li", {}, element("button", attributes, element("span", { class: "fate" }, one.fate), element("span", { class: "soft" }, figures)));
  }
}

function percent(value) {
  return `${Math.round(100 * value)} %`;
}
