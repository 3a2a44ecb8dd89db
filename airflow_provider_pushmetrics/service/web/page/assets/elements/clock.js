// The time that something has taken so far, by the clock of the service: that of the reader's machine may be wrong.

import { getServerTime } from "../http/server_time.js";
import { el } from "./dom.js";
import { duration } from "./format.js";

let isTicking = false;

/**
 * Make a clock: the time since a moment, which goes on while the page is open.
 *
 * @param {Api.Moment} start
 */
export function makeClock(start) {
  if (!isTicking) setInterval(tick, 1000);
  isTicking = true;
  return el("span", { class: "clock", "aria-live": "off", "data-since": start }, measure(start));
}

function tick() {
  /** @type {NodeListOf<HTMLElement>} */
  const clocks = document.querySelectorAll("[data-since]");
  for (const clock of clocks) clock.textContent = measure(clock.dataset.since ?? "");
}

/** @param {Api.Moment} start */
function measure(start) {
  const seconds = Math.max(0, (getServerTime() - new Date(start).getTime()) / 1000);
  return seconds < 60 ? `${Math.floor(seconds)} s` : duration(Math.floor(seconds));
}

/**
 * Write how long something took, or has taken until now.
 *
 * @param {Api.Moment | null | undefined} start
 * @param {Api.Moment | null | undefined} end
 */
export function elapsed(start, end) {
  if (!start) return "–";
  if (!end) return makeClock(start);
  return duration((new Date(end).getTime() - new Date(start).getTime()) / 1000);
}
