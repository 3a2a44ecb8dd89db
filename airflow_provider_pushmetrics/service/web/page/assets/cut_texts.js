// The whole of a text that is cut off, as the tooltip of what one points at.

/** How many elements a text may stand in, within the one that cuts it off. */
const MOST_LEVELS = 4;

/** The elements whose tooltip is from here: it follows the text. @type {WeakSet<HTMLElement>} */
const described = new WeakSet();

/** Say the whole of what is cut off when one points at it, or goes to it by the keyboard. */
export function describeCutTexts() {
  for (const name of ["pointerover", "focusin"])
    document.addEventListener(name, ({ target }) => {
      if (target instanceof HTMLElement) describe(target);
    });
}

/** @param {HTMLElement} element */
function describe(element) {
  if (element.title && !described.has(element)) return;
  if (isCut(element)) {
    element.title = element.textContent.trim();
    described.add(element);
  } else if (described.delete(element)) element.removeAttribute("title");
}

/**
 * Tell whether a part of an element cannot be seen because its text, or that of what it stands in, ends with an ellipsis.
 *
 * @param {HTMLElement} element
 */
function isCut(element) {
  /** @type {HTMLElement | null} */
  let box = element;
  for (let level = 0; box && level < MOST_LEVELS; level += 1) {
    if (endsWithEllipsis(box)) return box === element ? overflows(box) : reachesBeyond(element, box);
    box = box.parentElement;
  }
  return false;
}

/** @param {HTMLElement} box */
function endsWithEllipsis(box) {
  const { overflowX, textOverflow, webkitLineClamp } = getComputedStyle(box);
  return overflowX === "hidden" && (textOverflow === "ellipsis" || webkitLineClamp !== "none");
}

/** @param {HTMLElement} box */
const overflows = (box) => box.scrollWidth > box.clientWidth || box.scrollHeight > box.clientHeight;

/**
 * @param {HTMLElement} element
 * @param {HTMLElement} box
 */
function reachesBeyond(element, box) {
  const [inner, outer] = [element.getBoundingClientRect(), box.getBoundingClientRect()];
  return inner.right > outer.right || inner.left < outer.left || inner.bottom > outer.bottom;
}
