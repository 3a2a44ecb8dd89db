// A menu of actions that need not be seen all the time, behind a button with three dots.

import { add, el, fill } from "../elements/dom.js";
import { icon } from "../elements/icons.js";
import { tell } from "../elements/notices.js";
import { describeError, isAbort } from "../http/errors.js";

/**
 * Make a menu; its items are made when it is opened.
 *
 * @param {string} label
 * @param {() => Ui.Optional<Ui.MenuItem>[]} listItems
 * @returns {HTMLElement}
 */
export function makeMenu(label, listItems) {
  const list = el("div", { class: "menu-list", role: "menu", "aria-label": label, hidden: true });
  const opener = el(
    "button",
    {
      type: "button",
      class: "icon-button",
      "aria-label": label,
      title: label,
      "aria-haspopup": "menu",
      "aria-expanded": "false",
      "data-menu": true,
    },
    icon("more"),
  );
  // It stands at a place of the window, so that no table around it cuts it off: it follows its button while that is seen.
  const follow = () => place(list, opener.getBoundingClientRect());
  const seen = new IntersectionObserver((entries) => {
    if (entries.at(-1)?.isIntersecting) return;
    if (list.contains(document.activeElement)) opener.focus({ preventScroll: true });
    show(false);
  });
  const show = (/** @type {boolean} */ isOpen) => {
    list.hidden = !isOpen;
    for (const name of ["scroll", "resize"]) {
      if (isOpen) window.addEventListener(name, follow, { capture: true });
      else window.removeEventListener(name, follow, { capture: true });
    }
    if (isOpen) seen.observe(opener);
    else seen.disconnect();
    opener.setAttribute("aria-expanded", String(isOpen));
  };
  const open = () => {
    const items = listItems().flatMap((item) => (item ? [makeItem(item, opener, () => show(false))] : []));
    fill(list, ...items);
    opener.scrollIntoView({ block: "nearest", inline: "nearest" });
    show(true);
    follow();
    items[0]?.focus({ preventScroll: true });
  };
  opener.addEventListener("click", () => (list.hidden ? open() : show(false)));
  opener.addEventListener("keydown", (event) => {
    if (event.key !== "ArrowDown" || !list.hidden) return;
    event.preventDefault();
    open();
  });
  list.addEventListener("keydown", (event) => {
    if (event.key === "Escape") {
      event.preventDefault();
      show(false);
      opener.focus();
    } else moveFocus(list, event);
  });
  const menu = add(el("span", { class: "menu" }), [opener, list]);
  menu.addEventListener("focusout", (event) => {
    const next = /** @type {FocusEvent} */ (event).relatedTarget;
    if (!(next instanceof Node) || !menu.contains(next)) show(false);
  });
  return menu;
}

/**
 * @param {Ui.MenuItem} item
 * @param {HTMLElement} opener
 * @param {() => void} close
 */
function makeItem({ label, work, kind = "", name }, opener, close) {
  const act = async () => {
    opener.focus(); // where the focus returns to when a dialog closes
    close();
    try {
      await work();
    } catch (error) {
      if (!isAbort(error)) tell(describeError(error), "bad");
    }
  };
  return el(
    "button",
    { type: "button", role: "menuitem", tabindex: "-1", class: kind, "aria-label": name, onclick: act },
    label,
  );
}

const GAP = 4;

/**
 * Put a list below its button, or above it where there is no room.
 *
 * @param {HTMLElement} list
 * @param {DOMRect} anchor
 */
function place(list, anchor) {
  const { width, height } = list.getBoundingClientRect();
  const below = anchor.bottom + GAP;
  const top = below + height > window.innerHeight ? Math.max(GAP, anchor.top - GAP - height) : below;
  const left = Math.min(Math.max(GAP, anchor.right - width), window.innerWidth - width - GAP);
  Object.assign(list.style, { top: `${top}px`, left: `${left}px` });
}

/**
 * @param {HTMLElement} list
 * @param {KeyboardEvent} event
 */
function moveFocus(list, event) {
  /** @type {HTMLElement[]} */
  const items = [...list.querySelectorAll(/** @type {"button"} */ ("[role=menuitem]"))];
  const here = items.indexOf(/** @type {HTMLElement} */ (document.activeElement));
  /** @type {Record<string, number>} */
  const places = { ArrowDown: here + 1, ArrowUp: here - 1, Home: 0, End: items.length - 1 };
  const place = places[event.key];
  if (place === undefined) return;
  event.preventDefault();
  items.at(place % items.length)?.focus();
}
