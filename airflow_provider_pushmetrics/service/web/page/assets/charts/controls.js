// Controls of the chart's form. They have no names: what is typed and kept is the specification.

import { el, fill, makeId } from "../elements/dom.js";

/**
 * A control with its label.
 *
 * @template {HTMLInputElement | HTMLSelectElement} Input
 * @typedef {{ node: HTMLElement, label: HTMLLabelElement, input: Input }} Control
 */

/**
 * @template {HTMLInputElement | HTMLSelectElement} Input
 * @param {string} text
 * @param {Input} input
 * @returns {Control<Input>}
 */
function makeControl(text, input) {
  input.id = makeId("chart");
  const label = el("label", { for: input.id }, text);
  return { node: el("div", { class: "field" }, label, input), label, input };
}

/**
 * @param {string} text
 * @param {readonly Ui.Option[]} options
 */
export const makeChoice = (text, options) =>
  makeControl(
    text,
    el(
      "select",
      {},
      options.map(([value, name]) => el("option", { value }, name)),
    ),
  );

/**
 * @param {string} text
 * @param {Ui.Settings} settings
 */
export const makeInput = (text, settings) => makeControl(text, el("input", settings));

/** @param {string} text */
export function makeBox(text) {
  const control = makeControl(text, el("input", { type: "checkbox" }));
  control.node.classList.add("check");
  control.node.prepend(control.input);
  return control;
}

/**
 * Put controls beside each other.
 *
 * @param {...{ node: HTMLElement }} controls
 */
export const makeRow = (...controls) =>
  el(
    "div",
    { class: "row" },
    controls.map(({ node }) => node),
  );

/** Chooses a column: from a list if the columns of the query are known, and else it is typed. */
export class ColumnControl {
  #none;
  #choice;
  #text;
  #isChoice = false;
  #isRequired = false;
  /** @type {string[]} */
  #columns = [];

  /**
   * @param {string} text
   * @param {string} none What is chosen while there is no column.
   */
  constructor(text, none) {
    this.#none = none;
    this.#choice = makeChoice(text, []).input;
    this.#text = makeInput(text, { type: "text", autocapitalize: "off", spellcheck: "false" }).input;
    this.label = el("label", { for: this.#text.id }, text);
    this.node = el("div", { class: "field" }, this.label, this.#text);
  }

  get value() {
    return this.#input.value;
  }

  set value(column) {
    this.#text.value = column;
    this.#fill(column);
  }

  /** @param {boolean} isRequired */
  set required(isRequired) {
    this.#isRequired = isRequired;
    this.#input.required = isRequired;
  }

  /** @param {string[]} columns None if they are not known. */
  setColumns(columns) {
    const { value } = this;
    const hadFocus = this.#input === document.activeElement;
    this.#columns = columns;
    this.#isChoice = columns.length > 0;
    this.label.htmlFor = this.#input.id;
    fill(this.node, this.label, this.#input);
    this.value = value;
    this.required = this.#isRequired;
    if (hadFocus) this.#input.focus({ preventScroll: true });
  }

  get #input() {
    return this.#isChoice ? this.#choice : this.#text;
  }

  /** @param {string} value */
  #fill(value) {
    const missing = value !== "" && !this.#columns.includes(value);
    /** @type {Ui.Option[]} */
    const options = [["", this.#none], ...this.#columns.map((one) => /** @type {const} */ ([one, one]))];
    if (missing) options.push([value, `${value} (not in the result)`]);
    fill(
      this.#choice,
      options.map(([key, text]) => el("option", { value: key, selected: key === value }, text)),
    );
  }
}
