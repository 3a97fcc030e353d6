/** Elements made in one call, and the few that are looked up by id. */

const SVG = "http://www.w3.org/2000/svg";

/** The element with this id. */
export const byId = (id) => document.getElementById(id);

/**
 * An element with attributes, listeners (`onclick`) and children.
 * `element("button", { type: "button", onclick: ask }, "Ask")`
 */
export function element(tag, attributes = {}, ...children) {
  return filled(document.createElement(tag), attributes, children);
}

/** The same for SVG. */
export function svg(tag, attributes = {}, ...children) {
  return filled(document.createElementNS(SVG, tag), attributes, children);
}

/** Sets attributes; those that are null, undefined or false are removed. */
export function set(node, attributes) {
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) node.addEventListener(name.slice(2), value);
    else if (value === null || value === undefined || value === false) node.removeAttribute(name);
    else node.setAttribute(name, value === true ? "" : value);
  }
  return node;
}

/** Says something to screen readers. */
export function announce(words) {
  byId("status").textContent = words;
}

/** A small square in the colour of a class. */
export function swatch(colour) {
  const made = element("span", { class: "swatch", "aria-hidden": "true" });
  made.style.background = colour; // by script, which a strict content policy allows; an attribute it would not
  return made;
}

function filled(node, attributes, children) {
  set(node, attributes).append(...children.flat().filter((child) => child !== null && child !== undefined));
  return node;
}
