// The focus of a page that is drawn again: it returns to where it was.

import { FOCUSABLE } from "./dom.js";

/** @type {Element | null} */
let last = null;

/**
 * Follow the focus from now on. That of a dialog does not count: when it closes, one is back where one was before.
 *
 * @param {HTMLElement} page
 */
export function followFocus(page) {
  document.addEventListener("focusin", ({ target }) => {
    if (target instanceof Element && !target.closest("dialog"))
      last = page.contains(target) ? findField(target) : null;
  });
}

/**
 * Find the field that leads the focus to an editor; anything else is its own.
 *
 * @param {Element} element
 */
const findField = (element) =>
  (element.localName === "sql-editor" && element.parentElement?.querySelector("textarea")) || element;

/**
 * Remember what has the focus in a page, or had it last; the function given finds the same in the page's new content.
 * An action disables its own button, and the focus is then nowhere.
 *
 * @param {HTMLElement} page
 * @returns {() => void}
 */
export function restoreFocus(page) {
  const active = document.activeElement && findField(document.activeElement);
  if (!last || last === page || !page.contains(last) || (active !== document.body && active !== last))
    return () => focusIfLost(page);
  const [name, isNamed] = [nameElement(last), listFocusable(page).filter(isLike(last))];
  const turn = isNamed.indexOf(last);
  const path = findPath(page, last);
  const selection = readSelection(last);
  return () => {
    const alike = listFocusable(page).filter((one) => nameElement(one) === name);
    const found = alike[turn] ?? alike.at(-1) ?? followPath(page, path);
    if (found instanceof HTMLElement) found.focus({ preventScroll: true });
    if (selection && (found instanceof HTMLInputElement || found instanceof HTMLTextAreaElement))
      found.setSelectionRange(...selection);
    focusIfLost(page);
  };
}

/** @param {HTMLElement} page */
function focusIfLost(page) {
  if (document.activeElement === document.body) page.focus({ preventScroll: true });
}

/** @param {Element} page */
const listFocusable = (page) => [...page.querySelectorAll(FOCUSABLE)];

/** @type {(element: Element) => (other: Element) => boolean} */
const isLike = (element) => (other) => nameElement(other) === nameElement(element);

/**
 * Name an element as its next drawing is named too: fields by their form's block and name, others by their text.
 *
 * @param {Element} element
 */
function nameElement(element) {
  const around = element.closest("[aria-label]:not(button,input,a)")?.getAttribute("aria-label");
  const own = element.getAttribute("name") ?? element.getAttribute("aria-label") ?? element.textContent;
  return JSON.stringify([element.tagName, around, own]);
}

/**
 * @param {Element} page
 * @param {Element} element
 */
function findPath(page, element) {
  const path = [];
  for (let one = element; one !== page && one.parentElement; one = one.parentElement)
    path.unshift([...one.parentElement.children].indexOf(one));
  return path;
}

/**
 * Follow a path as far as it leads, and find what takes the focus there: what had it may be gone, as a deleted row is.
 *
 * @param {Element} page
 * @param {number[]} path
 */
function followPath(page, path) {
  let found = page;
  for (const index of path) {
    const next = found.children[Math.min(index, found.children.length - 1)];
    if (!next) break;
    found = next;
  }
  if (found === page) return null;
  return found.matches(FOCUSABLE) ? found : found.querySelector(FOCUSABLE);
}

/**
 * @param {Element} element
 * @returns {[number, number] | null}
 */
function readSelection(element) {
  if (!(element instanceof HTMLInputElement || element instanceof HTMLTextAreaElement)) return null;
  const { selectionStart, selectionEnd } = element;
  return selectionStart === null || selectionEnd === null ? null : [selectionStart, selectionEnd];
}
