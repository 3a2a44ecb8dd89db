// Drawing again what has changed, so that the focus, the scroll positions and what is open stay.

import { FOCUSABLE } from "./dom.js";

/**
 * Put an element in place of one that shows the same thing: what was open, scrolled or focused in it still is.
 *
 * @param {Element} old
 * @param {Element} fresh
 */
export function replaceKeeping(old, fresh) {
  const focused = document.activeElement;
  const place = focused && old.contains(focused) ? list(old, FOCUSABLE).indexOf(focused) : -1;
  const open = listDetails(old).map((one) => one.open);
  const scrolled = [old, ...list(old, "*")].flatMap((one, index) =>
    one.scrollTop || one.scrollLeft ? [{ index, top: one.scrollTop, left: one.scrollLeft }] : [],
  );
  for (const [index, one] of listDetails(fresh).entries()) one.open = open[index] ?? one.open;
  old.replaceWith(fresh);
  const all = [fresh, ...list(fresh, "*")];
  for (const { index, top, left } of scrolled) all[index]?.scrollTo(left, top);
  // What had the focus may be gone, as the button is that sends a message.
  const target = focused === old ? fresh : (list(fresh, FOCUSABLE)[place] ?? (place < 0 ? null : fresh));
  if (target instanceof HTMLElement) target.focus({ preventScroll: true });
}

/**
 * Bring the children of an element up to date: those that look as before stay, and keep what is done in them.
 *
 * @template Item
 * @param {Element} place
 * @param {readonly Item[]} items
 * @param {{ getKey: (item: Item) => string | number, getLook: (item: Item) => string, make: (item: Item) => HTMLElement }} settings
 */
export function updateChildren(place, items, { getKey, getLook, make }) {
  /** @type {Map<string, HTMLElement>} */
  const known = new Map();
  for (const child of place.children) {
    if (child instanceof HTMLElement && child.dataset.key) known.set(child.dataset.key, child);
  }
  const wanted = new Set(items.map((item) => String(getKey(item))));
  for (const [key, child] of known) if (!wanted.has(key)) child.remove();
  let previous = /** @type {Element | null} */ (null);
  for (const item of items) {
    const key = String(getKey(item));
    const look = getLook(item);
    let child = known.get(key);
    if (!child || fingerprints.get(child) !== look) {
      const fresh = make(item);
      fresh.dataset.key = key;
      fingerprints.set(fresh, look);
      if (child) replaceKeeping(child, fresh);
      child = fresh;
    }
    // Moving an element would take its focus, so that only what stands elsewhere is moved.
    const next = previous ? previous.nextElementSibling : place.firstElementChild;
    if (next !== child) place.insertBefore(child, next);
    previous = child;
  }
}

/**
 * Let a child be drawn again the next time, also if it looks as before: somebody has changed it on the page.
 *
 * @param {Element} place
 * @param {string} key
 */
export function invalidate(place, key) {
  for (const child of place.children) {
    if (child instanceof HTMLElement && child.dataset.key === key) fingerprints.delete(child);
  }
}

/** @type {WeakMap<Element, string>} */
const fingerprints = new WeakMap();

/**
 * @param {Element} element
 * @param {string} selector
 * @returns {Element[]}
 */
const list = (element, selector) => [...element.querySelectorAll(selector)];

/** @param {Element} element */
const listDetails = (element) => [...element.querySelectorAll("details")];
