// The share of deliveries that an endpoint accepted, as people read it.

import { el } from "../elements/dom.js";
import { count } from "../elements/format.js";

/** @param {Api.OutcomeCounts} counts */
const total = ({ delivered, failed, retried }) => delivered + failed + retried;

/**
 * Write a rate. It is rounded down, so that 100% means all, and 0% means none.
 *
 * @param {Api.OutcomeCounts} counts
 */
export function writeRate(counts) {
  const all = total(counts);
  if (!all) return "–";
  const thousandths = Math.floor((counts.delivered * 1000) / all);
  return thousandths === 0 && counts.delivered ? "< 0.1%" : `${thousandths / 10}%`;
}

/**
 * Say what it consists of.
 *
 * @param {Api.OutcomeCounts} counts
 */
export function describeRate(counts) {
  const all = total(counts);
  if (!all) return "no deliveries";
  const others = [
    counts.failed && `${count(counts.failed, "failure")}`,
    counts.retried && `${count(counts.retried, "retry", "retries")} pending`,
  ].filter(Boolean);
  return [`${counts.delivered} of ${count(all, "delivery", "deliveries")}`, ...others].join(", ");
}

/**
 * Tell how a rate is colored.
 *
 * @param {Api.OutcomeCounts} counts
 */
export function rankRate(counts) {
  const all = total(counts);
  if (!all) return "";
  if (counts.delivered === all) return "good";
  return counts.delivered / all >= 0.9 ? "warn" : "bad";
}

/**
 * Show a rate in a table.
 *
 * @param {Api.OutcomeCounts | undefined} counts
 * @returns {Ui.Child}
 */
export function makeRate(counts) {
  if (!counts) return "–";
  return el("span", { class: `rate ${rankRate(counts)}`, title: describeRate(counts) }, writeRate(counts));
}

/**
 * Show a rate with a bar and what it consists of.
 *
 * @param {Api.OutcomeCounts} counts
 */
export function makeRateBar(counts) {
  const all = total(counts);
  const length = el("span", { class: `length ${rankRate(counts)}` });
  length.style.width = `${all ? (counts.delivered * 100) / all : 0}%`;
  return el(
    "div",
    { class: "rate-bar" },
    el("span", { class: `rate ${rankRate(counts)}` }, writeRate(counts)),
    all > 0 && el("span", { class: "bar", "aria-hidden": "true" }, length),
    el("span", { class: "hint" }, describeRate(counts)),
  );
}
