// Light or dark: as the system is, unless the reader has chosen otherwise in this browser.

import { el } from "../elements/dom.js";
import { icon } from "../elements/icons.js";
import { getTheme, SYSTEM, setTheme } from "./theme.js";

/** @type {readonly (readonly [theme: string, label: string, picture: import("../elements/icons.js").IconName])[]} */
const THEMES = [
  [SYSTEM, "System", "screen"],
  ["light", "Light", "sun"],
  ["dark", "Dark", "moon"],
];

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
