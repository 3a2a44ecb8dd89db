// What the pages in Airflow share. What came from outside is only ever set as text.

/**
 * Find an element that is always there.
 *
 * @template {HTMLElement} Kind
 * @param {string} id
 * @param {new () => Kind} kind
 */
export function find(id, kind) {
  const element = document.getElementById(id);
  if (element instanceof kind) return element;
  throw new Error(`The page has no ${kind.name} ${id}`);
}

/**
 * Make an element. Texts among the children stay texts.
 *
 * @template {keyof HTMLElementTagNameMap} Name
 * @param {Name} name
 * @param {Record<string, string>} attributes
 * @param {(Node | string | false | null | undefined)[]} children
 */
export function el(name, attributes, ...children) {
  const element = document.createElement(name);
  for (const [key, value] of Object.entries(attributes)) element.setAttribute(key, value);
  for (const child of children) if (child || child === "") element.append(child);
  return element;
}

/**
 * @template Answer
 * @param {string} path
 * @param {RequestInit} options
 * @returns {Promise<Answer>}
 */
export async function ask(path, options = {}) {
  const answer = await fetch(path, { ...options, headers: { "X-PushMetrics-Page": "1" } });
  const content = await answer.json().catch(() => ({}));
  if (answer.ok) return content;
  throw new Error(describeRefusal(answer.status, content.message ?? content.detail));
}

/**
 * @param {number} status
 * @param {unknown} message
 */
function describeRefusal(status, message) {
  if (status === 401) return "Your login has ended. Reload the page to sign in again.";
  if (status === 403)
    return "You may not see this in Airflow: it needs the right to read the task, its XComs and its logs.";
  return typeof message === "string" ? message : `The server answered ${status}.`;
}

/**
 * Make the page say what went wrong, or nothing.
 *
 * @param {unknown} error
 */
export function showProblem(error) {
  const problem = find("problem", HTMLElement);
  problem.textContent = error ? (error instanceof Error ? error.message : String(error)) : "";
  problem.hidden = !error;
}

/**
 * A moment in the reader's zone and in the form of ISO 8601, as Airflow shows it; its title is the exact one.
 *
 * @param {string} moment In ISO 8601.
 */
export function makeTime(moment) {
  const date = new Date(moment);
  const isKnown = !Number.isNaN(date.getTime());
  return el("time", { datetime: moment, title: moment }, isKnown ? date.toLocaleString("sv") : moment);
}

/**
 * Make a link that leaves Airflow's frame, which may not leave its page by itself; the page around it may.
 *
 * @param {string} href
 * @param {string} text
 * @param {{ title?: string, opensTab?: boolean }} options
 */
export function makeLink(href, text, { title = "", opensTab = false } = {}) {
  const link = el("a", { href, ...(title && { title }) }, text);
  if (opensTab) Object.assign(link, { target: "_blank", rel: "noopener noreferrer" });
  link.addEventListener("click", (click) => {
    if (window.parent === window) return;
    click.preventDefault();
    const outside = window.parent.document.createElement("a");
    Object.assign(outside, { href: link.href, target: link.target, rel: link.rel });
    outside.click();
  });
  return link;
}

/** Follow the light or dark colors that are chosen in Airflow; the system's, outside of Airflow's frame. */
export function followTheme() {
  if (window.parent === window) return;
  const airflow = window.parent.document.documentElement;
  const follow = () => {
    document.documentElement.dataset.theme = airflow.classList.contains("dark") ? "dark" : "light";
    const back = getComputedStyle(window.parent.document.body).backgroundColor;
    if (back.startsWith("rgb(")) document.documentElement.style.setProperty("--back", back);
  };
  follow();
  new MutationObserver(follow).observe(airflow, { attributes: true, attributeFilter: ["class"] });
}

/** Whether the page is dark. */
export function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}
