// Addresses are relative, so that the page works under any prefix. What came from outside is only ever set as text.

import { ask, el, find, followTheme, makeLink, makeTime, showProblem } from "./page.js";

/** @typedef {{ run_id: string, dag_id: string, state: string | null }} Started */
/** @typedef {{ run_id: null, dag_id: string | null, reason: string | null, is_final: boolean }} Absent */
/** @typedef {Started | Absent} Outcome */
/** @typedef {{ name: string, taken_by: string | null }} Reader */

/**
 * @typedef {object} EventRow
 * @property {number} id
 * @property {string} received_at
 * @property {string} source
 * @property {string} event
 * @property {number | null} report_id
 * @property {string | null} report_name
 * @property {number | null} query_id
 * @property {number | null} run_id
 * @property {number | null} replay_of
 * @property {Outcome[] | null} dag_runs null if Airflow could not say
 */

/** @typedef {{ url: string, status: string | null }} ShownRun What PushMetrics says of an event's run. */

/**
 * @typedef {object} EventDetail
 * @property {number} id
 * @property {string} received_at
 * @property {string} source
 * @property {{ event: string }} body
 * @property {Reader[]} read_by
 * @property {Outcome[] | null} dag_runs null if Airflow could not say
 */

const form = find("filters", HTMLFormElement);
const rows = find("rows", HTMLTableSectionElement);
const replay = find("replay", HTMLButtonElement);
const older = find("older", HTMLButtonElement);
/** @type {number | null} */
let oldest = null;
/** @type {number | null} */
let chosen = null;
/** @type {Map<number, ShownRun>} */
const known = new Map();

const RUN_COLUMN = 6;
const QUERY_COLUMN = 5;
const REPLAY_COLUMN = 8;

const SECONDS_BEFORE_ASKING_AGAIN = [1, 2, 4, 8, 16];
const UNKNOWN = "Airflow could not list the Dag runs that it started.";

/** @param {() => unknown} work */
async function attempt(work) {
  showProblem(null);
  try {
    await work();
  } catch (error) {
    showProblem(error);
  }
}

/** @param {EventRow} event */
function showRow(event) {
  const row = rows.insertRow();
  row.dataset.id = String(event.id);
  row.tabIndex = 0;
  const open = el(
    "button",
    { type: "button", tabindex: "-1", "aria-label": `Open event ${event.id}` },
    String(event.id),
  );
  row.insertCell().append(open);
  row.insertCell().append(makeTime(event.received_at));
  for (const value of [
    event.source,
    event.event,
    describeReport(event),
    event.query_id,
    event.run_id,
    "",
    event.replay_of,
  ]) {
    row.insertCell().textContent = String(value ?? "");
  }
  row.cells[RUN_COLUMN].dataset.run = String(event.id);
  row.insertCell().append(...summarize(event.dag_runs));
  row.addEventListener("click", (click) => {
    if (click.target instanceof HTMLAnchorElement) return;
    attempt(() => showDetail(event.id));
  });
  row.addEventListener("keydown", (press) => {
    if (press.target !== row || (press.key !== "Enter" && press.key !== " ")) return;
    press.preventDefault(); // a space would scroll the page
    attempt(() => showDetail(event.id));
  });
}

/**
 * Hide the columns in which no row has a text, for what is beside them.
 *
 * @param {number[]} columns
 */
function hideEmpty(columns) {
  const shown = [...rows.rows];
  const [head] = find("events", HTMLTableElement).rows;
  for (const column of columns) {
    const isEmpty = shown.every((row) => !row.cells[column].textContent);
    for (const row of [head, ...shown]) row.cells[column].hidden = isEmpty;
  }
}

/** @param {EventRow} event */
function describeReport({ report_id: report, report_name: name }) {
  return name && report !== null ? `${name} (${report})` : (name ?? report);
}

/**
 * Show what PushMetrics says of the runs of events; nothing where it does not.
 *
 * @param {number[]} ids
 */
async function showRuns(ids) {
  if (!ids.length) return;
  const wanted = new URLSearchParams(ids.map((id) => ["event_id", String(id)]));
  /** @type {{ runs: Record<string, ShownRun> }} */
  const { runs } = await ask(`runs?${wanted}`);
  for (const [id, run] of Object.entries(runs)) {
    known.set(Number(id), run);
    const cell = rows.querySelector(`td[data-run="${Number(id)}"]`);
    const row = cell?.parentElement;
    if (!(row instanceof HTMLTableRowElement)) continue;
    const text = row.cells[RUN_COLUMN].textContent || "open";
    row.cells[RUN_COLUMN].replaceChildren(
      makeLink(run.url, text, { title: "The run in PushMetrics", opensTab: true }),
    );
    if (run.status)
      row.cells[RUN_COLUMN + 1].replaceChildren(el("span", { class: `state ${run.status}` }, run.status));
  }
  if (chosen !== null) showRun(chosen);
}

/** @param {number} id */
function showRun(id) {
  const place = find("detail-run", HTMLElement);
  const run = known.get(id);
  place.hidden = !run;
  if (!run) return;
  place.replaceChildren(
    makeLink(run.url, "The run in PushMetrics", { opensTab: true }),
    ...(run.status ? [": ", el("span", { class: `state ${run.status}` }, run.status)] : []),
  );
}

/**
 * Show the newest events, or those before one.
 *
 * @param {number | null} before
 */
async function list(before = null) {
  const wanted = new URLSearchParams();
  for (const [name, value] of new FormData(form)) wanted.set(name, String(value));
  if (before !== null) wanted.set("before", String(before));
  /** @type {{ events: EventRow[], total: number }} */
  const { events, total } = await ask(`events?${wanted}`);
  if (before === null) rows.replaceChildren();
  events.forEach(showRow);
  hideEmpty([QUERY_COLUMN, REPLAY_COLUMN]);
  oldest = events.length ? events[events.length - 1].id : oldest;
  find("empty", HTMLElement).hidden = rows.children.length > 0;
  older.hidden = events.length < 50;
  showRuns(events.map(({ id }) => id)).catch(() => {}); // the events are shown without it
  find("summary", HTMLElement).textContent = `${total} in the inbox`;
}

/** @param {(string | Node)[][]} effects */
function showList(effects) {
  const items = effects.map((parts) => {
    const item = document.createElement("li");
    item.append(...parts);
    return item;
  });
  find("effects", HTMLElement).replaceChildren(...items);
}

/**
 * @param {string} dag
 * @param {string} run
 * @param {string} text
 */
function linkDagRun(dag, run, text = `${dag} ${run}`) {
  const href = `../dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`;
  return makeLink(href, text, { title: run });
}

/**
 * @param {Outcome[] | null} outcomes
 * @returns {(string | Node)[]}
 */
function summarize(outcomes) {
  if (!outcomes) return ["unknown"];
  const [first, ...others] = outcomes;
  if (!first) return [];
  if (!isStarted(first)) return [`${describeAbsence(first)}: ${describeReason(first)}`];
  const absent = others.filter((other) => !isStarted(other)).length;
  const more = others.length
    ? [` and ${others.length} more${absent ? `, ${absent} of them without a run` : ""}`]
    : [];
  return [linkDagRun(first.dag_id, first.run_id, first.dag_id), ...more];
}

/**
 * @param {Outcome} outcome
 * @returns {outcome is Started}
 */
const isStarted = (outcome) => Boolean(outcome.run_id);

/** @param {Absent} outcome */
function describeAbsence({ is_final: isFinal }) {
  return isFinal ? "none" : "none yet";
}

/**
 * @param {Absent} outcome
 * @returns {string | null}
 */
function describeReason({ dag_id: dag, reason }) {
  return dag ? `${dag}, ${reason}` : reason;
}

/**
 * @param {Outcome} outcome
 * @returns {(string | Node)[]}
 */
function describeOutcome(outcome) {
  if (isStarted(outcome))
    return ["Started ", linkDagRun(outcome.dag_id, outcome.run_id), ` (${outcome.state}).`];
  return [`${outcome.is_final ? "None" : "None yet"}: ${describeReason(outcome)}.`];
}

/**
 * Show what an event has done, and look again while that may change, also after a failure.
 *
 * @param {EventDetail} known
 * @param {number} round
 */
function showEffects(known, round = 0) {
  const { id, read_by: readers, dag_runs: outcomes } = known;
  /** @type {(string | Node)[][]} */
  const effects = readers.map(({ name, taken_by: taker }) => [
    `Read by ${name}${taker ? `, for ${taker}` : ""}.`,
  ]);
  effects.push(...(outcomes ? outcomes.map(describeOutcome) : [[UNKNOWN]]));
  showList(effects);
  const seconds = SECONDS_BEFORE_ASKING_AGAIN[round];
  const isWaiting = !outcomes || outcomes.some((one) => !isStarted(one) && !one.is_final);
  if (!isWaiting || !seconds) return;
  setTimeout(
    () =>
      attempt(async () => {
        if (chosen !== id) return;
        let event = known;
        try {
          event = await ask(`events/${id}`);
        } finally {
          if (chosen === id) showEffects(event, round + 1);
        }
      }),
    seconds * 1000,
  );
}

/** @param {number} id */
async function showDetail(id) {
  /** @type {EventDetail} */
  const event = await ask(`events/${id}`);
  chosen = id;
  for (const row of rows.rows) row.ariaCurrent = String(row.dataset.id === String(id));
  find("detail-title", HTMLElement).textContent = `Event ${id}: ${event.body.event}`;
  find("detail-about", HTMLElement).replaceChildren(
    `From ${event.source}, `,
    makeTime(event.received_at),
    ".",
  );
  showRun(id);
  if (!known.has(id)) showRuns([id]).catch(() => {});
  showEffects(event);
  find("payload", HTMLElement).textContent = JSON.stringify(event.body, null, 2);
  find("detail", HTMLElement).hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => list());
});
form.addEventListener("reset", () => setTimeout(() => attempt(() => list())));
older.addEventListener("click", () => attempt(() => list(oldest)));
replay.addEventListener("click", () =>
  attempt(async () => {
    replay.disabled = true;
    try {
      /** @type {{ id: number }} */
      const { id } = await ask(`events/${chosen}/replay`, { method: "POST" });
      await list();
      await showDetail(id);
    } finally {
      replay.disabled = false;
    }
  }),
);
followTheme();
attempt(async () => {
  await list();
  const linked = location.hash.slice(1); // the link of a task that found this event
  if (/^[0-9]{1,18}$/.test(linked)) await showDetail(Number(linked));
});
