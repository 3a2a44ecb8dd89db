// The places of charts in the page: when one can be drawn, and which are still there.

/**
 * What is drawn in a place.
 *
 * @typedef {{ redraw: () => unknown, end: () => unknown, wasShown: boolean }} Drawn
 */

/** @type {Map<HTMLElement, Drawn>} */
const drawn = new Map();
let isFollowing = false;
/** Hears of a place that leaves the page, since it has no size any more; not while the page itself is hidden. */
const sizes = new ResizeObserver(endLost);

/**
 * Wait until a place is part of the page and has a width: before that, it has neither colors nor a size.
 *
 * @param {HTMLElement} place Not empty.
 * @returns {Promise<void>}
 */
export function waitForPlace(place) {
  return new Promise((resolve) => {
    const observer = new ResizeObserver(() => {
      if (!place.isConnected || place.clientWidth === 0) return;
      observer.disconnect();
      resolve();
    });
    observer.observe(place);
  });
}

/**
 * Draw a place again whenever the page becomes light or dark, and end what is drawn there when it has left the page: a
 * page may stay open for days, while its charts are replaced by newer ones.
 *
 * @param {HTMLElement} place
 * @param {Omit<Drawn, "wasShown">} settings
 */
export function followPlace(place, { redraw, end }) {
  drawn.set(place, { redraw, end, wasShown: false });
  sizes.observe(place);
  endLost();
  if (isFollowing) return;
  isFollowing = true;
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", redrawAll);
  // A page may also be light or dark by an attribute of its root.
  new MutationObserver(redrawAll).observe(document.documentElement, { attributes: true });
}

/** End what is drawn in places that have left the page. */
function endLost() {
  for (const [place, one] of drawn) {
    if (place.isConnected) one.wasShown = true;
    else if (one.wasShown) {
      drawn.delete(place);
      sizes.unobserve(place);
      one.end();
    }
  }
}

function redrawAll() {
  endLost();
  for (const [place, { redraw }] of [...drawn]) if (place.isConnected) redraw();
}
