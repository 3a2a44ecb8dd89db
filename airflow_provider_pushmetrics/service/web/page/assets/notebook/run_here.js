// Running a notebook as a whole while one stays on its page.

import { listNames } from "../elements/format.js";
import { checkField, makeForm, textField } from "../elements/forms.js";
import { showDialog, tell } from "../elements/notices.js";
import { part } from "../http/addresses.js";
import { post } from "../http/api.js";

/**
 * Run a notebook with the values of the sidebar; null if it does not run. One that sends messages asks first.
 *
 * @param {Pick<Api.Report, "uid" | "name">} report
 * @param {readonly Api.Block[]} blocks
 * @param {Record<string, unknown>} parameters
 * @returns {Promise<number | null>}
 */
export async function runHere(report, blocks, parameters) {
  const start = async (/** @type {Ui.RunRequest} */ wanted) => {
    /** @type {{ result: { run_id: number } }} */
    const { result } = await post(`api/v1/report/${part(report.uid)}/run/noteflow`, wanted);
    return result.run_id;
  };
  const senders = blocks.filter(({ type }) => type === "email" || type === "slack");
  const run = senders.length
    ? await askAndStart(report, senders, (options) => start({ parameters, options }))
    : await start({ parameters });
  if (run !== null) tell(`Run ${run} has started`);
  return run;
}

/**
 * @param {Pick<Api.Report, "name">} report
 * @param {readonly Api.Block[]} senders
 * @param {(options: Ui.RunRequest["options"]) => Promise<number>} start
 * @returns {Promise<number | null>}
 */
function askAndStart(report, senders, start) {
  const names = listNames(senders.map(({ name }) => name));
  return showDialog(`Run ${report.name}`, (/** @type {Ui.Close<number>} */ close) =>
    makeForm({
      fields: [
        checkField("send_to_me", "Preview: send mails only to me, and no other messages", {
          hint: `It sends messages: ${names}.`,
        }),
        textField("email", "My address", { type: "email" }),
      ],
      submit: "Run",
      cancel: () => close(null),
      send: async ({ send_to_me, email }) =>
        close(await start(send_to_me || email ? { send_to_me, email: email || null } : undefined)),
    }),
  );
}
