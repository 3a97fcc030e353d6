/** The page: what is shown now, and what each action of a person changes. */

import { LEAST, detect, example, models, onKeyNeeded } from "./api.js";
import { announce, byId, element, set } from "./dom.js";
import { listenToDrops } from "./drops.js";
import { Item, Queue, answered } from "./items.js";
import { askForKey } from "./key.js";
import { keys } from "./keys.js";
import { Live } from "./live.js";
import * as results from "./results.js";
import { Strip } from "./strip.js";
import { Take } from "./take.js";
import { chooseTheme } from "./theme.js";
import { View } from "./view.js";
import { Why } from "./why.js";

const state = {
  models: new Map(), // by name
  sides: [], // names of one or two models
  conf: 0.25,
  hidden: new Set(), // labels of classes that are not shown
  items: [],
  item: null, // the one that is looked at
};

const queue = new Queue((item) => {
  strip.refresh();
  if (item !== state.item) return;
  render();
  const sides = views();
  if (sides.every((view) => view.answer.state === "done")) announce(`${item.name}: ${sides.map(results.boxesIn).join(" and ")}`);
});
const strip = new Strip({ open, remove, countOf: (item) => viewOf(item).shown.length, answerOf: (item) => item.answer(state.sides[0]) });
const live = new Live({ frame: showFrame, keep: keepFrame, close: closeLive });
const why = new Why({ state, stages: () => stages, pause: () => live.pause(), changed: () => render() });
const take = new Take(taken);
let stages = []; // a view for each side
let liveItem = null;

/** What a model found in a picture: all (`answer.found`), above the confidence, and shown. */
function viewOf(item, name = state.sides[0]) {
  const answer = item.answer(name);
  const above = answer.found.filter((found) => found.score > state.conf || state.conf <= LEAST);
  const shown = above.filter((found) => !state.hidden.has(found.label));
  return { model: name, colours: state.models.get(name).colours ?? [], answer, above, shown };
}

const views = () => state.sides.map((name) => viewOf(state.item, name));

function render() {
  if (!state.item) return;
  const sides = views();
  const chosen = why.chosen;
  sides.forEach((view, place) => {
    openIn(stages[place], view);
    const caption = sides.length > 1 ? `${view.model}: ${results.boxesIn(view)}` : "";
    stages[place].show(view.shown, chosen?.model === view.model ? chosen.index : null, caption);
  });
  results.showCount(sides);
  results.showProblem(sides, () => state.sides.forEach((name) => queue.ask(state.item, name, { first: true, again: true })));
  results.showDifferences(sides);
  results.showChips(sides, state.hidden, { toggle: toggleClass });
  const on = { point: (view, found) => stageOf(view.model)?.point(found), choose: (view, found) => why.box(view.model, found) };
  results.showLists(sides, chosen, on);
  results.showTimes(sides);
  byId("name").textContent = nameOf(state.item);
  byId("conf-value").textContent = state.conf.toFixed(2);
  const full = sides.filter((view) => view.answer.found.length >= state.models.get(view.model).max_det);
  byId("limit").hidden = full.length === 0;
  byId("limit").textContent = full.length ? `Of more boxes only the best ${state.models.get(full[0].model).max_det} were asked for.` : "";
  take.refresh();
}

function nameOf(item) {
  const place = state.items.indexOf(item) + 1;
  return place && state.items.length > 1 ? `${item.name}, ${place} of ${state.items.length}` : item.name;
}

const stageOf = (name) => stages[state.sides.indexOf(name)];

/** Puts the picture into a view, if it is not there already. */
function openIn(stage, { model, colours, answer }) {
  const { item } = state;
  const { width, height } = answer.record ?? {};
  const size = width ? [width, height] : item.size;
  const key = [item.id, item.version, model, size, item.loaded, Boolean(answer.record && !item.size)].join(" ");
  if (stage.opened === key) return;
  stage.opened = key;
  const read = answer.record ? " The boxes are of what the server read." : "";
  const words = item.size || !item.loaded ? "" : `This browser cannot show the file.${read}`;
  stage.open(item.size && pictureOf(item), ...(size ?? [640, 480]), { label: item.name, colours, words });
}

function pictureOf(item) {
  if (!item.frame) return Object.assign(new Image(), { src: item.url, alt: item.name, draggable: false });
  const copy = element("canvas", { width: item.frame.width, height: item.frame.height });
  copy.getContext("2d").drawImage(item.frame, 0, 0);
  return copy;
}

/** One view for each model side by side. */
function layOut() {
  const zoom = (factor, at) => stages.forEach((stage) => stage.zoomBy(factor, at));
  stages = state.sides.map((name) => {
    const stage = new View({
      zoom,
      point: (found) => stage.point(found),
      choose: (found) => why.box(name, found),
      place: (box, done) => why.marked(name, box, done),
    });
    return stage;
  });
  for (const stage of stages) {
    stage.scroller.addEventListener("scroll", () => {
      for (const other of stages) if (other !== stage) other.scroller.scrollTo(stage.scroller.scrollLeft, stage.scroller.scrollTop);
    });
  }
  byId("stage").replaceChildren(...stages.map((stage) => stage.node));
  set(byId("stage"), { "data-views": stages.length });
}

/** Shows a picture and asks the chosen models about it. */
async function open(item) {
  if (item !== liveItem) stopLive();
  state.item = item;
  why.clear();
  for (const id of ["bar", "stage", "panel"]) byId(id).hidden = false;
  byId("start").hidden = true;
  strip.show(state.items, item);
  for (const name of state.sides) queue.ask(item, name, { first: true });
  render();
  await item.load();
  if (item === state.item) render();
}

/** Pictures are added, the first is shown; of videos the first is played. */
function addFiles(files) {
  const videos = files.filter((file) => file.type.startsWith("video/"));
  const items = files.filter((file) => !file.type.startsWith("video/")).map((file) => new Item(file));
  tell(videos.length > 1 || (videos.length && items.length) ? "One video is shown at a time, and no pictures beside it: the first video is opened." : "");
  if (videos.length) return startLive(() => live.openFile(videos[0]));
  if (items.length === 0) return undefined;
  state.items.push(...items);
  open(items[0]);
  for (const item of items) for (const name of state.sides) queue.ask(item, name);
  return undefined;
}

function remove(item) {
  const place = state.items.indexOf(item);
  queue.drop(item);
  state.items.splice(place, 1);
  URL.revokeObjectURL(item.url);
  const next = state.items[Math.min(place, state.items.length - 1)];
  if (item !== state.item) {
    strip.show(state.items, state.item);
    render();
  } else if (next) open(next);
  else goBack();
}

function goBack() {
  state.item = null;
  why.clear();
  for (const id of ["bar", "stage", "panel", "strip"]) byId(id).hidden = true;
  byId("start").hidden = false;
  byId("choose").focus();
}

/** Words about the whole page, such as a server that is gone. */
function tell(words) {
  byId("notice").textContent = words;
  byId("notice").hidden = !words;
}

async function startLive(start) {
  liveItem = null;
  try {
    await start();
  } catch (error) {
    stopLive();
    tell(error.message);
  }
}

/** A frame is asked about, then shown with its boxes; `fresh()`: nobody has stopped or moved the video since. */
async function showFrame(frame, file, fresh) {
  const item = liveItem ?? new Item(file);
  const names = [...state.sides];
  const failed = (error) => ({ state: "failed", error: error.message, found: [] });
  const answers = await Promise.all(names.map((name) => detect(file, name).then(answered, failed)));
  if (!fresh()) return;
  item.replace(file, file.name);
  Object.assign(item, { frame, size: [frame.width, frame.height], loaded: true });
  names.forEach((name, place) => item.answers.set(name, answers[place]));
  if (answers.some((answer) => answer.state === "failed")) live.pause();
  if (liveItem !== item) {
    liveItem = item;
    state.item = item;
    for (const id of ["bar", "stage", "panel"]) byId(id).hidden = false;
    byId("start").hidden = true;
    strip.show(state.items, null);
  }
  why.clear();
  render();
}

function keepFrame() {
  if (!liveItem) return;
  const item = new Item(liveItem.file);
  item.answers = new Map(liveItem.answers);
  state.items.push(item);
  strip.show(state.items, null);
  announce(`${item.name} is kept`);
}

function stopLive() {
  live.close();
  liveItem = null;
}

function closeLive() {
  stopLive();
  const last = state.items.at(-1);
  if (last) open(last);
  else goBack();
}

function toggleClass(label, alone) {
  const labels = new Set(views().flatMap((view) => view.above.map((found) => found.label)));
  if (alone) state.hidden = new Set([...labels].filter((other) => other !== label));
  else if (!state.hidden.delete(label)) state.hidden.add(label);
  render();
}

function setConf(conf) {
  state.conf = Math.min(Math.max(Math.round(100 * conf) / 100, LEAST), 0.99);
  byId("conf").value = state.conf;
  strip.refresh();
  render();
}

/** Other models: what is known stays, the rest is asked. */
function setModels() {
  const [model, other] = [byId("model").value, byId("compare").value];
  state.sides = other && other !== model ? [model, other] : [model];
  why.clear();
  layOut();
  if (state.item === liveItem) for (const name of state.sides) if (liveItem) queue.ask(liveItem, name, { first: true });
  for (const item of state.items) for (const name of state.sides) queue.ask(item, name, { first: item === state.item });
  strip.refresh();
  render();
}

function step(by) {
  const next = state.items[state.items.indexOf(state.item) + by];
  if (next) open(next);
}

function taken() {
  const [stage] = stages;
  return {
    ...state,
    model: state.models.get(state.sides[0]),
    view: viewOf(state.item),
    viewOf,
    items: state.items.length ? state.items : [state.item],
    picture: stage.picture.firstElementChild,
    heat: stage.heat.hidden ? null : stage.heat,
  };
}

function listen() {
  const pick = () => byId("files").click();
  const camera = () => startLive(() => live.openCamera());
  const zoom = (factor) => () => stages.forEach((stage) => stage.zoomBy(factor));
  const actions = { add: pick, choose: pick, camera, "start-camera": camera, "zoom-in": zoom(1.5), "zoom-out": zoom(1 / 1.5), "zoom-fit": zoom(0), "ask-place": () => why.startMarking() };
  for (const [id, action] of Object.entries(actions)) byId(id).addEventListener("click", action);
  byId("help").addEventListener("click", () => byId("help-dialog").showModal());
  byId("files").addEventListener("change", ({ target }) => {
    addFiles([...target.files]);
    target.value = "";
  });
  byId("conf").addEventListener("input", ({ target }) => setConf(Number(target.value)));
  byId("model").addEventListener("change", setModels);
  byId("compare").addEventListener("change", setModels);
  listenToDrops(addFiles, tell);
  keys({
    o: pick,
    v: camera,
    "[": () => step(-1),
    "]": () => step(1),
    ",": () => setConf(state.conf - 0.05),
    ".": () => setConf(state.conf + 0.05),
    b: () => stages[0]?.boxes.focus(),
    m: () => state.item && why.startMarking(),
    h: () => why.toggleHeat(),
    "+": zoom(1.5),
    "-": zoom(1 / 1.5),
    0: zoom(0),
    Escape: () => (why.clear(), state.item && render()),
  });
}

function showExamples(names) {
  const entry = (name) => {
    const image = element("img", { src: `page/examples/${encodeURIComponent(name)}`, alt: "", loading: "lazy", width: 160, height: 120 });
    const look = () => example(name).then((file) => addFiles([file]), (error) => tell(error.message));
    return element("li", {}, element("button", { type: "button", "aria-label": `Example ${name}`, onclick: look }, image, name.replace(/\.\w+$/, "")));
  };
  byId("examples").replaceChildren(...names.map(entry));
}

async function start() {
  onKeyNeeded(askForKey);
  chooseTheme(byId("theme"));
  listen();
  try {
    const known = await models();
    for (const model of known.models) state.models.set(model.name, model);
    const options = known.models.map(({ name }) => element("option", { selected: name === known.default }, name));
    byId("model").append(...options);
    byId("compare").append(element("option", { value: "" }, "none"), ...known.models.map(({ name }) => element("option", {}, name)));
    byId("compare-field").hidden = known.models.length < 2;
    byId("version").textContent = `lucidbox ${known.version}`;
    state.sides = [byId("model").value];
    state.conf = state.models.get(state.sides[0]).conf;
    byId("conf").value = state.conf;
    showExamples(known.examples);
    layOut();
  } catch (error) {
    tell(error.message);
  }
}

start();
