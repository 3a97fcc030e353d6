/** The question for the server's key. */

import { byId } from "./dom.js";

let asking = null; // one question for all requests that wait for the key

/** A promise of the key; `words`: what was wrong with the one before. */
export function askForKey(words) {
  return (asking ??= untilThere(words).finally(() => (asking = null)));
}

function untilThere(words) {
  const [dialog, field] = [byId("key-dialog"), byId("key")];
  if (words) byId("key-words").textContent = words;
  field.value = "";
  if (!dialog.open) dialog.showModal();
  return new Promise((resolve) => {
    const closed = () => {
      if (!field.value) return dialog.showModal();
      dialog.removeEventListener("close", closed);
      return resolve(field.value);
    };
    dialog.addEventListener("close", closed);
  });
}
