// A report as YAML: reading it, and applying another one after a look at the difference.

import { button } from "../elements/buttons.js";
import { card, el, fill } from "../elements/dom.js";
import { listNames } from "../elements/format.js";
import { areaField, checkField, makeForm, readValues } from "../elements/forms.js";
import { tell } from "../elements/notices.js";
import { reload } from "../elements/router.js";
import { locate, part } from "../http/addresses.js";
import { call, get } from "../http/api.js";

/**
 * @param {Api.Report} report
 * @param {AbortSignal} signal
 */
export async function showYaml(report, signal) {
  const path = `api/v1/report/${part(report.uid)}/config`;
  /** @type {string} */
  let known = await get(path, { signal });
  const document = areaField("document", "YAML", {
    value: known,
    rows: 18,
    isCode: true,
    required: true,
  });
  const prune = checkField("prune", "Delete blocks that are not in it", { checked: true });
  const difference = el("div", { "aria-live": "polite" });
  /**
   * @param {Ui.Values} values
   * @param {boolean} isTrial
   * @returns {Promise<{ result: Api.ConfigChange }>}
   */
  const apply = (values, isTrial) =>
    call("PUT", path, { text: values.document, query: { prune: values.prune, dry_run: isTrial } });
  const form = makeForm({
    thing: `report/${report.uid}/yaml`,
    isOutdated: async () => (await get(path)) !== known,
    fields: [document, prune, { node: difference }],
    submit: "Apply",
    more: [
      button("Show changes", async () => {
        const sent = readValues([document, prune]);
        const { result } = await apply(sent, true);
        const isSame = document.read() === sent.document && prune.read() === sent.prune;
        fill(difference, isSame ? showDifference(result) : showMissed());
      }),
    ],
    async send(values, accept) {
      const { result } = await apply(values, false);
      if (accept()) await reload();
      else known = await get(path);
      tell(["The YAML is applied", ...(result.warnings ?? [])].join(". Warning: "));
    },
  });
  const name = `${report.name.replace(/[^\w-]+/g, "-")}.yaml`;
  return card(
    "The report as YAML",
    el(
      "p",
      { class: "hint" },
      "It contains names of databases and no secrets, so that it can be stored with your code and applied elsewhere. ",
      el("a", { href: locate(path).href, download: name }, "Download"),
    ),
    form,
  );
}

/** @returns {Ui.Child} */
const showMissed = () =>
  el("p", { class: "hint" }, "The form was changed while the service answered. Show the changes again.");

/**
 * @param {Api.ConfigChange} change
 * @returns {Ui.Child}
 */
function showDifference({ would_change: changes, summary, yaml_diff: text, warnings = [] }) {
  const warned = warnings.map((warning) => el("p", { class: "hint" }, `Warning: ${warning}`));
  if (!changes) return [el("p", { class: "hint" }, "Nothing would change."), warned];
  /** @type {[string, string[]][]} */
  const all = [
    ["New", summary.blocks_created],
    ["Changed", summary.blocks_updated],
    ["Deleted", summary.blocks_deleted],
  ];
  const parts = all.filter(([, names]) => names.length);
  /** @type {Record<string, string>} */
  const kinds = { "+": "added", "-": "taken" };
  return [
    warned,
    el(
      "ul",
      {},
      parts.map(([label, names]) => el("li", {}, `${label}: ${listNames(names)}`)),
    ),
    el(
      "pre",
      { class: "code diff" },
      text.split("\n").map((line) => el("span", { class: kinds[line[0]] }, `${line}\n`)),
    ),
  ];
}
