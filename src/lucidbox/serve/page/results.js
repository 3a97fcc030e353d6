/** What was found, beside the picture: how many, which classes, each box, and how long it took. */

import { byId, element, swatch } from "./dom.js";
import { agreement, counted, scoreText, sizeOf } from "./geometry.js";

const LISTED = 100; // boxes listed for a picture; all are drawn
const STAGES = { queue: "waiting its turn", decode: "reading the picture", inference: "running the model", transfer: "transfer and page" };

/** The number of boxes in the heading; for two models, of each. */
export function showCount(views) {
  const text = ({ answer, shown }) => ({ done: shown.length, failed: "no answer" })[answer.state] ?? "…";
  byId("count").textContent = views.map(text).join(" and ");
}

/** What two models agree on; nothing for one. */
export function showDifferences(views) {
  const [one, other] = views;
  const both = views.length === 2 && views.every((view) => view.answer.state === "done");
  byId("differences").hidden = !both;
  if (!both) return;
  const common = agreement(one.shown, other.shown);
  byId("differences").textContent =
    `Both found ${common.both}; only ${one.model}: ${common.first}; only ${other.model}: ${common.second}.`;
}

/** A button for each class with its count; pressed: shown. `on.toggle(label, alone)`. */
export function showChips(views, hidden, on) {
  const rows = new Map();
  views.forEach((view, place) => {
    for (const found of view.above) {
      if (!rows.has(found.label)) rows.set(found.label, { colour: view.colours[found.class], counts: views.map(() => 0) });
      rows.get(found.label).counts[place] += 1;
    }
  });
  for (const label of hidden) if (!rows.has(label)) rows.set(label, { colour: "", counts: views.map(() => 0) });
  const most = ([, { counts }]) => Math.max(...counts);
  const sorted = [...rows].sort((one, other) => most(other) - most(one) || one[0].localeCompare(other[0]));
  keepingFocus(byId("chips"), sorted.map(([label, { colour, counts }]) => chip(label, colour, counts, !hidden.has(label), on)));
}

function chip(label, colour, counts, pressed, on) {
  const attributes = {
    type: "button",
    class: "chip",
    "data-key": label,
    "aria-pressed": String(pressed),
    title: `${pressed ? "Hide" : "Show"} ${label}; with Shift only ${label}`,
    onclick: (event) => on.toggle(label, event.shiftKey),
  };
  return element("button", attributes, swatch(colour), label, element("span", { class: "number" }, counts.join(" · ")));
}

/** A list of boxes for each model. `on.point(view, found)`, `on.choose(view, found)`. */
export function showLists(views, chosen, on) {
  const parts = views.flatMap((view) => {
    const rows = view.shown.slice(0, LISTED).map((found) => row(view, found, chosen, on));
    const title = views.length > 1 ? [element("h3", {}, view.model)] : [];
    const list = rows.length ? element("ul", { class: "list" }, rows) : element("p", { class: "soft" }, nothing(view));
    const rest = view.shown.length - LISTED;
    return [...title, list, ...(rest > 0 ? [element("p", { class: "soft" }, `and ${rest} more with lower scores`)] : [])];
  });
  keepingFocus(byId("lists"), parts);
}

function row(view, found, chosen, on) {
  const isChosen = chosen?.model === view.model && chosen.index === found.index;
  const point = () => on.point(view, found);
  const attributes = {
    type: "button",
    class: "row",
    "data-key": `${view.model}/${found.index}`,
    "aria-pressed": String(isChosen),
    onclick: () => on.choose(view, found),
    onpointerenter: point,
    onfocus: point,
    onpointerleave: () => on.point(view, null),
    onblur: () => on.point(view, null),
  };
  const score = element("span", { class: "number" }, scoreText(found.score));
  const size = element("span", { class: "soft size" }, sizeOf(found.box), element("span", { class: "unseen" }, " pixels, score "));
  return element("li", {}, element("button", attributes, swatch(view.colours[found.class]), element("span", { class: "label" }, found.label), size, score));
}

function nothing({ answer, above }) {
  if (answer.state === "failed") return "No answer.";
  if (answer.state !== "done") return answer.note ?? "Looking…";
  if (above.length > 0) return "All classes found here are hidden.";
  return answer.found.length ? "Nothing above this confidence. Lower the slider, or mark a place to ask why not." : "Nothing found here.";
}

/** Time of each stage as a bar and in numbers. */
export function showTimes(views) {
  byId("times").replaceChildren(
    ...views.flatMap((view) => {
      const title = views.length > 1 ? [element("h3", {}, view.model)] : [];
      if (!view.answer.times) return [...title, element("p", { class: "soft" }, "No answer yet.")];
      return [...title, ...bars(view.answer.times)];
    }),
  );
}

function bars(times) {
  const total = times.reduce((sum, [, time]) => sum + time, 0);
  const parts = times.map(([name, time]) => {
    const part = element("span", { class: `part ${name}` });
    part.style.flexGrow = String(Math.max(time / total, 0.004));
    return part;
  });
  const lines = times.flatMap(([name, time]) => [
    element("dt", {}, element("span", { class: `swatch ${name}`, "aria-hidden": "true" }), STAGES[name] ?? name),
    element("dd", {}, `${time.toFixed(1)} ms`),
  ]);
  return [
    element("div", { class: "stack", "aria-hidden": "true" }, parts),
    element("dl", { class: "table" }, lines, element("dt", { class: "sum" }, "all"), element("dd", { class: "sum" }, `${total.toFixed(1)} ms`)),
  ];
}

/** Errors where they happened, in words, with a way to try again. */
export function showProblem(views, again) {
  const failed = views.filter((view) => view.answer.state === "failed");
  const problem = byId("problem");
  const words = failed.map((view) => view.answer.error).join(" ");
  if (problem.dataset.words === words) return; // or it would be read aloud again
  problem.dataset.words = words;
  problem.hidden = failed.length === 0;
  problem.replaceChildren(
    ...failed.map((view) => element("span", {}, views.length > 1 ? `${view.model}: ${view.answer.error} ` : `${view.answer.error} `)),
    ...(failed.length ? [element("button", { type: "button", onclick: again }, "Try again")] : []),
  );
}

/** "5 boxes". */
export const boxesIn = (view) => counted(view.shown.length, "box", "boxes");

/** Other children; the one that had the focus (by its key) gets it back. */
function keepingFocus(parent, children) {
  const key = parent.contains(document.activeElement) ? document.activeElement.dataset.key : null;
  parent.replaceChildren(...children);
  if (key) parent.querySelector(`[data-key="${CSS.escape(key)}"]`)?.focus({ preventScroll: true });
}
