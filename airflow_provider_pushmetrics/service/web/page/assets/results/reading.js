// Reading results when it is their turn.

import { waitForPlace } from "../charts/places.js";
import { ApiError } from "../http/errors.js";
import { whenSignedIn } from "../http/session.js";
import { ReadingQueue } from "./reading_queue.js";

const NEAR = "500px";
/** Browsers send six requests to a service at a time: one follows changes, one is for what somebody does meanwhile. */
const MOST_READ = 4;

/** @type {ReadingQueue<Element>} */
const queue = new ReadingQueue(MOST_READ);
const observer = new IntersectionObserver(
  (entries) => {
    for (const { target, isIntersecting } of entries) queue.mark(target, isIntersecting);
    queue.readNext();
  },
  { rootMargin: NEAR },
);
/** Hears of a place that leaves the page, since it has no size any more. */
const sizes = new ResizeObserver(dropLost);
/** @type {WeakMap<Element, AbortSignal>} Tells of each place whether its page was left. */
const pages = new WeakMap();
/** @type {Map<Element, () => unknown>} The places whose reads were refused because nobody is signed in. */
const refused = new Map();

whenSignedIn(() => {
  const reads = [...refused.values()];
  refused.clear();
  for (const read of reads) read();
});

/**
 * Read what a place shows: soon if it is near what is seen, otherwise later, so that the browser can find and print it;
 * or not before it is near. The read is aborted when its page is left, or when something else is drawn in the place. One
 * that is refused because nobody is signed in follows when somebody has done so.
 *
 * @param {HTMLElement} place It may have the class `unread` until then, which keeps room for what comes.
 * @param {(signal: AbortSignal) => Promise<unknown>} read Gives the error that it has shown, if there is one.
 * @param {Ui.ReadSettings} settings
 */
export async function readInTurn(place, read, settings) {
  const { signal: page, isOnlyNear } = settings;
  // Somebody may have read it on demand meanwhile.
  const readRefused = async (/** @type {AbortSignal} */ signal) => hasFault(place) && read(signal);
  await waitForPlace(place);
  dropLost();
  if (page.aborted) return;
  pages.set(place, page);
  page.addEventListener("abort", dropLost); // once for all places of a page
  queue.add(
    place,
    async (signal) => {
      observer.unobserve(place);
      try {
        const error = place.isConnected && (await read(signal));
        if (error instanceof ApiError && error.status === 401)
          refused.set(place, () => readInTurn(place, readRefused, settings));
      } finally {
        sizes.unobserve(place);
        place.classList.remove("unread");
      }
    },
    { isOnlyNear },
  );
  observer.observe(place);
  sizes.observe(place);
}

/** Drop the places whose page was left, and those in which other ones were drawn. */
function dropLost() {
  for (const place of refused.keys()) if (isLost(place)) refused.delete(place);
  const lost = queue.places.filter(isLost);
  for (const place of lost) for (const one of [observer, sizes]) one.unobserve(place);
  if (lost.length) queue.drop(lost);
}

/** @param {Element} place */
const hasFault = (place) => place.querySelector(":scope > .fault") !== null;

/** @param {Element} place */
const isLost = (place) => !place.isConnected || Boolean(pages.get(place)?.aborted);
