"use strict";
// Addresses are relative, so that the page works under any prefix. What came from outside is only ever set as text.
const byId = (id) => document.getElementById(id);
const form = byId("filters");
let oldest = null;
let chosen = null;
let search = 0;

const ASSET_EVENTS = 100; // in one answer of Airflow
const MAX_ASSET_EVENTS = 500;
const MAX_UNTOLD = 5; // asset events that Airflow cannot show, before the search ends
const SECONDS_BEFORE_ASKING_AGAIN = [1, 2, 4, 8, 16];

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
  for (const value of [received, event.source, event.event, event.report_id, event.query_id, event.run_id, event.replay_of]) {
    row.insertCell().textContent = value ?? "";
  }
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

// Airflow answers 500 for a whole page when one of its asset events created a Dag run that is still queued (seen in 3.3.2). So a
// page that fails is asked for in halves, down to that one, which is counted. Tells whether there may be more behind it.
async function collectAssetEvents(since, offset, limit, { found, untold }) {
  const wanted = new URLSearchParams({ timestamp_gte: since, order_by: "timestamp", limit, offset });
  try {
    const { asset_events: page } = await ask(`../api/v2/assets/events?${wanted}`);
    found.push(...page);
    return page.length === limit;
  } catch (error) {
    if (!(error.status >= 500)) throw error;
    if (limit === 1) return untold.push(offset) < MAX_UNTOLD;
    const half = Math.ceil(limit / 2);
    const more = await collectAssetEvents(since, offset, half, { found, untold });
    return more && collectAssetEvents(since, offset + half, limit - half, { found, untold });
  }
}

// Airflow keeps an event of an AssetWatcher whole, in the extra of the asset event; its own API tells each user what they may see.
async function findDagRuns(event) {
  const [found, untold] = [[], []];
  let more = true;
  for (let offset = 0; more && offset < MAX_ASSET_EVENTS; offset += ASSET_EVENTS) {
    more = await collectAssetEvents(event.received_at, offset, ASSET_EVENTS, { found, untold });
  }
  const isOurs = ({ extra }) => extra?.payload?.id === event.id && Date.parse(extra.payload.received_at) === Date.parse(event.received_at);
  return { runs: found.filter(isOurs).map(({ name, uri, created_dagruns: made }) => ({ asset: name || uri, made })), untold: untold.length };
}

function showList(effects) {
  const items = effects.map((parts) => {
    const item = document.createElement("li");
    item.append(...parts);
    return item;
  });
  byId("effects").replaceChildren(...items);
}

function linkDagRun({ dag_id: dag, run_id: run }) {
  const link = document.createElement("a");
  link.href = `../dags/${encodeURIComponent(dag)}/runs/${encodeURIComponent(run)}`;
  link.textContent = `${dag} ${run}`;
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

function describeRefusal(error) {
  const refused = error.status === 401 || error.status === 403;
  return refused ? "Airflow does not let you see which Dag runs it started." : `Airflow could not say which Dag runs it started: ${error.message}`;
}

async function showEffects(event, round = 0) {
  const mine = (search += 1);
  const effects = [];
  for (const { name, taken_by: taker } of event.read_by) effects.push([`Read by ${name}${taker ? `, for ${taker}` : ""}.`]);
  for (const { readers, wanted } of event.woke) {
    const terms = Object.entries(wanted).map(([field, value]) => `${field} ${value}`);
    effects.push([`Woke ${readers} waiting at this API server for ${terms.join(", ") || "any event"}.`]);
  }
  if (!round) showList(effects);
  let again = false;
  try {
    const { runs, untold } = await findDagRuns(event);
    for (const { asset, made } of runs) {
      for (const run of made) effects.push(["Started ", linkDagRun(run), ` (${run.state}), by asset ${asset}.`]);
      if (!made.length) effects.push([`Updated asset ${asset}; no Dag run has started by it yet.`]);
    }
    again = untold > 0;
    const count = untold < MAX_UNTOLD ? untold : `${untold} or more`;
    if (untold) effects.push([`Airflow cannot show ${count} of the asset events since then: they created Dag runs that are still queued.`]);
  } catch (error) {
    again = !(error.status < 500);
    effects.push([describeRefusal(error)]);
  }
  if (mine !== search) return; // another one has begun meanwhile
  showList(effects.length ? effects : [["No Dag run, no consumer and no waiting reader is known that it woke."]]);
  const seconds = SECONDS_BEFORE_ASKING_AGAIN[round];
  if (again && seconds) setTimeout(() => mine === search && showEffects(event, round + 1), seconds * 1000);
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

form.addEventListener("submit", (event) => { event.preventDefault(); attempt(() => list()); });
form.addEventListener("reset", () => setTimeout(() => attempt(() => list())));
byId("older").addEventListener("click", () => attempt(() => list(oldest)));
byId("replay").addEventListener("click", () => attempt(async () => {
  byId("replay").disabled = true;
  try {
    const { id } = await ask(`events/${chosen}/replay`, { method: "POST" });
    await list();
    await showDetail(id);
  } finally {
    byId("replay").disabled = false;
  }
}));
attempt(async () => {
  await list();
  const linked = location.hash.slice(1); // the link of a task that found this event
  if (/^[0-9]{1,18}$/.test(linked)) await showDetail(Number(linked));
});
