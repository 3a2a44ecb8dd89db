// The log of a run, which grows while the run goes on.

import { el } from "../elements/dom.js";
import { moment } from "../elements/format.js";
import { getList } from "../http/api.js";

/**
 * Append the lines that are new.
 *
 * @param {Ui.RunView} view
 * @param {Api.Run} run
 * @param {Ui.CallSettings} settings
 */
export async function updateLog(view, run, { signal, isUnasked }) {
  /** @type {Api.Filter[]} */
  const filters = [
    ["noteflow_run_id", "eq", run.id],
    ["id", "gt", view.lastLine],
  ];
  const { result } = await getList("api/v1/noteflow_run_log/", { filters, size: 1000, signal, isUnasked });
  for (const line of result) {
    view.log.append(
      el(
        "li",
        { class: line.effective_level.toLowerCase() },
        moment(line.created_on),
        " ",
        el("span", { class: "level" }, line.effective_level),
        " ",
        line.message,
      ),
    );
    view.lastLine = line.id;
  }
}
