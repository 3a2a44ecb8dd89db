// Elements. Text always becomes text: nothing in these pages reads HTML from a string.

/** What can have the focus. */
export const FOCUSABLE = "a[href],button,input,select,textarea,summary,[tabindex]";

/** What is set on the object: an attribute would only be the first value, or not exist. */
const PROPERTIES = new Set([
  "value",
  "checked",
  "disabled",
  "hidden",
  "required",
  "open",
  "selected",
  "readOnly",
]);

/**
 * Make an element: `on…` keys are listeners, the rest are attributes; null and false children are left out.
 *
 * @template {keyof HTMLElementTagNameMap} Tag
 * @param {Tag} tag
 * @param {Ui.Settings} settings
 * @param {...Ui.Child} children
 * @returns {HTMLElementTagNameMap[Tag]}
 */
export function el(tag, settings = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(settings)) {
    if (value === undefined || value === null) continue;
    if (typeof value === "function") element.addEventListener(name.replace(/^on/, ""), value);
    else if (PROPERTIES.has(name)) Object.assign(element, { [name]: value });
    else if (value !== false) element.setAttribute(name, value === true ? "" : String(value));
  }
  add(element, children);
  return element;
}

/**
 * Add children to an element: nodes, texts, and lists of them.
 *
 * @template {Element} Target
 * @param {Target} element
 * @param {readonly Ui.Child[]} children
 * @returns {Target}
 */
export function add(element, children) {
  for (const child of children) {
    if (child === null || child === undefined || child === false) continue;
    if (isList(child)) add(element, child);
    else element.append(child instanceof Node ? child : String(child));
  }
  return element;
}

/** @type {(child: Ui.Child) => child is readonly Ui.Child[]} */
const isList = (child) => Array.isArray(child);

/**
 * Find a part of the page that is always there.
 *
 * @param {string} id
 */
export function find(id) {
  const element = document.getElementById(id);
  if (!element) throw new Error(`The page has no element ${id}`);
  return element;
}

/**
 * Put other children in place of those that an element has.
 *
 * @template {Element} Target
 * @param {Target} element
 * @param {...Ui.Child} children
 * @returns {Target}
 */
export function fill(element, ...children) {
  element.replaceChildren();
  return add(element, children);
}

/**
 * Bring an element's children into an order, and remove all others. Only those are moved that must be: an element loses
 * its focus and its scrolling when it is moved.
 *
 * @param {Element} element
 * @param {readonly Element[]} wanted
 */
export function arrange(element, wanted) {
  const active = findActive();
  for (const child of [...element.children]) if (!wanted.includes(child)) child.remove();
  wanted.forEach((node, index) => {
    const child = element.children[index] ?? null;
    if (child === node) return;
    // The next one is in its place as soon as this one has moved further down.
    if (child?.nextElementSibling === node) element.insertBefore(child, findNext(element, wanted, child));
    else element.insertBefore(node, child);
  });
  if (active instanceof HTMLElement && active.isConnected && active !== findActive())
    active.focus({ preventScroll: true });
}

/** Find what has the focus, also within an element that has a tree of its own. */
function findActive() {
  let active = document.activeElement;
  while (active?.shadowRoot?.activeElement) active = active.shadowRoot.activeElement;
  return active;
}

/**
 * Find the child before which another one belongs: the first that is wanted behind it and is there.
 *
 * @param {Element} element
 * @param {readonly Element[]} wanted
 * @param {Element} child
 */
function findNext(element, wanted, child) {
  return wanted.slice(wanted.indexOf(child) + 1).find((one) => one.parentElement === element) ?? null;
}

/**
 * Give an element the focus if it was lost, as it is when what had it was disabled or removed.
 *
 * @param {HTMLElement} element
 */
export function keepFocus(element) {
  if (document.activeElement === document.body && element.isConnected) element.focus({ preventScroll: true });
}

let lastId = 0;

/**
 * Make an id that no other element has.
 *
 * @param {string} stem
 */
export function makeId(stem) {
  lastId += 1;
  return `${stem}-${lastId}`;
}

/**
 * Make a card: a part of a page with a heading of its own.
 *
 * @param {string} title
 * @param {...Ui.Child} children
 */
export function card(title, ...children) {
  const id = makeId("card");
  return el(
    "section",
    { class: "card", "aria-labelledby": id },
    title && el("h2", { id }, title),
    ...children,
  );
}

/**
 * Say that there is nothing, and what to do about it.
 *
 * @param {string} title
 * @param {string} advice
 * @param {...Ui.Child} actions
 */
export function empty(title, advice, ...actions) {
  return el(
    "div",
    { class: "empty" },
    el("p", { class: "empty-title" }, title),
    el("p", {}, advice),
    ...actions,
  );
}
