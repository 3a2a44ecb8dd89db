// Reading results when it is their turn.

import { waitForPlace } from "../charts/places.js";
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

/**
 * Read what a place shows: soon if it is near what is seen, otherwise later, so that the browser can find and print it;
 * or not before it is near.
 *
 * @param {HTMLElement} place It may have the class `unread` until then, which keeps room for what comes.
 * @param {() => Promise<unknown>} read
 * @param {Ui.ReadSettings} [settings]
 */
export async function readInTurn(place, read, settings) {
  await waitForPlace(place);
  dropLost();
  queue.add(
    place,
    async () => {
      observer.unobserve(place);
      if (place.isConnected) await read();
      place.classList.remove("unread");
    },
    settings,
  );
  observer.observe(place);
}

/** Forget the places that have left the page: other ones were drawn instead. */
function dropLost() {
  for (const place of queue.places) {
    if (place.isConnected) continue;
    observer.unobserve(place);
    queue.remove(place);
  }
}
