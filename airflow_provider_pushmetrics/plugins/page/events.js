// Addresses are relative, so that the page works under any prefix. What came from outside is only ever set as text.
const byId = (id) => document.getElementById(id);
const form = byId("filters");
let oldest = null;
let chosen = null;

const SECONDS_BEFORE_ASKING_AGAIN = [1, 2, 4, 8, 16];
const UNKNOWN = "Airflow could not say which Dag runs it started.";

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "X-PushMetrics-Page": "1" } });
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  const error = new Error(content.message || content.detail || `The server answered ${answer.status}.`);
  throw Object.assign(error, { status: answer.status });
}

async function attempt(work) {
  const problem = byId("problem");
  problem.hidden = true;
  try {
    await work();
  } catch (error) {
    problem.textContent = error.message;
    problem.hidden = false;
  }
}

function showRow(event) {
  const row = byId("rows").insertRow();
  row.dataset.id = event.id;
  const open = document.createElement("button");
  open.type = "button";
  open.textContent = event.id;
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
    row.insertCell().textContent = value ?? "";
  }
  row.insertCell().append(...summarize(event.dag_runs));
  row.addEventListener("click", () => attempt(() => showDetail(event.id)));
}

async function list(before) {
  const wanted = new URLSearchParams(new FormData(form));
  if (before) wanted.set("before", before);
  const { events, total } = await ask(`events?${wanted}`);
  if (!before) byId("rows").replaceChildren();
  events.forEach(showRow);
  oldest = events.length ? events[events.length - 1].id : oldest;
  byId("empty").hidden = byId("rows").children.length > 0;
  byId("older").hidden = events.length < 50;
  byId("summary").textContent = `${total} in the inbox`;
}

function showList(effects) {
  const items = effects.map((parts) => {
    const item = document.createElement("li");
    item.append(...parts);
    return item;
  });
  byId("effects").replaceChildren(...items);
}

function linkDagRun({ dag_id: dag, run_id: run }, text = `${dag} ${run}`) {
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

function summarize(outcomes) {
  if (!outcomes) return ["unknown"];
  const [first, ...others] = outcomes;
  if (!first) return [];
  if (!first.run_id) return [`${describeAbsence(first)}: ${describeReason(first)}`];
  const absent = others.filter(({ run_id: run }) => !run).length;
  const more = others.length
    ? [` and ${others.length} more${absent ? `, ${absent} of them without a run` : ""}`]
    : [];
  return [linkDagRun(first, first.dag_id), ...more];
}

function describeAbsence({ is_final: isFinal }) {
  return isFinal ? "none" : "none yet";
}

function describeReason({ dag_id: dag, reason }) {
  return dag ? `${dag}, ${reason}` : reason;
}

function describeOutcome(outcome) {
  if (outcome.run_id) return ["Started ", linkDagRun(outcome), ` (${outcome.state}).`];
  return [`${outcome.is_final ? "None" : "None yet"}: ${describeReason(outcome)}.`];
}

function showEffects({ id, read_by: readers, dag_runs: outcomes }, round = 0) {
  const effects = readers.map(({ name, taken_by: taker }) => [
    `Read by ${name}${taker ? `, for ${taker}` : ""}.`,
  ]);
  effects.push(...(outcomes ? outcomes.map(describeOutcome) : [[UNKNOWN]]));
  showList(effects);
  const seconds = SECONDS_BEFORE_ASKING_AGAIN[round];
  const isWaiting = !outcomes || outcomes.some(({ run_id: run, is_final: isFinal }) => !run && !isFinal);
  if (!isWaiting || !seconds) return;
  setTimeout(
    () =>
      attempt(async () => {
        if (chosen !== id) return;
        const event = await ask(`events/${id}`);
        if (chosen === id) showEffects(event, round + 1);
      }),
    seconds * 1000,
  );
}

async function showDetail(id) {
  const event = await ask(`events/${id}`);
  chosen = id;
  for (const row of byId("rows").rows) row.setAttribute("aria-selected", row.dataset.id === String(id));
  byId("detail-title").textContent = `Event ${id}: ${event.body.event}`;
  byId("detail-about").textContent = `From ${event.source}, ${new Date(event.received_at).toLocaleString()}.`;
  showEffects(event);
  byId("payload").textContent = JSON.stringify(event.body, null, 2);
  byId("detail").hidden = false;
}

form.addEventListener("submit", (event) => {
  event.preventDefault();
  attempt(() => list());
});
form.addEventListener("reset", () => setTimeout(() => attempt(() => list())));
byId("older").addEventListener("click", () => attempt(() => list(oldest)));
byId("replay").addEventListener("click", () =>
  attempt(async () => {
    byId("replay").disabled = true;
    try {
      const { id } = await ask(`events/${chosen}/replay`, { method: "POST" });
      await list();
      await showDetail(id);
    } finally {
      byId("replay").disabled = false;
    }
  }),
);
attempt(async () => {
  await list();
  const linked = location.hash.slice(1); // the link of a task that found this event
  if (/^[0-9]{1,18}$/.test(linked)) await showDetail(Number(linked));
});
