// Light or dark: as the system is, unless the reader has chosen otherwise in this browser.

import { el } from "../elements/dom.js";
import { icon } from "../elements/icons.js";
import { APP } from "../http/addresses.js";

/** The service reads it (`service/web/pages.py`), so that a page has its colors from the beginning. */
const COOKIE = "pushmetrics_theme";
const YEAR_SECONDS = 365 * 24 * 3600;

/** @type {readonly (readonly [theme: string, label: string, picture: import("../elements/icons.js").IconName])[]} */
const THEMES = [
  ["light dark", "System", "screen"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

const getTheme = () => document.documentElement.dataset.theme ?? THEMES[0][0];

/** @param {string} theme */
function setTheme(theme) {
  document.documentElement.dataset.theme = theme;
  document.querySelector("meta[name='color-scheme']")?.setAttribute("content", theme);
  const isSystem = theme === THEMES[0][0];
  const secure = location.protocol === "https:" ? "; Secure" : "";
  // biome-ignore lint/suspicious/noDocumentCookie: the Cookie Store API does not exist on plain HTTP in a network.
  document.cookie = `${COOKIE}=${theme}; Path=${APP.pathname}; Max-Age=${isSystem ? 0 : YEAR_SECONDS}; SameSite=Lax${secure}`;
}

/** Make the choice of the theme, which takes effect at once. */
export function makeAppearance() {
  return el(
    "fieldset",
    { class: "themes" },
    el("legend", {}, "Theme"),
    THEMES.map(([theme, label, picture]) =>
      el(
        "label",
        { class: "theme" },
        el("input", {
          type: "radio",
          name: "theme",
          value: theme,
          checked: theme === getTheme(),
          onchange: () => setTheme(theme),
        }),
        icon(picture),
        label,
      ),
    ),
    el("p", { class: "hint" }, "Stored in this browser only. System follows the setting of your device."),
  );
}

/** @type {Ui.Show} */
export const showAppearance = () => [
  el("h1", {}, "Appearance"),
  el("section", { class: "card" }, makeAppearance()),
];
