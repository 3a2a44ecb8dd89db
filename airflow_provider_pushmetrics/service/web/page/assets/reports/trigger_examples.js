// How a trigger is called from a shell, with the parameters of its report.

import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { writeGet, writePost } from "../notebook/curl.js";

const HIDDEN_URL = "••••••••";

/**
 * Make the examples. They hide the URL, and what is copied has it.
 *
 * @param {{ listExamples: () => Ui.Example[], copy: (write: (url: string) => string) => Promise<void> }} settings
 */
export function makeCallExamples({ listExamples, copy }) {
  const calls = /** @type {const} */ ([
    ["GET", writeGet],
    ["POST", writePost],
  ]).map(([method, write]) => {
    const code = el("code", {});
    const node = el(
      "div",
      { class: "example" },
      el(
        "div",
        { class: "block-head" },
        el("span", { class: "kind" }, method),
        el(
          "div",
          { class: "actions end" },
          button("Copy", () => copy((url) => write(url, listExamples())), {
            "aria-label": `Copy the call by ${method}`,
          }),
        ),
      ),
      el("pre", { class: "code", tabindex: "0", role: "region", "aria-label": `Call by ${method}` }, code),
    );
    return { node, update: () => fill(code, write(HIDDEN_URL, listExamples())) };
  });
  return {
    node: el(
      "details",
      { class: "examples" },
      el("summary", {}, "Call it with curl"),
      calls.map(({ node }) => node),
    ),
    update() {
      for (const call of calls) call.update();
    },
  };
}
