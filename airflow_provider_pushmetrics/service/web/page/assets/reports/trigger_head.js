// The URL of a trigger, hidden until somebody asks for it, and whether calls are accepted.

import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { state } from "../elements/format.js";
import { copyText } from "../elements/notices.js";

const HIDDEN = "••••••••••••••••••••••••";

/**
 * @param {{ getUrl: () => Promise<string>, toggle: () => Promise<void>, panel: HTMLElement | null }} settings `panel`
 *   is what the button Edit opens.
 */
export function makeTriggerHead({ getUrl, toggle, panel }) {
  const input = el("input", { type: "text", class: "code", readOnly: true });
  input.addEventListener("focus", () => input.select());
  const show = button("Show", async () => (input.value === HIDDEN ? display(await getUrl()) : hide()));
  /** @param {string} url */
  function display(url) {
    input.value = url;
    input.setAttribute("aria-label", "Trigger URL");
    show.textContent = "Hide";
  }
  function hide() {
    input.value = HIDDEN;
    input.setAttribute("aria-label", "Trigger URL, hidden");
    show.textContent = "Show";
  }
  hide();
  const status = el("span", {});
  const change = button("Disable", toggle);
  const edit = panel && makeEditButton(panel);
  const node = el(
    "div",
    {},
    el("div", { class: "block-head" }, status, el("div", { class: "actions end" }, change)),
    input,
    el(
      "div",
      { class: "actions trigger-url" },
      show,
      button("Copy URL", async () => copyText(await getUrl(), "Trigger URL")),
      edit,
    ),
    el("p", { class: "hint" }, "Whoever has the URL can start runs: keep it like a password."),
  );
  return {
    node,
    hide,
    /** @param {boolean} isActive */
    update(isActive) {
      fill(status, state(isActive ? "enabled" : "disabled"));
      change.textContent = isActive ? "Disable" : "Enable";
    },
  };
}

/** @param {HTMLElement} panel */
function makeEditButton(panel) {
  const edit = button(
    "Edit",
    () => {
      panel.hidden = !panel.hidden;
      edit.setAttribute("aria-expanded", String(!panel.hidden));
      if (!panel.hidden) panel.querySelector("textarea")?.focus();
    },
    { "aria-label": "Edit the webhook", "aria-expanded": String(!panel.hidden) },
  );
  return edit;
}
