// Signing in, staying signed in while somebody works here, and signing out.
// The token goes to the service once; the browser keeps a cookie that no script can read.

import { removeDrafts } from "../drafts/unsaved.js";
import { el, fill } from "../elements/dom.js";
import { makeModal, openModal } from "../elements/notices.js";
import { locate } from "./addresses.js";
import { describeError } from "./errors.js";
import { reach, readMessage } from "./wire.js";

/**
 * The headers of calls: by one the service knows its own pages, since those of other sites cannot send it. The other
 * names the user and the workspace of this page, so that the service refuses its calls when somebody else has signed in.
 *
 * @type {Record<string, string>}
 */
export const OWN_PAGE = { "X-PushMetrics-App": "1" };
const OWNER = "X-PushMetrics-Owner";

/** @type {Promise<void> | null} */
let waiting = null;
/** @type {ReturnType<typeof setInterval> | undefined} */
let timer;
let isActive = false;
let signInCount = 0;
/** @type {Set<() => void>} */
const listeners = new Set();

for (const name of ["pointerdown", "keydown", "input"]) {
  document.addEventListener(
    name,
    () => {
      isActive = true;
    },
    { passive: true, capture: true },
  );
}

/** Find whether there is a session, and whose; if so, it is renewed from now on. */
export async function findSession() {
  const session = await request("GET");
  if (session.is_signed_in) keepAlive(session.renew_seconds);
  return session;
}

/** Count how often somebody has signed in on this page: what was refused before may be tried again. */
export const countSignIns = () => signInCount;

/**
 * Call a function whenever somebody has signed in on this page.
 *
 * @param {() => void} listener
 */
export const whenSignedIn = (listener) => listeners.add(listener);

/**
 * Ask for a token until there is a session; all who wait get the same one.
 *
 * @param {string} [reason]
 */
export function askForSignIn(reason = "") {
  waiting ??= /** @type {Promise<void>} */ (new Promise((resolve) => showForm(resolve, reason))).finally(
    () => {
      waiting = null;
      signInCount += 1;
      for (const listener of listeners) listener();
    },
  );
  return waiting;
}

/**
 * Remember for whom the page is; somebody else who signs in gets a page of their own.
 *
 * @param {Ui.Owner} owner
 */
export function rememberOwner({ user, workspace }) {
  OWN_PAGE[OWNER] = `${user.id}.${workspace.id}`;
}

/** End the session, remove what was typed and not saved, and begin anew. */
export async function signOut() {
  clearInterval(timer);
  timer = undefined;
  await request("DELETE");
  removeDrafts();
  location.assign(new URL("app/", locate("")));
}

/**
 * @param {() => void} done
 * @param {string} reason
 */
function showForm(done, reason) {
  const field = el("input", {
    type: "password",
    id: "token",
    name: "token",
    required: true,
    autocomplete: "off",
    spellcheck: "false",
    autofocus: true,
  });
  const fault = el("p", { class: "fault", role: "alert", hidden: !reason }, reason);
  const submit = el("button", { type: "submit", class: "primary" }, "Sign in");
  const form = el(
    "form",
    { method: "post", class: "stack" },
    el("label", { for: "token" }, "API token"),
    field,
    fault,
    submit,
    el(
      "p",
      { class: "hint" },
      "Create tokens under “API tokens”, or use the first one: the service was started with it, or wrote it to the file bootstrap-token in its data folder.",
    ),
  );
  const dialog = el("dialog", { class: "sign-in", "aria-labelledby": "sign-in-title" });
  fill(
    dialog,
    el("p", { class: "brand" }, "PushMetrics"),
    el("h2", { id: "sign-in-title" }, "Sign in"),
    form,
  );
  const hide = makeModal(dialog, () => field.focus());
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    submit.disabled = true;
    try {
      const session = await request("POST", { token: field.value.trim() });
      if (!(await isOwner())) return location.reload();
      hide();
      keepAlive(session.renew_seconds);
      done();
    } catch (error) {
      fill(fault, describeError(error));
      fault.hidden = false;
      field.select();
    } finally {
      submit.disabled = false;
    }
  });
  openModal(dialog);
}

/** Tell whether the page is for whoever is signed in now. */
async function isOwner() {
  const { status } = await reach("api/v1/user/current", { headers: OWN_PAGE });
  return status !== 401;
}

/**
 * Renew the session from now on. Who only looks at a tab again does not put that off.
 *
 * @param {number} seconds
 */
function keepAlive(seconds) {
  timer ??= setInterval(async () => {
    if (!isActive) return;
    isActive = false;
    try {
      await request("PUT");
    } catch {
      isActive = true; // the next turn tries again; a session that has ended is asked for by the next call
    }
  }, seconds * 1000);
}

/**
 * @param {string} method
 * @param {unknown} [body]
 * @returns {Promise<Api.Session>}
 */
async function request(method, body) {
  const headers = { ...OWN_PAGE, ...(body ? { "Content-Type": "application/json" } : {}) };
  const answer = await reach("app/session", {
    method,
    headers,
    body: body ? JSON.stringify(body) : undefined,
    isUnasked: true, // a session needs no long work
  });
  if (answer.ok) return JSON.parse(answer.text);
  if (answer.status === 401) throw new Error("This token is invalid, expired or revoked.");
  throw new Error(readMessage(answer.text) || `The service answers ${answer.status}`);
}
