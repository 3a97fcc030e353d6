/** Files that are dropped on the page or pasted into it. */

import { byId } from "./dom.js";

/** `onFiles(files)`, `tell(words)`: there were none. */
export function listenToDrops(onFiles, tell) {
  const dropping = byId("dropping");
  const over = (event) => {
    event.preventDefault();
    dropping.hidden = ![...event.dataTransfer.types].includes("Files");
  };
  document.addEventListener("dragenter", over);
  document.addEventListener("dragover", over);
  document.addEventListener("dragleave", (event) => event.relatedTarget || (dropping.hidden = true));
  document.addEventListener("drop", async (event) => {
    event.preventDefault();
    dropping.hidden = true;
    const files = await filesOf(event.dataTransfer);
    if (files.length) onFiles(files);
    else tell("There was no file in what was dropped. A picture of another page must be saved first: this server fetches no addresses.");
  });
  document.addEventListener("paste", (event) => {
    const files = [...event.clipboardData.files];
    if (files.length) onFiles(files);
    else if (!event.target.closest("input, textarea")) tell("There is no picture in the clipboard.");
  });
}

/** The files of a drop, those in folders too. */
async function filesOf(transfer) {
  const entries = [...transfer.items].map((item) => item.webkitGetAsEntry?.()).filter(Boolean);
  if (entries.length === 0) return [...transfer.files];
  return (await Promise.all(entries.map(filesIn))).flat();
}

async function filesIn(entry) {
  if (entry.isFile) return new Promise((resolve) => entry.file((file) => resolve([file]), () => resolve([])));
  const reader = entry.createReader();
  const found = [];
  for (;;) {
    const some = await new Promise((resolve) => reader.readEntries(resolve, () => resolve([])));
    if (some.length === 0) break; // a browser gives a hundred at a time
    found.push(...(await Promise.all(some.map(filesIn))).flat());
  }
  const pictures = found.filter((file) => /^(image|video)\//.test(file.type));
  return pictures.sort((one, other) => one.name.localeCompare(other.name));
}
