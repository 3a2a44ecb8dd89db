// The draft of a form: putting it in, what the form says of it, and saving over what others have changed.

import { button } from "../elements/buttons.js";
import { el } from "../elements/dom.js";
import { moment } from "../elements/format.js";
import { confirmDiscard, confirmFirst } from "../elements/notices.js";
import { listDrafts, TypedText } from "./unsaved.js";

/**
 * Follow what is typed in a form, which has a draft if it names a thing.
 *
 * @param {HTMLFormElement} form
 * @param {Ui.FormSettings} settings
 */
export function followTyping(form, { thing = null, isNew = false }) {
  const typed = new TypedText(form, thing);
  const restored = typed.restore({ isNew });
  if (restored) form.prepend(makeDraftNote(typed, restored));
  return typed;
}

/**
 * Save the values of a form, unless they would replace what others have changed and one does not want that.
 *
 * @param {TypedText} typed
 * @param {Ui.Values} values
 * @param {Ui.FormSettings} settings
 */
export async function save(typed, values, { send, isOutdated }) {
  const sent = typed.read();
  const isNewer = typed.newer.length > 0 || (await isOutdated?.());
  if (isNewer && !(await confirmOverwrite())) return;
  let isAccepted = false;
  const accept = () => {
    isAccepted = true;
    return typed.accept(sent);
  };
  await send(values, accept);
  if (!isAccepted) accept();
}

/**
 * Say that a draft was restored, and what was changed on the server meanwhile.
 *
 * @param {TypedText} typed
 * @param {{ keptOn: number, gone: string[] }} restored
 */
function makeDraftNote(typed, { keptOn, gone }) {
  const { newer } = typed;
  /** @type {HTMLElement} */
  const node = el(
    "div",
    { class: "draft", role: "status" },
    el("p", {}, "Unsaved changes of ", moment(new Date(keptOn).toISOString()), " were restored."),
    gone.length > 0 && el("p", { class: "warning" }, `No longer available: ${gone.join(", ")}.`),
    newer.length > 0 && [
      el(
        "p",
        { class: "warning" },
        "This was changed on the server meanwhile. Saving overwrites those changes.",
      ),
      el(
        "details",
        {},
        el("summary", {}, "Show what the server has"),
        newer.map(({ label, text }) => [
          el("p", { class: "hint" }, label),
          el("pre", { class: "code" }, text),
        ]),
      ),
    ],
    button("Discard the draft", async () => {
      if (!(await confirmDiscard())) return;
      typed.discard();
      node.remove();
    }),
  );
  return node;
}

/** Ask before the changes of others are replaced; true if they are to be. */
const confirmOverwrite = () =>
  confirmFirst(
    "Overwrite the newer version?",
    "It was changed on the server since you began. Your version replaces those changes.",
    "Overwrite",
  );

/**
 * Ask before something runs as it is saved, and not as it stands in forms; true if it is to run.
 *
 * @param {string} beginning Of the names of what is typed there.
 */
export async function confirmRunOfSaved(beginning) {
  if (!listDrafts(beginning).length) return true;
  const text = "There are unsaved changes. The run uses what is saved.";
  return confirmFirst("Run without the unsaved changes?", text, "Run what is saved", "primary");
}
