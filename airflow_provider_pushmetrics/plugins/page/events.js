"use strict";
// Addresses are relative, so that the page works under any prefix. What came from outside is only ever set as text.
const byId = (id) => document.getElementById(id);
const form = byId("filters");
let oldest = null;
let chosen = null;

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

async function showDetail(id) {
  const event = await ask(`events/${id}`);
  chosen = id;
  for (const row of byId("rows").rows) row.setAttribute("aria-selected", row.dataset.id === String(id));
  byId("detail-title").textContent = `Event ${id}: ${event.body.event}`;
  const readers = event.read_by.length ? `read by ${event.read_by.join(", ")}` : "no named consumer has read it";
  const woken = event.woke ? `; woke ${event.woke} waiting here` : "";
  byId("detail-about").textContent = `From ${event.source}, ${new Date(event.received_at).toLocaleString()}; ${readers}${woken}.`;
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
  if (/^[0-9]{1,18}$/.test(linked)) await showDetail(linked);
});
