// The card that tells how an endpoint verifies what it is sent, with code to copy.

import { button } from "../elements/buttons.js";
import { card, el, fill } from "../elements/dom.js";
import { copyText } from "../elements/notices.js";
import { listSamples, SIGNATURE_HEADERS } from "./verify_code.js";

/**
 * @param {Api.Subscription} row
 * @param {() => unknown} rotate
 */
export function makeVerifyCard(row, rotate) {
  const samples = listSamples(row);
  const own = Object.keys(row.headers);
  const code = el("pre", { class: "code folded", tabindex: "0" });
  const choices = samples.map(([name, text]) =>
    el("button", { type: "button", class: "choice reads", onclick: () => choose(name, text) }, name),
  );
  let shown = ["", ""];
  /**
   * @param {string} name
   * @param {string} text
   */
  const choose = (name, text) => {
    shown = [name, text];
    fill(code, text);
    code.setAttribute("aria-label", `Code for ${name}`);
    for (const one of choices) one.setAttribute("aria-pressed", String(one.textContent === name));
  };
  choose(...samples[0]);
  return card(
    "Verify the signature",
    el(
      "p",
      { class: "hint" },
      "Each event is signed with the secret of this webhook, in the headers ",
      separate(SIGNATURE_HEADERS.map((name) => el("code", {}, name))),
      own.length > 0 && [". It also has ", separate(own.map((name) => el("code", {}, name)))],
      ". The secret was shown when the webhook was created, and cannot be shown again.",
    ),
    el(
      "div",
      { class: "sample-tools" },
      el("div", { class: "choices", role: "group", "aria-label": "Language" }, choices),
      button("Copy the code", () => copyText(shown[1], `The code for ${shown[0]}`), { kind: "quiet reads" }),
      button("Rotate secret", rotate),
    ),
    code,
  );
}

/** @param {HTMLElement[]} nodes */
const separate = (nodes) => nodes.flatMap((node, index) => (index ? [", ", node] : [node]));
