// Numbers, times and states as people read them.

import { writeJson } from "../http/exact_json.js";
import { el } from "./dom.js";

const NUMBER = new Intl.NumberFormat();
const MOMENT = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "medium" });

/**
 * Write a number with its groups.
 *
 * @param {number | null | undefined} value
 */
export const number = (value) => (value === null || value === undefined ? "–" : NUMBER.format(value));

/**
 * Write a count with its noun.
 *
 * @param {number | null} value
 * @param {string} noun
 * @param {string} nouns
 */
export const count = (value, noun, nouns = `${noun}s`) => `${number(value)} ${value === 1 ? noun : nouns}`;

/**
 * Show a moment in the browser's language and zone; the tooltip has it in UTC.
 *
 * @param {Api.Moment | null | undefined} text
 * @returns {HTMLElement | string}
 */
export function moment(text) {
  if (!text) return "–";
  const date = new Date(text);
  if (Number.isNaN(date.getTime())) return text;
  return el(
    "time",
    {
      datetime: text,
      title: `${date
        .toISOString()
        .replace("T", " ")
        .replace(/\.\d+Z$/, "")} UTC`,
    },
    MOMENT.format(date),
  );
}

/**
 * Write how long something took. It is rounded first, so that no unit is ever full: 59.96 s is a minute.
 *
 * @param {number | null | undefined} seconds
 */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return "–";
  const milliseconds = Math.round(seconds * 1000);
  if (milliseconds < 1000) return `${milliseconds} ms`;
  const tenths = Math.round(seconds * 10);
  if (tenths < 600) return `${(tenths / 10).toFixed(1)} s`;
  const whole = Math.round(seconds);
  const minutes = Math.floor(whole / 60);
  return minutes < 60
    ? `${minutes} min ${whole % 60} s`
    : `${Math.floor(minutes / 60)} h ${minutes % 60} min`;
}

/**
 * Write how long something took, from its two moments; until now while it has no end.
 *
 * @param {Api.Moment | null | undefined} start
 * @param {Api.Moment | null | undefined} end
 */
export function span(start, end) {
  if (!start) return "–";
  return duration((new Date(end ?? Date.now()).getTime() - new Date(start).getTime()) / 1000);
}

/** @type {Record<string, string>} */
const KINDS = {
  success: "good",
  delivered: "good",
  sent: "good",
  enabled: "good",
  active: "good",
  failed: "bad",
  cancelled: "warn",
  not_run: "warn",
  kept: "warn",
  disabled: "warn",
  paused: "warn",
  running: "busy",
  pending: "busy",
};

/**
 * Show a state by word and color.
 *
 * @param {string} name
 */
export function state(name) {
  return el("span", { class: `state ${KINDS[name] ?? ""}` }, String(name).replace("_", " "));
}

const FINISHED = new Set(["success", "failed", "cancelled"]);

/**
 * Tell whether a run, or a block of it, has ended.
 *
 * @param {string | null} status
 */
export const isFinished = (status) => status !== null && FINISHED.has(status);

/** What turns around the text beside it: letters that are read from the right, and marks of direction. */
const TURNING = /[\p{Script=Hebrew}\p{Script=Arabic}\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]/u;
const ISOLATES = /[\u2066-\u2069]/g;

/**
 * Write a text, such as a name, for a sentence around it, which it does not turn around.
 *
 * @param {string} text
 */
export const isolate = (text) => (TURNING.test(text) ? `\u2068${text.replace(ISOLATES, "")}\u2069` : text);

/**
 * List names in a sentence, which none of them turns around, nor the names beside it.
 *
 * @param {readonly unknown[]} names
 */
export const listNames = (names) => names.map((name) => isolate(String(name))).join(", ");

/**
 * Write a name in quotes.
 *
 * @param {string} name
 */
export const quote = (name) => `“${isolate(name)}”`;

/**
 * Write the parameters of a run in one line.
 *
 * @param {Record<string, unknown> | null | undefined} parameters
 */
export function writeParameters(parameters) {
  const pairs = Object.entries(parameters ?? {}).map(
    ([name, value]) => `${name}=${isolate(typeof value === "string" ? value : writeJson(value))}`,
  );
  return pairs.join(", ") || "–";
}
