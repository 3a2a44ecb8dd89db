// The webhook trigger of a report: its URL is hidden until somebody asks for it.

import { button } from "../elements/buttons.js";
import { arrange, el, fill } from "../elements/dom.js";
import { confirmFirst, copyText, tell } from "../elements/notices.js";
import { part } from "../http/addresses.js";
import { getList, getRow, post, put, remove } from "../http/api.js";
import { makeCallExamples } from "./trigger_examples.js";
import { makeTriggerHead } from "./trigger_head.js";
import { makeNotifications } from "./trigger_notifications.js";

/** The triggers of a report, in its sidebar or in its Schedule section. */
export class TriggerSection {
  node = el("div", {});
  #report;
  #context;
  /** @type {Api.Trigger[]} */
  #triggers = [];
  /** @type {Map<string, TriggerView>} */
  #views = new Map();
  #first;
  #calls;
  #list = el("div", {});

  /**
   * @param {Api.Report} report
   * @param {{ signal: AbortSignal, listExamples: () => Ui.Example[], calls: HTMLElement }} context
   */
  constructor(report, context) {
    this.#report = report;
    this.#context = context;
    this.#first = el(
      "div",
      {},
      el(
        "p",
        {},
        "A GET or POST to its URL starts a run: from Airflow, a pipeline, or another tool. Parameters are in the query string or in JSON.",
      ),
      button("Generate a trigger", () => this.#generate()),
    );
    this.#calls = el("div", {}, el("h3", {}, "Last calls"), context.calls);
    fill(this.node, this.#first, this.#list, this.#calls);
  }

  async read() {
    const { result } = await getList("api/v1/webhook/", {
      filters: [["report_id", "eq", this.#report.id]],
      size: 100,
      signal: this.#context.signal,
    });
    this.#triggers = result;
  }

  /** Show what was read; forms that are open stay. */
  draw() {
    const before = this.#views;
    this.#views = new Map();
    for (const trigger of this.#triggers) {
      const view = before.get(trigger.uid) ?? this.#makeView(trigger);
      view.update(trigger);
      this.#views.set(trigger.uid, view);
    }
    arrange(
      this.#list,
      [...this.#views.values()].map((view) => view.node),
    );
    this.#first.hidden = this.#triggers.length > 0;
    this.#calls.hidden = !this.#triggers.length;
  }

  /** Show other values in the examples of calls. */
  updateExamples() {
    for (const view of this.#views.values()) view.updateExamples();
  }

  /** @param {Api.Trigger} trigger */
  #makeView(trigger) {
    const isOpen = this.#report.type === "report";
    return new TriggerView(trigger, { ...this.#context, isOpen, whenChanged: () => this.#update() });
  }

  async #update() {
    await this.read();
    this.draw();
  }

  async #generate() {
    await post("api/v1/webhook/", { report_id: this.#report.id, active: true });
    await this.#update();
    this.#list.querySelector("button")?.focus();
    tell("The trigger is ready");
  }
}

class TriggerView {
  #trigger;
  #path;
  #whenChanged;
  #head;
  #examples;
  node;

  /**
   * @param {Api.Trigger} trigger
   * @param {{ listExamples: () => Ui.Example[], isOpen: boolean, whenChanged: () => Promise<void> }} settings
   */
  constructor(trigger, { listExamples, isOpen, whenChanged }) {
    this.#trigger = trigger;
    this.#path = `api/v1/webhook/${part(trigger.uid)}`;
    this.#whenChanged = whenChanged;
    const panel = el(
      "div",
      { class: "trigger-settings", hidden: !isOpen },
      el("h3", {}, "Notifications"),
      makeNotifications(trigger, this.#path),
      el(
        "div",
        { class: "actions spread" },
        button("Refresh token", () => this.#refresh()),
        button("Delete", () => this.#delete(), { kind: "danger", "aria-label": "Delete the trigger" }),
      ),
    );
    if (panel.querySelector(".draft")) panel.hidden = false;
    this.#head = makeTriggerHead({
      getUrl: () => this.#getUrl(),
      toggle: () => this.#toggle(),
      panel: isOpen ? null : panel,
    });
    this.#examples = makeCallExamples({
      listExamples,
      copy: async (write) => copyText(write(await this.#getUrl()), "Command"),
    });
    this.node = el("div", { class: "trigger" }, this.#head.node, panel, this.#examples.node);
  }

  /** @param {Api.Trigger} trigger */
  update(trigger) {
    this.#trigger = trigger;
    this.#head.update(trigger.active);
    this.#examples.update();
  }

  updateExamples() {
    this.#examples.update();
  }

  async #getUrl() {
    /** @type {Api.Trigger} */
    const { url } = await getRow(this.#path);
    if (!url) throw new Error("Your role may not see the URL.");
    return url;
  }

  async #toggle() {
    const { active } = this.#trigger;
    await put(this.#path, { active: !active });
    await this.#whenChanged();
    tell(active ? "The trigger is disabled: calls of its URL are refused" : "The trigger is enabled");
  }

  async #refresh() {
    const text = "It gets a new URL. The old one stops working at once.";
    if (!(await confirmFirst("Refresh the token?", text, "Refresh"))) return;
    await put(this.#path, { refresh_token: true });
    this.#head.hide();
    tell("The trigger has a new URL");
  }

  async #delete() {
    if (!(await confirmFirst("Delete the trigger?", "Its URL stops working at once.", "Delete"))) return;
    await remove(this.#path);
    await this.#whenChanged();
    tell("The trigger is deleted");
  }
}
