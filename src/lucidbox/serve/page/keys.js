/** Single keys, where no one is writing. */

/** `actions`: a function for each key. */
export function keys(actions) {
  document.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey || document.querySelector("dialog[open]")) return;
    const typing = event.target.closest?.("input:not([type=range], [type=checkbox]), select, textarea");
    if (typing && event.key !== "Escape") return;
    const action = actions[event.key === "=" ? "+" : event.key.length === 1 ? event.key.toLowerCase() : event.key];
    if (!action) return;
    event.preventDefault();
    action();
  });
}
