// The element `sql-editor`: CodeMirror in a shadow root, where its style sheets need no exception from the policy.

import { el } from "../elements/dom.js";
import { Compartment, EditorState, EditorView } from "../vendored/codemirror.js";
import { findChange } from "./sql_changes.js";
import { findErrorLine, shortenError } from "./sql_errors.js";
import { makeExtensions, makeLanguage } from "./sql_extensions.js";
import { markError } from "./sql_marks.js";
import { getSettings, setOpenEditor } from "./sql_registry.js";

const KEYS = "Tab indents; Escape, then Tab, leaves the editor. Ctrl+Enter tries the SQL of a saved block.";

class SqlEditor extends HTMLElement {
  /** @type {EditorView | null} */
  #view = null;
  #isWriting = false;
  #leave = new AbortController();

  connectedCallback() {
    if (this.#view) return; // it was moved
    this.#leave = new AbortController();
    const settings = getSettings(this);
    const { input } = settings;
    const root = this.shadowRoot ?? this.attachShadow({ mode: "open" });
    const help = el("p", { id: "help", hidden: true }, KEYS);
    // The form hears of a change by the event of its textarea, once.
    const place = el("div", { oninput: (/** @type {Event} */ event) => event.stopPropagation() });
    root.replaceChildren(help, place);
    const language = new Compartment();
    const hadFocus = document.activeElement === input;
    const view = new EditorView({
      parent: place,
      root,
      state: EditorState.create({
        doc: input.value,
        selection: { anchor: input.selectionStart, head: input.selectionEnd },
        extensions: [
          language.of(makeLanguage(settings)),
          makeExtensions(settings),
          EditorView.updateListener.of((update) => update.docChanged && this.#write(input)),
        ],
      }),
    });
    this.#view = view;
    this.#takeOver(input, view);
    settings.choice?.addEventListener(
      "change",
      () => view.dispatch({ effects: language.reconfigure(makeLanguage(settings)) }),
      { signal: this.#leave.signal },
    );
    setOpenEditor(input, {
      insert: (text) => insert(view, text),
      showFailure: (failure) => markError(view, failure && locate(failure, settings)),
    });
    if (hadFocus) view.focus();
  }

  disconnectedCallback() {
    queueMicrotask(() => {
      if (!this.isConnected) this.#close();
    });
  }

  /**
   * The textarea keeps the value; the hand and the screen reader are led to the editor.
   *
   * @param {HTMLTextAreaElement} input
   * @param {EditorView} view
   */
  #takeOver(input, view) {
    const { signal } = this.#leave;
    input.classList.add("unseen");
    input.setAttribute("aria-hidden", "true");
    input.tabIndex = -1;
    const message = el("p", { class: "fault", role: "alert", hidden: true });
    this.after(message);
    signal.addEventListener("abort", () => message.remove());
    input.addEventListener(
      "input",
      () => {
        message.hidden = true;
        this.#read(input, view);
      },
      { signal },
    );
    input.addEventListener("focus", () => leadFocus(input, view), { signal });
    input.addEventListener(
      "invalid",
      (event) => {
        event.preventDefault(); // its bubble would stand at an element that nobody sees
        message.textContent = input.validationMessage;
        message.hidden = false;
        view.focus();
      },
      { signal },
    );
  }

  /** @param {HTMLTextAreaElement} input */
  #write(input) {
    const text = this.#view?.state.doc.toString() ?? "";
    if (input.value === text) return;
    this.#isWriting = true;
    input.value = text;
    input.dispatchEvent(new Event("input", { bubbles: true }));
    this.#isWriting = false;
  }

  /**
   * @param {HTMLTextAreaElement} input
   * @param {EditorView} view
   */
  #read(input, view) {
    const text = view.state.doc.toString();
    if (this.#isWriting || input.value === text) return;
    view.dispatch({ changes: findChange(text, input.value) });
  }

  #close() {
    const { input } = getSettings(this);
    this.#leave.abort();
    setOpenEditor(input, null);
    input.classList.remove("unseen");
    input.removeAttribute("aria-hidden");
    input.removeAttribute("tabindex");
    this.#view?.destroy();
    this.#view = null;
  }
}

/**
 * @param {HTMLTextAreaElement} input
 * @param {EditorView} view
 */
function leadFocus(input, view) {
  const { length } = view.state.doc;
  // Who selects the whole text of the field means the whole text.
  if (length && input.selectionStart === 0 && input.selectionEnd === input.value.length) {
    view.dispatch({ selection: { anchor: 0, head: length } });
  }
  view.focus();
}

/**
 * @param {EditorView} view
 * @param {string} text
 */
function insert(view, text) {
  view.dispatch(view.state.replaceSelection(text), { scrollIntoView: true, userEvent: "input.complete" });
  view.focus();
}

/**
 * @param {{ error: string, sql: string }} failure
 * @param {Ui.SqlSettings} settings
 */
function locate({ error, sql }, { listBlocks }) {
  const queries = listBlocks().flatMap(({ name, type }) => (type === "parameter" ? [] : [name]));
  const line = findErrorLine(error, sql, queries);
  return line === null ? null : { line, text: shortenError(error) };
}

customElements.define("sql-editor", SqlEditor);
