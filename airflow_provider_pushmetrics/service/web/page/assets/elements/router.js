// From addresses to pages, without loading anything again.

import { hasRisk } from "../drafts/unsaved.js";
import { APP, compilePattern, isPage, matchPath, readPath } from "../http/addresses.js";
import { ApiError, describeError } from "../http/errors.js";
import { button } from "./buttons.js";
import { el, fill, find } from "./dom.js";
import { followFocus, restoreFocus } from "./focus.js";
import { closeDialogs, confirmFirst } from "./notices.js";

/** @type {{ pattern: Ui.Pattern, load: () => Promise<Ui.Show> }[]} */
const routes = [];
let leaving = new AbortController();
/** The place of the page in the browser's history, which is in its entries, and the address that is shown. */
let here = 0;
let shown = "";
let isReturning = false;

/**
 * Say what shows an address: `:name` stands for any part of it. `load()` loads what gives its page.
 *
 * @param {string} pattern
 * @param {() => Promise<Ui.Show>} load
 */
export function route(pattern, load) {
  routes.push({ pattern: compilePattern(pattern), load });
}

/**
 * Let an address lead to another one.
 *
 * @param {string} pattern
 * @param {(parameters: Record<string, string>) => string} locate
 */
export function redirect(pattern, locate) {
  /** @type {Ui.Show} */
  const show = async (parameters) => {
    await go(locate(parameters), { replace: true });
    return null;
  };
  route(pattern, async () => show);
}

/**
 * Load the module of a page that is likely to be shown. If that fails, it is said when it is to be shown.
 *
 * @param {string} path
 */
export function preload(path) {
  // Browsers may remember that a module could not be loaded, also when the service is there again.
  if (document.querySelector("#outage:not([hidden])") || !navigator.onLine) return;
  findRoute(path)
    ?.load()
    .catch(() => {});
}

/** @param {Event} event */
function findLink({ target }) {
  /** @type {HTMLAnchorElement | null} */
  const anchor = target instanceof Element ? target.closest("a[href]") : null;
  if (!anchor || anchor.hasAttribute("download") || anchor.target || anchor.hash) return null;
  return isPage(new URL(anchor.href)) ? anchor : null;
}

/**
 * Go to a page.
 *
 * @param {string} path
 * @param {{ replace?: boolean }} settings
 */
export function go(path, { replace = false } = {}) {
  changeAddress(path, { replace });
  return showPage();
}

/**
 * Change the address without showing another page: what of this one is shown has changed already.
 *
 * @param {string} path
 * @param {{ replace?: boolean }} settings
 */
export function changeAddress(path, { replace = false } = {}) {
  if (!replace) here += 1;
  history[replace ? "replaceState" : "pushState"]({ index: here }, "", new URL(path, APP));
  shown = readAddress();
}

/**
 * Make a link to a page.
 *
 * @param {string} path
 * @param {...Ui.Child} children
 */
export function link(path, ...children) {
  return el("a", { href: new URL(path, APP).href }, ...children);
}

/** Show the page of the present address again. */
export const reload = () => showPage({ keepsFocus: true });

/** Show pages from now on, for links and for the browser's own buttons. */
export function startRouting() {
  document.addEventListener("click", (event) => {
    const anchor = findLink(event);
    if (!anchor || event.defaultPrevented || event.button || event.metaKey || event.ctrlKey || event.shiftKey)
      return;
    event.preventDefault();
    leave(() => go(anchor.href));
  });
  document.addEventListener("pointerover", (event) => {
    const anchor = findLink(event);
    if (anchor) preload(readPath(new URL(anchor.href)));
  });
  followFocus(find("page"));
  here = history.state?.index ?? 0;
  history.replaceState({ ...history.state, index: here }, "");
  window.addEventListener("popstate", (event) => moveTo(event.state?.index ?? null));
  return showPage();
}

/**
 * Follow the browser's Back and Forward. If something would be lost, the page stays where it is until one has agreed.
 *
 * @param {number | null} index The place in the history; null if it is not ours.
 */
function moveTo(index) {
  if (isReturning) {
    isReturning = false;
    return;
  }
  if (readAddress() === shown) {
    here = index ?? here; // a mark within the page
    return;
  }
  if (!hasRisk() || index === null || index === here) {
    here = index ?? here;
    closeDialogs();
    return showPage();
  }
  const steps = index - here;
  isReturning = true;
  history.go(-steps);
  leave(() => history.go(steps));
}

/**
 * Go away from the page, unless something would be lost and one wants to stay.
 *
 * @param {() => unknown} move
 */
async function leave(move) {
  const text = "Something here is not saved, or is shown only once. It is lost when you leave the page.";
  if (hasRisk() && !(await confirmFirst("Leave the page?", text, "Leave"))) return;
  closeDialogs();
  await move();
}

const readAddress = () => location.pathname + location.search;

/** Read the part of the address behind the interface's own. */
export const getPath = () => readPath(new URL(location.href));

/** @param {{ keepsFocus?: boolean }} settings */
async function showPage({ keepsFocus = false } = {}) {
  leaving.abort();
  leaving = new AbortController();
  const { signal } = leaving;
  const page = find("page");
  shown = readAddress();
  page.setAttribute("aria-busy", "true");
  /** @type {Ui.Child} */
  let content;
  try {
    content = await findPage(getPath(), signal);
  } catch (error) {
    if (signal.aborted) return;
    content = buildFault(error);
  }
  if (signal.aborted) return;
  const giveBack = keepsFocus ? restoreFocus(page) : null;
  fill(page, content);
  page.removeAttribute("aria-busy");
  markPlace();
  document.title = `${page.querySelector("h1")?.textContent ?? "Page"} · PushMetrics`;
  if (giveBack) return giveBack();
  window.scrollTo(0, 0);
  page.focus({ preventScroll: true });
}

/**
 * @param {string} path
 * @param {AbortSignal} signal
 */
async function findPage(path, signal) {
  const found = findRoute(path);
  if (!found) return [el("h1", {}, "Page not found"), el("p", {}, link("reports", "Go to the reports"))];
  const show = await found.load().catch(() => null);
  return show ? show(found.parameters, signal) : buildOutdated();
}

/** @param {string} path */
function findRoute(path) {
  for (const { pattern, load } of routes) {
    const parameters = matchPath(pattern, path);
    if (parameters) return { load, parameters };
  }
  return null;
}

/** @returns {Ui.Child} */
const buildOutdated = () => [
  el("h1", {}, "The page could not be loaded"),
  el("p", { role: "alert" }, "The service was updated, or does not respond. Load the page again."),
  button("Reload", () => location.reload(), { kind: "primary" }),
];

/**
 * @param {unknown} error
 * @returns {Ui.Child}
 */
function buildFault(error) {
  const isMissing = error instanceof ApiError && error.status === 404;
  const title = isMissing ? "Not found" : "The page cannot be shown";
  const text = isMissing ? "It was deleted, or the URL is wrong." : describeError(error);
  return [
    el("h1", {}, title),
    el("p", { class: "fault", role: "alert" }, text),
    el("p", {}, link("reports", "Go to the reports")),
  ];
}

function markPlace() {
  /** @type {NodeListOf<HTMLAnchorElement>} */
  const anchors = document.querySelectorAll("#bar nav a");
  for (const anchor of anchors) {
    const isHere = location.pathname.startsWith(new URL(anchor.href).pathname);
    if (!isHere) anchor.removeAttribute("aria-current");
    else {
      anchor.setAttribute("aria-current", "page");
      const bar = anchor.closest("nav"); // on a narrow screen it scrolls
      if (bar) bar.scrollLeft = anchor.offsetLeft + anchor.offsetWidth - bar.offsetLeft - bar.clientWidth;
    }
  }
}
