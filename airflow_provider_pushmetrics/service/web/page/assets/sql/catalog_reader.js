// What is in a database, read once for each form: its schemas, tables and columns.

import { part } from "../http/addresses.js";
import { get, getRow } from "../http/api.js";

const ERROR_MILLISECONDS = 5000;

export class CatalogReader {
  /** @type {Map<string, Promise<any>>} */
  #read = new Map();
  #path;

  /** @param {string} database its uid */
  constructor(database) {
    this.#path = `api/v1/database/${part(database)}`;
  }

  /** @returns {Promise<string[]>} */
  listSchemas() {
    return this.#once("schemas", () => getRow(`${this.#path}/schemas/`));
  }

  /**
   * @param {string} schema
   * @returns {Promise<Api.Table[]>}
   */
  listTables(schema) {
    const path = `${this.#path}/schema/${part(schema)}/`;
    return this.#once(path, () => getRow(path, { query: { action: "tree" } }));
  }

  /**
   * List the tables of all schemas whose names contain a text.
   *
   * @param {string} pattern
   * @param {Ui.CallSettings} [settings]
   * @returns {Promise<Api.FoundTable[]>}
   */
  async searchTables(pattern, settings) {
    // In the path, since an empty parameter of a query is left out.
    const path = `${this.#path}/search_tables/?pattern=${part(pattern)}`;
    /** @type {{ results: Api.FoundTable[] }} */
    const found = await this.#once(path, () => getRow(path, settings));
    return found.results;
  }

  /**
   * @param {{ schema: string, name: string }} table
   * @returns {Promise<Api.Column[]>}
   */
  async listColumns({ schema, name }) {
    const path = `${this.#path}/table/${part(name)}/${part(schema)}/`;
    /** @type {{ columns: Api.Column[] }} */
    const { columns } = await this.#once(path, () => get(path));
    return columns;
  }

  /**
   * Read something once; after an error, it is read again when it is asked for later, not at each key.
   *
   * @template Answer
   * @param {string} key
   * @param {() => Promise<Answer>} read
   * @returns {Promise<Answer>}
   */
  #once(key, read) {
    const known = this.#read.get(key);
    if (known) return known;
    const reading = read();
    this.#read.set(key, reading);
    reading.catch(() => setTimeout(() => this.#read.delete(key), ERROR_MILLISECONDS));
    return reading;
  }
}

/**
 * Give the reader of the database that a field has chosen.
 *
 * @param {Ui.Input} choice
 * @returns {() => CatalogReader}
 */
export function makeReaders(choice) {
  /** @type {Map<string, CatalogReader>} */
  const readers = new Map();
  return () => {
    const reader = readers.get(choice.value) ?? new CatalogReader(choice.value);
    readers.set(choice.value, reader);
    return reader;
  };
}
