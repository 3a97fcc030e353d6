/** What the page asks of the server. Addresses are relative to the page, so it may live behind a prefix. */

/** All boxes worth filtering: asked once with this confidence, filtered in the page. */
export const LEAST = 0.01;

const PATIENCE = 6; // times that a busy server is asked again

let key = null;
let askForKey = null;

/** Says how a key is asked of the person: a function of words that gives a promise of the key. */
export function onKeyNeeded(ask) {
  askForKey = ask;
}

/** Whether the server asked for a key. */
export const hasKey = () => key !== null;

/** The server's models, examples and version. */
export async function models() {
  return (await ask("v1/models")).json();
}

/** What one model finds in a picture: its record, and the time of each stage in milliseconds. */
export async function detect(file, model, options = {}) {
  const started = performance.now();
  const query = new URLSearchParams({ model, conf: LEAST });
  const headers = { "Content-Type": file.type || "application/octet-stream" };
  const response = await ask(`v1/detect?${query}`, { method: "POST", body: file, headers, ...options });
  const record = await response.json();
  return { record, times: times(response, performance.now() - started) };
}

/** Why a box is there, or what became of the anchors near a place. `question`: the fields of the form. */
export async function explain(file, question, options = {}) {
  const form = new FormData();
  for (const [name, value] of Object.entries(question)) form.append(name, value);
  form.append("file", file, file.name || "frame.jpg");
  return (await ask("v1/explain", { method: "POST", body: form, ...options })).json();
}

/** An example picture as a file. */
export async function example(name) {
  const blob = await (await ask(`page/examples/${encodeURIComponent(name)}`)).blob();
  return new File([blob], name, { type: blob.type || "image/jpeg" });
}

/** Waits; ends early, with an error, when the signal says so. */
export function pause(milliseconds, signal) {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener("abort", () => {
      clearTimeout(timer);
      reject(signal.reason);
    });
  });
}

async function ask(path, { onWait, headers = {}, ...options } = {}) {
  const address = new URL(path, document.baseURI);
  for (let attempt = 0; ; attempt += 1) {
    const used = key;
    const sent = used ? { ...headers, Authorization: `Bearer ${used}` } : headers;
    const response = await fetch(address, { ...options, headers: sent }).catch(explainFailure);
    if (response.ok) return response;
    if (response.status === 401 && askForKey) {
      if (used === key) key = await askForKey(used ? "That key was not accepted. Please try again." : null);
    } else if (response.status === 429 && attempt < PATIENCE) {
      const seconds = Math.min(Number(response.headers.get("Retry-After")) || 1, 30);
      onWait?.(seconds);
      await pause(1000 * seconds, options.signal);
    } else throw new Error(await words(response));
  }
}

function explainFailure(error) {
  if (error.name === "AbortError") throw error;
  throw new Error("The server does not answer. Is lucidbox serve still running? It may also have cut off a file that is too large.");
}

async function words(response) {
  const body = await response.json().catch(() => null);
  const { message, request_id: id } = body?.error ?? {};
  if (message) return id && response.status >= 500 ? `${message} (request ${id})` : message;
  return `The server answered ${response.status} ${response.statusText}`.trim();
}

/** The stages of the header `Server-Timing`, and last what the network and this page took. */
function times(response, total) {
  const header = response.headers.get("Server-Timing") ?? "";
  const stages = [...header.matchAll(/([\w-]+)\s*;[^,]*?dur=([\d.]+)/g)].map(([, name, time]) => [name, Number(time)]);
  const parts = stages.filter(([name]) => name !== "total");
  const rest = total - parts.reduce((sum, [, time]) => sum + time, 0);
  return [...parts, ["transfer", Math.max(rest, 0)]];
}
