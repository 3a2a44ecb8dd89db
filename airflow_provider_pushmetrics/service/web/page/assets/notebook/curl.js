// Examples of calls of a trigger, as lines of a shell.

import { writeJson } from "../http/exact_json.js";

/**
 * Write a call by GET: parameters in the query string.
 *
 * @param {string} url With its token.
 * @param {readonly Ui.Example[]} examples
 */
export function writeGet(url, examples) {
  const given = examples.map(({ name, text }) => `&${encodeURIComponent(name)}=${encodeURIComponent(text)}`);
  return `curl ${quote(url + given.join(""))}`;
}

/**
 * Write a call by POST: parameters as JSON.
 *
 * @param {string} url
 * @param {readonly Ui.Example[]} examples
 */
export function writePost(url, examples) {
  const body = writeJson(Object.fromEntries(examples.map(({ name, value }) => [name, value])));
  return [`curl -X POST ${quote(url)}`, '-H "Content-Type: application/json"', `-d ${quote(body)}`].join(
    " \\\n  ",
  );
}

/**
 * Quote a text for a shell, where nothing in it has a meaning.
 *
 * @param {string} text
 */
const quote = (text) => `'${text.replaceAll("'", "'\\''")}'`;
