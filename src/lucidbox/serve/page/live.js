/** A video file or the webcam, frame by frame: the newest frame is looked at, and shown with its own boxes. */

import { byId, element, set } from "./dom.js";

const LONGEST = 1280; // side of a frame; larger ones are scaled before they are sent
const QUALITY = 0.92;

/**
 * `on.frame(canvas, file)`: a promise, kept when the frame is dealt with; the next one is taken then.
 * `on.keep()`: the frame that is shown becomes a picture; `on.close()`.
 */
export class Live {
  constructor(on) {
    this.on = on;
    this.bar = byId("live");
    this.toggle = element("button", { type: "button", class: "main", onclick: () => (this.playing ? this.pause() : this.play()) });
    this.seek = element("input", { type: "range", min: 0, max: 1, step: 0.01, value: 0, "aria-label": "Time in the video", oninput: () => this.#jump() });
    this.clock = element("span", { class: "soft clock" });
    const keep = element("button", { type: "button", onclick: () => on.keep() }, "Keep this frame");
    const close = element("button", { type: "button", onclick: () => on.close() }, "Close");
    this.bar.replaceChildren(this.toggle, this.seek, this.clock, keep, close);
  }

  /** Plays a video file. Raises an error, in words, if the browser cannot. */
  async openFile(file) {
    const video = this.#start(file.name);
    video.src = URL.createObjectURL(file);
    await new Promise((resolve, reject) => {
      video.addEventListener("loadeddata", resolve, { once: true });
      video.addEventListener("error", () => reject(new Error(`${file.name}: this browser cannot play the file.`)), { once: true });
    });
    set(this.seek, { max: video.duration, hidden: !Number.isFinite(video.duration) });
    await this.#run();
  }

  /** Opens the webcam. Raises an error, in words, if there is none or it was not allowed. */
  async openCamera() {
    if (!navigator.mediaDevices) {
      throw new Error("A browser gives the webcam only to pages on localhost or behind https.");
    }
    const wanted = { video: { width: { ideal: LONGEST } }, audio: false };
    const stream = await navigator.mediaDevices.getUserMedia(wanted).catch((error) => {
      const refused = error.name === "NotAllowedError";
      throw new Error(refused ? "The webcam was not allowed; the browser's address bar can change that." : `No webcam: ${error.message}`);
    });
    const video = this.#start("webcam");
    video.srcObject = stream;
    set(this.seek, { hidden: true });
    await this.#run();
  }

  play() {
    this.playing = true;
    this.video.play().catch(() => this.pause());
    this.toggle.textContent = "Pause";
  }

  /** Stops at the frame that is shown; one on its way is dropped. */
  pause() {
    if (!this.video) return;
    this.playing = false;
    this.epoch += 1;
    this.video.pause();
    this.seen = this.video.currentTime;
    this.toggle.textContent = "Play";
  }

  close() {
    if (!this.video) return;
    this.stop.abort();
    this.video.pause();
    this.video.srcObject?.getTracks().forEach((track) => track.stop());
    if (this.video.src) URL.revokeObjectURL(this.video.src);
    this.video = null;
    this.bar.hidden = true;
  }

  #start(name) {
    this.close();
    Object.assign(this, { name, stop: new AbortController(), epoch: 0, seen: -1, frames: [] });
    this.video = Object.assign(document.createElement("video"), { muted: true, playsInline: true });
    this.video.addEventListener("ended", () => this.pause());
    return this.video;
  }

  async #run() {
    const { signal } = this.stop;
    this.bar.hidden = false;
    this.play();
    while (!signal.aborted) {
      await new Promise(requestAnimationFrame); // none come while the page is hidden, so nothing is asked then
      const fresh = !signal.aborted && this.video.readyState >= 2 && !this.video.seeking && this.video.currentTime !== this.seen;
      if (fresh) await this.#look(signal);
    }
  }

  async #look(signal) {
    const { video, epoch } = this;
    this.seen = video.currentTime;
    const canvas = frameOf(video);
    const blob = await new Promise((resolve) => canvas.toBlob(resolve, "image/jpeg", QUALITY));
    const file = new File([blob], `${this.name.replace(/\.\w+$/, "")}-${this.seen.toFixed(2)}s.jpg`, { type: "image/jpeg" });
    await this.on.frame(canvas, file, () => !signal.aborted && epoch === this.epoch);
    this.#tick();
  }

  #jump() {
    this.epoch += 1;
    this.video.currentTime = Number(this.seek.value);
  }

  #tick() {
    if (!this.video) return;
    const now = performance.now();
    this.frames = [...this.frames, now].filter((time) => now - time < 2000);
    const rate = this.frames.length > 1 ? (1000 * (this.frames.length - 1)) / (now - this.frames[0]) : 0;
    if (document.activeElement !== this.seek) this.seek.value = this.video.currentTime;
    this.clock.textContent = `${this.video.currentTime.toFixed(1)} s · ${this.playing ? `${rate.toFixed(0)} frames/s` : "paused"}`;
  }
}

function frameOf(video) {
  const shrink = Math.min(1, LONGEST / Math.max(video.videoWidth, video.videoHeight));
  const canvas = document.createElement("canvas");
  canvas.width = Math.round(video.videoWidth * shrink);
  canvas.height = Math.round(video.videoHeight * shrink);
  canvas.getContext("2d").drawImage(video, 0, 0, canvas.width, canvas.height);
  return canvas;
}
