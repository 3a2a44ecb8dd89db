// Addresses are relative, so that the page works under any prefix. What came from outside is only ever set as text.

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
 * @property {number | null} query_id
 * @property {number | null} run_id
 * @property {number | null} replay_of
 * @property {Outcome[] | null} dag_runs null if Airflow could not say
 */

/**
 * @typedef {object} EventDetail
 * @property {number} id
 * @property {string} received_at
 * @property {string} source
 * @property {{ event: string }} body
 * @property {Reader[]} read_by
 * @property {Outcome[] | null} dag_runs null if Airflow could not say
 */

/**
 * Find an element that is always there.
 *
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 */
function find(id, kind) {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`The page has no ${kind.name} ${id}`);
}

const form = find("filters", HTMLFormElement);
const rows = find("rows", HTMLTableSectionElement);
const replay = find("replay", HTMLButtonElement);
const older = find("older", HTMLButtonElement);
/** @type {number | null} */
let oldest = null;
/** @type {number | null} */
let chosen = null;

const SECONDS_BEFORE_ASKING_AGAIN = [1, 2, 4, 8, 16];
const UNKNOWN = "Airflow could not list the Dag runs that it started.";

/**
 * @template Answer
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Answer>}
 */
async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "X-PushMetrics-Page": "1" } });
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  throw new Error(content.message || content.detail || `The server answered ${answer.status}.`);
}

/** @param {() => unknown} work */
async function attempt(work) {
  const problem = find("problem", HTMLElement);
  problem.hidden = true;
  try {
    await work();
  } catch (error) {
    problem.textContent = error instanceof Error ? error.message : String(error);
    problem.hidden = false;
  }
}

/** @param {EventRow} event */
function showRow(event) {
  const row = rows.insertRow();
  row.dataset.id = String(event.id);
  const open = document.createElement("button");
  open.type = "button";
  open.textContent = String(event.id);
  row.insertCell().append(open);
  const received = new Date(event.received_at).toLocaleString();
  for (const value of [
    received,
    event.source,
    event.event,
    event.report_id,
    event.query_id,
    event.run_id,
    event.replay_of,
  ]) {
    row.insertCell().textContent = String(value ?? "");
  }
  row.insertCell().append(...summarize(event.dag_runs));
  row.addEventListener("click", () => attempt(() => showDetail(event.id)));
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
  oldest = events.length ? events[events.length - 1].id : oldest;
  find("empty", HTMLElement).hidden = rows.children.length > 0;
  older.hidden = events.length < 50;
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
  const link = document.createElement("a");
  link.href = `../dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`;
  link.textContent = text;
  link.title = run;
  link.addEventListener("click", (click) => {
    if (window.parent === window) return;
    // Airflow's frame may not leave its page by itself; the page around it may.
    click.preventDefault();
    const outside = window.parent.document.createElement("a");
    outside.href = link.href;
    outside.click();
  });
  return link;
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
 * Show what an event has done, and look again while that may change.
 *
 * @param {EventDetail} event
 * @param {number} round
 */
function showEffects({ id, read_by: readers, dag_runs: outcomes }, round = 0) {
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
        /** @type {EventDetail} */
        const event = await ask(`events/${id}`);
        if (chosen === id) showEffects(event, round + 1);
      }),
    seconds * 1000,
  );
}

/** @param {number} id */
async function showDetail(id) {
  /** @type {EventDetail} */
  const event = await ask(`events/${id}`);
  chosen = id;
  for (const row of rows.rows) row.setAttribute("aria-selected", String(row.dataset.id === String(id)));
  find("detail-title", HTMLElement).textContent = `Event ${id}: ${event.body.event}`;
  find("detail-about", HTMLElement).textContent =
    `From ${event.source}, ${new Date(event.received_at).toLocaleString()}.`;
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
attempt(async () => {
  await list();
  const linked = location.hash.slice(1); // the link of a task that found this event
  if (/^[0-9]{1,18}$/.test(linked)) await showDetail(Number(linked));
});
