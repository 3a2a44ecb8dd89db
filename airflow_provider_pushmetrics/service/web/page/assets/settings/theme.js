// Light or dark, which the browser keeps for all its tabs.

import { APP } from "../http/addresses.js";

/** The service reads it (`service/web/pages.py`), so that a page has its colors from the beginning. */
const COOKIE = "pushmetrics_theme";
const YEAR_SECONDS = 365 * 24 * 3600;
export const SYSTEM = "light dark";

export const getTheme = () => document.documentElement.dataset.theme ?? SYSTEM;

/** @param {string} theme */
function showTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.querySelector("meta[name='color-scheme']")?.setAttribute("content", theme);
}

/**
 * Show a theme, and keep it.
 *
 * @param {string} theme
 */
export function setTheme(theme) {
  showTheme(theme);
  const secure = location.protocol === "https:" ? "; Secure" : "";
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API does not exist on plain HTTP in a network.
  document.cookie = `${COOKIE}=${theme}; Path=${APP.pathname}; Max-Age=${theme === SYSTEM ? 0 : YEAR_SECONDS}; SameSite=Lax${secure}`;
}

/** Show the theme that was chosen, perhaps in another tab. */
export function updateTheme() {
  const theme = new RegExp(`(?:^|; )${COOKIE}=(light|dark)(?:;|$)`).exec(document.cookie)?.[1] ?? SYSTEM;
  if (theme === getTheme()) return;
  showTheme(theme);
  /** @type {NodeListOf<HTMLInputElement>} */
  const choices = document.querySelectorAll("input[name='theme']");
  for (const choice of choices) choice.checked = choice.value === theme;
}
