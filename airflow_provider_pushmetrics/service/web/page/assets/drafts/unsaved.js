// What was typed in the forms of this page and is not saved, and what would be lost if the page ended.

import { ROOT } from "../http/addresses.js";
import { Drafts, findChanged, isSame, pickTyped } from "./drafts.js";
import { findLabel, listSecrets, readTexts, writeTexts } from "./form_texts.js";

/** Marks what must not go away by a key or by leaving the page, such as a secret that is shown once. */
export const ONCE = "data-once";

let drafts = new Drafts(null, { place: "", user: "", workspace: "" });
/** @type {WeakMap<Element, TypedText>} */
const typed = new WeakMap();
let isGuarding = true;

/**
 * Keep drafts for a user from now on, and ask before the page ends if something would be lost.
 *
 * @param {{ user: string, workspace: string }} owner
 */
export function openDrafts({ user, workspace }) {
  drafts = new Drafts(findStorage(), { place: ROOT.pathname, user, workspace });
  drafts.removeOld(Date.now());
  window.addEventListener("beforeunload", (event) => {
    if (isGuarding && (hasRisk() || drafts.findUnstored().length)) event.preventDefault();
  });
  window.addEventListener("storage", (event) => {
    if (event.key === drafts.endKey) drafts.detach();
  });
}

/** Remove all drafts of the user; the page ends without a question. */
export function removeDrafts() {
  isGuarding = false;
  drafts.removeAll();
}

/** Count the drafts that `removeDrafts` removes. */
export const countDrafts = () => drafts.countAll();

/** @type {(beginning?: string) => string[]} */
export const listDrafts = (beginning) => drafts.list(beginning);

/**
 * Remove all drafts whose names begin like this, because what they are of was deleted.
 *
 * @param {string} beginning
 */
export function removeDraftsOf(beginning) {
  for (const draftName of drafts.list(beginning)) drafts.remove(draftName);
}

/** @type {(draftName: string) => boolean} */
export const hasDraft = (draftName) => drafts.find(draftName) !== null;

/**
 * Remove a draft, to store it under another name.
 *
 * @param {string} draftName
 * @returns {(other: string) => void}
 */
export function moveDraft(draftName) {
  const draft = drafts.find(draftName);
  drafts.remove(draftName);
  return (other) => draft && drafts.keep(other, draft);
}

/** Tell whether leaving would lose what no draft has: a form without drafts, or a secret that is shown once. */
export function hasRisk() {
  return (
    document.querySelector(`[${ONCE}]`) !== null ||
    [...document.forms].some((form) => typed.get(form)?.isAtRisk)
  );
}

/**
 * Tell whether something was typed in a form within an element, and not saved.
 *
 * @param {Element} element
 */
export const isTouched = (element) =>
  [...element.querySelectorAll("form")].some((form) => typed.get(form)?.isTouched);

/**
 * Discard what was typed in the forms within an element, with its drafts.
 *
 * @param {Element} element
 */
export function discardTyped(element) {
  for (const form of element.querySelectorAll("form")) typed.get(form)?.discard();
}

function findStorage() {
  try {
    return window.localStorage;
  } catch {
    return null; // the browser forbids it
  }
}

/** What is typed in one form. */
export class TypedText {
  #form;
  #draftName;
  #base;
  /** What was saved when the draft was begun, if it is not what is saved now. */
  #begun;
  #isRestoring = false;

  /**
   * @param {HTMLFormElement} form With what is saved in its fields.
   * @param {string | null} draftName The name of the draft, if one is kept.
   */
  constructor(form, draftName) {
    this.#form = form;
    this.#draftName = draftName;
    this.#base = readTexts(form);
    this.#begun = this.#base;
    typed.set(form, this);
    for (const name of ["input", "change"]) form.addEventListener(name, () => this.keep());
  }

  get isTouched() {
    return !isSame(readTexts(this.#form), this.#base);
  }

  get isAtRisk() {
    return this.#draftName === null && this.isTouched;
  }

  /** The fields that were changed on the server since the draft was begun, with what stands there now. */
  get newer() {
    return Object.keys(this.#begun)
      .filter((name) => this.#begun[name] !== this.#base[name])
      .map((name) => ({ label: findLabel(this.#form, name), text: this.#base[name] ?? "" }));
  }

  /** Keep a draft of what stands in the form. */
  keep() {
    if (this.#draftName === null || this.#isRestoring) return;
    const texts = readTexts(this.#form);
    if (isSame(texts, this.#base)) return drafts.remove(this.#draftName);
    drafts.keep(this.#draftName, {
      texts,
      base: this.#begun,
      secrets: listSecrets(this.#form),
      kept_on: Date.now(),
    });
  }

  /**
   * Put the draft into the form, if there is one; `isOfDefaults` leaves fields as they are in which nothing was typed.
   *
   * @param {{ isNew: boolean, isOfDefaults?: boolean }} settings
   * @returns {{ keptOn: number, gone: string[] } | null} With the labels of fields whose choice is no more.
   */
  restore({ isNew, isOfDefaults = false }) {
    const draft = this.#draftName === null ? null : drafts.find(this.#draftName);
    if (!draft || this.#draftName === null) return null;
    const texts = { ...this.#base, ...(isOfDefaults ? pickTyped(draft) : draft.texts) };
    if (isSame(texts, this.#base)) {
      drafts.remove(this.#draftName);
      return null;
    }
    if (!isNew) this.#begun = { ...this.#base, ...draft.base };
    // Nobody has typed this here: the draft keeps its age, and another tab can still discard it.
    this.#isRestoring = true;
    writeTexts(this.#form, texts);
    this.#isRestoring = false;
    const gone = findChanged(readTexts(this.#form), texts).map((name) => findLabel(this.#form, name));
    return { keptOn: draft.kept_on, gone };
  }

  /** Read what is about to be saved, for `accept`. */
  read() {
    return readTexts(this.#form);
  }

  /**
   * Take what was sent as saved; tell whether nothing was typed since.
   *
   * @param {Ui.Texts} sent
   */
  accept(sent) {
    this.#base = sent;
    this.#begun = sent;
    this.keep();
    return !this.isTouched;
  }

  /** Put what is saved into the form again. */
  discard() {
    this.#begun = this.#base;
    if (this.#draftName !== null) drafts.remove(this.#draftName);
    writeTexts(this.#form, this.#base);
  }
}
