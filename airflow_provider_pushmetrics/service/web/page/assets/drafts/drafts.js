// Drafts: what was typed and not yet saved. This page's memory has all of it; the browser's storage, which survives
// a reload, has it without secrets.

import { hasSecret, isSecretName } from "./secret_texts.js";

const PREFIX = "pushmetrics-draft";
const KEPT_MILLISECONDS = 30 * 24 * 3600 * 1000;

/**
 * Tell whether two sets of texts are the same.
 *
 * @param {Ui.Texts} one
 * @param {Ui.Texts} other
 */
export const isSame = (one, other) => findChanged(one, other).length === 0;

/**
 * List the fields whose texts differ; one that is missing differs from any text.
 *
 * @param {Ui.Texts} one
 * @param {Ui.Texts} other
 */
export function findChanged(one, other) {
  const names = new Set([...Object.keys(one), ...Object.keys(other)]);
  return [...names].filter((name) => one[name] !== other[name]);
}

/**
 * Keep of a draft what was typed, and not what only stood beside it. The boxes of one name, which have their values in
 * their keys, are one field.
 *
 * @param {Pick<Ui.Draft, "texts" | "base">} draft
 * @returns {Ui.Texts}
 */
export function pickTyped({ texts, base }) {
  const getField = (/** @type {string} */ name) => name.split("=", 1)[0];
  const fields = new Set(findChanged(texts, base).map(getField));
  return Object.fromEntries(Object.entries(texts).filter(([name]) => fields.has(getField(name))));
}

/**
 * Leave out of a draft what must not be stored.
 *
 * @param {Ui.Draft} draft
 * @returns {Ui.Draft}
 */
export function withoutSecrets(draft) {
  const isSecret = (/** @type {string} */ name) =>
    draft.secrets.includes(name) ||
    isSecretName(name) ||
    hasSecret(draft.texts[name] ?? "") ||
    hasSecret(draft.base[name] ?? "");
  const clean = (/** @type {Ui.Texts} */ texts) =>
    Object.fromEntries(Object.entries(texts).filter(([name]) => !isSecret(name)));
  return { ...draft, texts: clean(draft.texts), base: clean(draft.base) };
}

/** The drafts of one user in one workspace. */
export class Drafts {
  /** @type {Map<string, Ui.Draft>} */
  #memory = new Map();
  #storage;
  #user;
  #prefix;
  /** The key whose change tells other tabs that the user has signed out. */
  endKey;

  /**
   * @param {Ui.TextStorage | null} storage
   * @param {{ place: string, user: string, workspace: string }} owner `place` is the service, of several on one host.
   */
  constructor(storage, { place, user, workspace }) {
    this.#storage = storage;
    this.#user = `${[PREFIX, place, user].map(encodeURIComponent).join("/")}/`;
    this.#prefix = `${this.#user}${encodeURIComponent(workspace)}/`;
    this.endKey = `${PREFIX}-end/${this.#user}`;
  }

  /**
   * Keep what was typed. A draft that says what is saved is none.
   *
   * @param {string} draftName
   * @param {Ui.Draft} draft
   */
  keep(draftName, draft) {
    if (isSame(draft.texts, draft.base)) return this.remove(draftName);
    this.#memory.set(draftName, draft);
    this.#store(draftName, draft);
  }

  /**
   * Find a draft by its name: that of this page comes before that of the storage, where another tab may write too.
   *
   * @param {string} draftName
   * @returns {Ui.Draft | null}
   */
  find(draftName) {
    return this.#memory.get(draftName) ?? this.#read(draftName);
  }

  /** @param {string} draftName */
  remove(draftName) {
    this.#memory.delete(draftName);
    this.#change((storage) => storage.removeItem(this.#prefix + draftName));
  }

  /**
   * List the names of drafts that begin like this.
   *
   * @param {string} beginning
   */
  list(beginning = "") {
    const stored = this.#listKeys(this.#prefix).map((key) => key.slice(this.#prefix.length));
    return [...new Set([...stored, ...this.#memory.keys()])].filter((draftName) =>
      draftName.startsWith(beginning),
    );
  }

  /**
   * List what would be lost if the page ended now. What another tab has removed from the storage is stored again;
   * what it has replaced is not: its text would be lost in place of ours.
   */
  findUnstored() {
    const unstored = [];
    for (const [draftName, draft] of this.#memory) {
      if (!this.#read(draftName)) this.#store(draftName, draft);
      if (!isSame(this.#read(draftName)?.texts ?? {}, draft.texts)) unstored.push(draftName);
    }
    return unstored;
  }

  /** Count the drafts of the user in all workspaces: those that `removeAll` removes. */
  countAll() {
    const own = [...this.#memory.keys()].map((draftName) => this.#prefix + draftName);
    return new Set([...this.#listKeys(this.#user), ...own]).size;
  }

  /** Remove all drafts of the user in all workspaces, as signing out does, and tell other tabs. */
  removeAll() {
    this.#memory.clear();
    for (const key of this.#listKeys(this.#user)) this.#change((storage) => storage.removeItem(key));
    this.#change((storage) => {
      storage.setItem(this.endKey, "signed out");
      storage.removeItem(this.endKey);
    });
  }

  /** Store nothing more, because the user has signed out in another tab; this page's memory keeps what it has. */
  detach() {
    this.#storage = null;
  }

  /**
   * Remove stored drafts, of anybody, that are too old or cannot be read.
   *
   * @param {number} now
   */
  removeOld(now) {
    for (const key of this.#listKeys(`${PREFIX}/`)) {
      const draft = this.#parse(key);
      if (!draft || draft.kept_on < now - KEPT_MILLISECONDS)
        this.#change((storage) => storage.removeItem(key));
    }
  }

  /**
   * @param {string} draftName
   * @param {Ui.Draft} draft
   */
  #store(draftName, draft) {
    const stored = withoutSecrets(draft);
    if (isSame(stored.texts, stored.base))
      return this.#change((storage) => storage.removeItem(this.#prefix + draftName));
    this.#change((storage) => storage.setItem(this.#prefix + draftName, JSON.stringify(stored)));
  }

  /** @param {string} draftName */
  #read(draftName) {
    return this.#parse(this.#prefix + draftName);
  }

  /**
   * @param {string} key
   * @returns {Ui.Draft | null}
   */
  #parse(key) {
    try {
      const draft = JSON.parse(this.#storage?.getItem(key) ?? "null");
      return isDraft(draft) ? draft : null;
    } catch {
      return null;
    }
  }

  /** @param {string} beginning */
  #listKeys(beginning) {
    /** @type {string[]} */
    const keys = [];
    this.#change((storage) => {
      for (let index = 0; index < storage.length; index += 1) keys.push(storage.key(index) ?? "");
    });
    return keys.filter((key) => key.startsWith(beginning));
  }

  /** @param {(storage: Ui.TextStorage) => void} work */
  #change(work) {
    try {
      if (this.#storage) work(this.#storage);
    } catch {
      // A full or forbidden storage: the memory still has the draft, and who closes the page is asked.
    }
  }
}

/**
 * @param {unknown} value
 * @returns {value is Ui.Draft}
 */
function isDraft(value) {
  const { texts, base, kept_on: keptOn, secrets } = /** @type {Partial<Ui.Draft>} */ (value ?? {});
  return isTexts(texts) && isTexts(base) && typeof keptOn === "number" && Array.isArray(secrets);
}

/** @param {unknown} value */
const isTexts = (value) =>
  typeof value === "object" && value !== null && Object.values(value).every((one) => typeof one === "string");
