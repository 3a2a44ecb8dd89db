// Pages that stay up to date: one connection for a page, on which the service says that runs have changed.

import { button } from "../elements/buttons.js";
import { el, fill, find } from "../elements/dom.js";
import { tell } from "../elements/notices.js";
import { locate } from "./addresses.js";
import { ApiError, describeError, isAbort, isOutage } from "./errors.js";
import { choosePause, readEvents } from "./live_events.js";
import { askForSignIn, OWN_PAGE, whenSignedIn } from "./session.js";
import { readParts, Silence } from "./wire.js";

/** Without a byte for so long, the service is gone: it sends one at least every 15 s. */
const SILENCE_MILLISECONDS = 40_000;

/** @type {Set<Ui.Watch>} */
const watches = new Set();
/** @type {AbortController | null} */
let connection = null;
/** @type {ReturnType<typeof setTimeout> | undefined} */
let retry;
let failures = 0;
/** The version of all runs from before the page read anything, until the first event. */
let version = "";
/** That of the last event: what another page reads after it is not older. */
let seen = "";

document.addEventListener("visibilitychange", () => (document.hidden ? disconnect() : connect()));
window.addEventListener("online", () => reconnect());
whenSignedIn(() => reconnect());

/**
 * Remember the version of all runs from before the page read anything, so that it need not read again at once.
 *
 * @param {string} known
 */
export function rememberVersion(known) {
  version = known;
}

/**
 * Call a function whenever runs may have changed, until the page is left. While the tab is hidden nothing is
 * called; it is once when the tab is shown again.
 *
 * @param {() => Promise<unknown>} read
 * @param {AbortSignal} signal
 */
export function watchRuns(read, signal) {
  if (signal.aborted) return;
  /** @type {Ui.Watch} */
  const watch = { read, reading: null, isAgain: false };
  if (!watches.size) version ||= seen; // the first of another page
  watches.add(watch);
  signal.addEventListener("abort", () => {
    watches.delete(watch);
    if (!watches.size) disconnect();
  });
  connect();
}

function connect() {
  if (connection || document.hidden || !watches.size) return;
  clearTimeout(retry);
  connection = new AbortController();
  listen(connection);
}

function disconnect() {
  clearTimeout(retry);
  connection?.abort();
  connection = null;
  hideOutage();
}

function reconnect() {
  disconnect();
  connect();
}

/** @param {AbortController} own */
async function listen(own) {
  let text = "";
  const silence = new Silence(SILENCE_MILLISECONDS, own.signal);
  /** @type {unknown} */
  let fault = null;
  try {
    const answer = await fetch(locate("app/changes"), { headers: OWN_PAGE, signal: silence.signal });
    if (!answer.ok || !answer.body) throw new ApiError(answer.status, `The service answers ${answer.status}`);
    for await (const part of readParts(answer.body, silence)) {
      const events = readEvents(text + part);
      text = events.rest;
      if (events.version === null) continue;
      await update(events.version);
      // Only now: a service that answers with heartbeats, and with errors to what is read, is not there again.
      failures = 0;
      hideOutage();
    }
  } catch (error) {
    fault = error;
  }
  silence.stop();
  own.abort();
  if (connection !== own) return; // it was closed by the page itself
  connection = null;
  followUp(fault);
}

/**
 * Connect again: at once if the service ended the connection, later if it does not answer.
 *
 * @param {unknown} fault
 */
function followUp(fault) {
  if (document.hidden || !watches.size) return;
  if (fault instanceof ApiError && fault.status === 401) return showSignedOut();
  failures += 1;
  const seconds = choosePause(failures, Math.random());
  if (fault || failures > 2) showOutage(seconds);
  retry = setTimeout(connect, seconds * 1000);
}

/**
 * Let all parts of the page read what they show. The first event of a page tells of nothing if no run has changed since
 * before it was read. Later ones always do: a page may show more than runs, or wait for a read that was refused.
 *
 * @param {string} newest
 */
async function update(newest) {
  const isKnown = newest !== "" && newest === version;
  version = "";
  seen = newest;
  if (!isKnown) await Promise.all([...watches].map(readAgain));
}

/**
 * Let a part of the page read what it shows; once more if something changed while it did. It has read when this ends,
 * also if an earlier connection had it begin: the one that is there now is to know whether it failed.
 *
 * @param {Ui.Watch} watch
 * @returns {Promise<void>}
 */
function readAgain(watch) {
  watch.isAgain = watch.reading !== null;
  watch.reading ??= readToTheEnd(watch);
  return watch.reading;
}

/** @param {Ui.Watch} watch */
async function readToTheEnd(watch) {
  try {
    do {
      watch.isAgain = false;
      await watch.read();
    } while (watch.isAgain);
  } catch (error) {
    if (isAbort(error)) return;
    if (isOutage(error)) throw error;
    // Such as a run that was deleted: reading it again would not help.
    watches.delete(watch);
    tell(describeError(error), "bad");
  } finally {
    watch.reading = null;
  }
}

/** @param {number} seconds */
function showOutage(seconds) {
  const text = `The service does not respond, and this page may be out of date. Next attempt in ${Math.ceil(seconds)} s.`;
  fill(findPlace(), el("span", {}, text), button("Try now", reconnect, { kind: "quiet reads" }));
  findPlace().hidden = false;
}

/** Say that nobody is signed in. A dialog for it would come over whatever one does or reads here. */
function showSignedOut() {
  const text = "You are signed out, and this page may be out of date.";
  fill(
    findPlace(),
    el("span", {}, text),
    button("Sign in", () => askForSignIn(), { kind: "quiet reads" }),
  );
  findPlace().hidden = false;
}

function hideOutage() {
  const place = document.getElementById("outage");
  if (place) place.hidden = true;
}

/** Find the place of the notice, which is made when it is needed first. */
function findPlace() {
  const place = document.getElementById("outage");
  if (place) return place;
  const made = el("div", { id: "outage", role: "status", hidden: true });
  find("page").before(made);
  return made;
}
