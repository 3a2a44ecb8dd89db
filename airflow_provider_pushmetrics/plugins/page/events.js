"use strict";
// Addresses are relative, so that the page works under any prefix. What came from outside is only ever set as text.
const byId = (id) => document.getElementById(id);
const form = byId("filters");
let oldest = null;
let chosen = null;

const ASSET_EVENTS = 100; // in one answer of Airflow
const MAX_ASSET_EVENTS = 500;

async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "X-PushMetrics-Page": "1" } });
  const content = await answer.json().catch(() => ({}));
  if (!answer.ok) throw new Error(content.message || content.detail || `The server answered ${answer.status}.`);
  return content;
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

// Airflow keeps an event of an AssetWatcher whole, in the extra of the asset event; its own API tells each user what they may see.
async function findDagRuns(event) {
  const runs = [];
  for (let offset = 0; offset < MAX_ASSET_EVENTS; offset += ASSET_EVENTS) {
    const wanted = new URLSearchParams({ timestamp_gte: event.received_at, order_by: "timestamp", limit: ASSET_EVENTS, offset });
    const { asset_events: found } = await ask(`../api/v2/assets/events?${wanted}`);
    for (const { extra, created_dagruns: made, name, uri } of found) {
      const cause = extra?.payload;
      if (cause?.id === event.id && Date.parse(cause.received_at) === Date.parse(event.received_at)) runs.push({ asset: name || uri, made });
    }
    if (found.length < ASSET_EVENTS) break;
  }
  return runs;
}

function addEffect(...parts) {
  const item = document.createElement("li");
  item.append(...parts);
  byId("effects").append(item);
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

async function showEffects(event) {
  byId("effects").replaceChildren();
  for (const { name, taken_by: taker } of event.read_by) addEffect(`Read by ${name}${taker ? `, for ${taker}` : ""}.`);
  for (const { readers, wanted } of event.woke) {
    const terms = Object.entries(wanted).map(([field, value]) => `${field} ${value}`);
    addEffect(`Woke ${readers} waiting at this API server for ${terms.join(", ") || "any event"}.`);
  }
  const found = await findDagRuns(event).catch(() => null);
  if (event.id !== chosen) return; // another event was chosen meanwhile
  for (const { asset, made } of found ?? []) {
    for (const run of made) addEffect("Started ", linkDagRun(run), ` (${run.state}), by asset ${asset}.`);
    if (!made.length) addEffect(`Updated asset ${asset}; no Dag run has started by it yet.`);
  }
  if (found === null) addEffect("Airflow does not let you see which Dag runs it started.");
  if (!byId("effects").children.length) addEffect("No Dag run, no consumer and no waiting reader is known that it woke.");
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
