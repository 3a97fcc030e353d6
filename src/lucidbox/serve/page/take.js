/** What can be taken away: JSON, COCO, a PNG with the boxes, and commands that ask the same. */

import { hasKey } from "./api.js";
import { labelOf } from "./boxes.js";
import { textOn } from "./colours.js";
import { announce, byId, element } from "./dom.js";

/** `now()`: what is shown: `{items, item, view, conf, classes, canvasOfHeat}`; views of all items by `viewOf(item)`. */
export class Take {
  constructor(now) {
    this.now = now;
    this.note = element("p", { class: "soft", role: "status" });
    this.all = element("input", { type: "checkbox" });
    this.allField = element("label", { class: "all" }, this.all, this.allWords = element("span"));
    byId("take").append(
      element("p", { class: "soft" }, "What is shown now: above the confidence, of the classes shown."),
      this.allField,
      this.#line("JSON", "json", () => this.#json()),
      this.#line("COCO", "coco.json", () => this.#coco()),
      this.#picture(),
      this.#snippet("cURL", curl),
      this.#snippet("Python", python),
      this.note,
    );
  }

  /** After the pictures changed. */
  refresh() {
    const { items } = this.now();
    this.allField.hidden = items.length < 2;
    this.allWords.textContent = `all ${items.length} pictures`;
    for (const block of document.querySelectorAll("#take details[open]")) block.dispatchEvent(new Event("toggle"));
  }

  #line(title, ending, make) {
    const name = () => `${this.#wanted().length > 1 ? "pictures" : stem(this.now().item)}.${ending}`;
    return element(
      "div",
      { class: "take-line" },
      element("span", {}, title),
      this.#button("Copy", title, async () => (await copyText(make()), `${title} copied`)),
      this.#button("Save", title, () => save(new Blob([make()], { type: "application/json" }), name())),
    );
  }

  #picture() {
    const keep = async () => save(await this.#png(), `${stem(this.now().item)}-boxes.png`);
    const copy = async () => {
      if (!window.ClipboardItem) throw new Error("This browser copies no pictures here; save it instead.");
      await navigator.clipboard.write([new ClipboardItem({ "image/png": this.#png() })]);
      return "Picture copied";
    };
    return element("div", { class: "take-line" }, element("span", {}, "Picture with boxes"), this.#button("Copy", "picture", copy), this.#button("Save", "picture", keep));
  }

  #button(words, what, act) {
    const run = async () => {
      this.#missing(0);
      const said = await Promise.resolve().then(act).then((done) => `${done}${this.left}`, (error) => error.message);
      this.note.textContent = said;
      announce(said);
    };
    return element("button", { type: "button", "aria-label": `${words} ${what}`, onclick: run }, words);
  }

  #snippet(title, make) {
    const code = element("code");
    const block = element("pre", { tabindex: 0, role: "group", "aria-label": `${title} command` }, code);
    const fill = () => (code.textContent = make(this.now()));
    const copy = this.#button("Copy", `${title} command`, async () => (await copyText(make(this.now())), `${title} copied`));
    return element("details", { ontoggle: fill }, element("summary", {}, `The same with ${title}`), block, copy);
  }

  #wanted() {
    const { items, item } = this.now();
    return this.all.checked && items.length > 1 ? items : [item];
  }

  #records() {
    const { viewOf } = this.now();
    const records = this.#wanted().map((item) => ({ item, view: viewOf(item) }));
    const done = records.filter(({ view }) => view.answer.state === "done");
    if (done.length === 0) throw new Error("There is no answer yet that could be taken away.");
    this.#missing(records.length - done.length);
    return done;
  }

  /** Of several pictures those without an answer are left out, and that is said. */
  #missing(number) {
    this.left = number ? `; ${number} without an answer left out` : "";
  }

  #json() {
    const records = this.#records().map(({ item, view }) => ({ ...view.answer.record, source: item.name, detections: view.shown.map(plain) }));
    return `${JSON.stringify(records.length === 1 ? records[0] : records, null, 1)}\n`;
  }

  #coco() {
    const records = this.#records();
    const { model } = this.now();
    const ids = model.category_ids ?? model.classes.map((_, index) => index);
    const annotations = records.flatMap(({ view }, place) =>
      view.shown.map(({ box: [left, top, right, bottom], score, class: id }) => {
        const bbox = [left, top, right - left, bottom - top].map((side) => Number(side.toFixed(2)));
        return { image_id: place + 1, category_id: ids[id], bbox, area: Number((bbox[2] * bbox[3]).toFixed(2)), iscrowd: 0, score };
      }),
    );
    const whole = {
      images: records.map(({ item, view: { answer } }, place) => ({ id: place + 1, file_name: item.name, width: answer.record.width, height: answer.record.height })),
      annotations: annotations.map((annotation, place) => ({ id: place + 1, ...annotation })),
      categories: model.classes.map((name, index) => ({ id: ids[index], name })),
    };
    return `${JSON.stringify(whole, null, 1)}\n`;
  }

  async #png() {
    const { view, picture, heat } = this.now();
    if (view.answer.state !== "done") throw new Error("There is no answer yet that could be drawn.");
    const { width, height } = view.answer.record;
    const canvas = Object.assign(document.createElement("canvas"), { width, height });
    const context = canvas.getContext("2d");
    if (picture) context.drawImage(picture, 0, 0, width, height);
    if (heat) context.drawImage(heat, 0, 0, width, height);
    const scale = Math.max(1, (width + height) / 1400);
    for (const found of [...view.shown].reverse()) drawBox(context, found, view.colours[found.class], scale);
    return new Promise((resolve) => canvas.toBlob(resolve, "image/png"));
  }
}

const plain = ({ index: _, ...found }) => found;

const stem = (item) => item.name.replace(/\.[^.]*$/, "");

function drawBox(context, found, colour, scale) {
  const [left, top, right, bottom] = found.box;
  const { text, width } = labelOf(found);
  const y = top >= 20 * scale ? top - 20 * scale : top;
  Object.assign(context, { strokeStyle: colour, fillStyle: colour, lineWidth: 2.5 * scale, font: `600 ${12 * scale}px system-ui, sans-serif` });
  context.strokeRect(left, top, right - left, bottom - top);
  context.fillRect(left, y, width * scale, 20 * scale);
  context.fillStyle = textOn(colour);
  context.fillText(text, left + 6 * scale, y + 14 * scale);
}

function save(blob, name) {
  const url = URL.createObjectURL(blob);
  element("a", { href: url, download: name }).click();
  setTimeout(() => URL.revokeObjectURL(url), 10000);
  return `${name} saved`;
}

async function copyText(text) {
  if (navigator.clipboard) return navigator.clipboard.writeText(text);
  const field = element("textarea", { class: "unseen" }); // pages on plain http have no clipboard but this one
  document.body.append(field);
  field.value = text;
  field.select();
  const copied = document.execCommand("copy");
  field.remove();
  if (!copied) throw new Error("This browser does not let the page copy; save it instead.");
  return undefined;
}

function address({ model, conf, hidden }) {
  const query = new URLSearchParams({ model: model.name, conf: conf.toFixed(2) });
  const classes = model.classes.filter((name) => !hidden.has(name));
  if (classes.length < model.classes.length) query.set("classes", classes.join(","));
  return new URL(`v1/detect?${query}`, document.baseURI).href;
}

function curl(now) {
  const quoted = (text) => `'${text.replaceAll("'", "'\\''")}'`;
  const key = hasKey() ? `  -H "Authorization: Bearer $LUCIDBOX_KEY" \\\n` : "";
  return `curl -s --data-binary ${quoted(`@${now.item.name}`)} \\\n${key}  ${quoted(address(now))}`;
}

function python(now) {
  const key = hasKey() ? `, headers={"Authorization": "Bearer " + os.environ["LUCIDBOX_KEY"]}` : "";
  return `import json${hasKey() ? ", os" : ""}
from pathlib import Path
from urllib.request import Request, urlopen

image = Path(${JSON.stringify(now.item.name)}).read_bytes()
url = ${JSON.stringify(address(now))}
with urlopen(Request(url, data=image${key})) as answer:
    for found in json.load(answer)["detections"]:
        print(found["label"], found["score"], found["box"])
`;
}
