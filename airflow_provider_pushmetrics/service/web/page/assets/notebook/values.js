// The values of the parameters with which one runs on the page of a report. They are kept as a draft.

import { TypedText } from "../drafts/unsaved.js";
import { button } from "../elements/buttons.js";
import { el, fill } from "../elements/dom.js";
import { isolate } from "../elements/format.js";
import { writeValue } from "../runs/parameter_values.js";
import { makeParameterField } from "../runs/run_form.js";

export class ParameterValues {
  node = el("div", {});
  #report;
  /** @type {{ block: Api.Block, field: Ui.ParameterField }[]} */
  #fields = [];
  #look = "";
  #turn = 0;
  #signal;
  #whenChanged;

  /**
   * @param {{ uid: string }} report
   * @param {AbortSignal} signal
   * @param {() => void} whenChanged
   */
  constructor(report, signal, whenChanged) {
    this.#report = report;
    this.#signal = signal;
    this.#whenChanged = whenChanged;
  }

  /**
   * Make the fields of a report's parameters; `draw` shows them.
   *
   * @param {Api.Block[]} blocks
   */
  async read(blocks) {
    const parameters = blocks.filter((block) => block.type === "parameter");
    this.#turn += 1;
    const turn = this.#turn;
    const made = await Promise.all(
      parameters.map(async (block) => ({
        block,
        field: await makeParameterField(block, undefined, this.#signal),
      })),
    );
    if (turn !== this.#turn) return;
    this.#look = describe(blocks);
    this.#fields = made;
  }

  /**
   * Show the fields of other parameters, if they are others.
   *
   * @param {Api.Block[]} blocks
   */
  async update(blocks) {
    if (describe(blocks) === this.#look) return;
    await this.read(blocks);
    this.draw();
  }

  /** Show the fields, with the values that were typed before. */
  draw() {
    if (!this.#fields.length) {
      fill(
        this.node,
        el(
          "p",
          { class: "hint" },
          "It has no parameters. Add a Parameter block for a value that each run can set.",
        ),
      );
      return;
    }
    const lost = el("p", { class: "warning", role: "status", hidden: true });
    /** @param {string[]} gone */
    const sayLost = (gone) => {
      lost.textContent = gone.length ? `No longer available: ${gone.join(", ")}.` : "";
      lost.hidden = !gone.length;
    };
    const discard = () => {
      typed.discard();
      sayLost([]);
    };
    const form = el(
      "form",
      { class: "stack", "aria-label": "Parameters" },
      lost,
      this.#fields.map(({ field }) => field.node),
      el("div", { class: "actions" }, button("Use the defaults", discard, { kind: "quiet reads" })),
    );
    form.addEventListener("submit", (event) => event.preventDefault());
    const typed = new TypedText(form, `report/${this.#report.uid}/parameters`);
    sayLost(typed.restore({ isNew: true, isOfDefaults: true })?.gone ?? []);
    for (const name of ["input", "change"]) form.addEventListener(name, () => this.#whenChanged());
    fill(this.node, form);
  }

  /** The values that differ from the defaults, right or wrong. */
  get given() {
    const values = this.#fields.map(({ field }) => [field.name, field.getValue()]);
    return Object.fromEntries(values.filter(([, value]) => value !== undefined));
  }

  /** Check the values, and give those that differ from the defaults; a wrong one is shown in its field, and thrown. */
  check() {
    const around = this.node.closest("details");
    for (const { field } of this.#fields) {
      const fault = field.check();
      if (!fault) continue;
      if (around) around.open = true; // a folded field cannot have the focus
      const marked = field.node instanceof HTMLElement && field.node.querySelector('[aria-invalid="true"]');
      if (marked instanceof HTMLElement) marked.focus();
      throw new Error(fault);
    }
    return this.given;
  }

  /**
   * List the parameters that had other values in a run, with them.
   *
   * @param {Record<string, unknown>} given
   * @param {readonly string[]} names Of the parameters that matter.
   */
  listDiffering(given, names) {
    return this.#fields.flatMap(({ block: { name, content }, field }) => {
      if (!names.includes(name)) return [];
      const value = field.getValue();
      const mine = writeValue(content, value === undefined ? content.default : value);
      const its = writeValue(content, name in given ? given[name] : content.default);
      return mine === its ? [] : [`${isolate(name)} ${isolate(its || "empty")}`];
    });
  }

  /**
   * The values as they stand in the fields, for examples of calls; those that have none and need none are left out.
   *
   * @returns {Ui.Example[]}
   */
  listExamples() {
    return this.#fields.flatMap(({ block: { name, content }, field }) => {
      const given = field.getValue();
      const value = (given === undefined ? content.default : given) ?? (content.required ? "VALUE" : null);
      return value === null ? [] : [{ name, value, text: writeValue(content, value) }];
    });
  }
}

/** @param {Api.Block[]} blocks */
const describe = (blocks) =>
  JSON.stringify(
    blocks
      .filter((one) => one.type === "parameter")
      .map((one) => [one.uid, one.name, one.verbose_name, one.content_json]),
  );
