// Which tags of Jinja have a quoted text, and which variables a text sets itself.

import { KEY, PASSWORD } from "./secret_names.js";

/** Also one that is not closed yet. */
const TAG = /\{\{(?:[^}]|\}(?!\}))*(?:\}\}|$)|\{%(?:[^%]|%(?!\}))*(?:%\}|$)/g;
const SET_TAG = /^\{%[-+]?\s*(?:set|with|for|macro|call|import|from)\b/;
/** A loop sets the names before `in`. */
const LOOP = /^(\{%[-+]?\s*for\b[\s\S]*?)\bin\b[\s\S]*/;
const QUOTED = /(["'])((?:(?!\1)[^\\]|\\[\s\S])*)(?:\1|$)/g;
/** A key in quotes is a name: `row['token']`, `row.get('token')`. */
const KEY_IN_QUOTES = /(?:(?<=[\w\])])\[|\.get\()\s*(["'])(\w+)\1\s*\]?/g;
const LONG_NUMBER = /(?<![\w.])\d{4}/;
const NAMED = new RegExp(`(?:${PASSWORD}|${KEY})\\b`, "i");

/** @param {string} text */
const listTags = (text) => (text.match(TAG) ?? []).map((tag) => tag.replace(KEY_IN_QUOTES, ".$2"));

/** @param {string} tag */
const hasLiteral = (tag) =>
  [...tag.matchAll(QUOTED)].some(([, , quoted = ""]) => /[\p{L}\p{N}]/u.test(quoted)) ||
  LONG_NUMBER.test(tag.replace(QUOTED, "''"));

/**
 * Tell whether a tag has both a name of a secret and a text that may be it, such as `{{ password | default('…') }}`.
 *
 * @param {string} text
 */
export const hasNamedLiteral = (text) =>
  listTags(text).some((tag) => NAMED.test(tag.replace(QUOTED, "''")) && hasLiteral(tag));

/**
 * Find the variables that a text sets itself, of which none is a parameter. Words that only stand beside them count
 * too.
 *
 * @param {string} text
 */
export function findSetNames(text) {
  const tags = listTags(text).filter((tag) => SET_TAG.test(tag));
  return new Set(tags.flatMap((tag) => tag.replace(QUOTED, "''").replace(LOOP, "$1").match(/\w+/g) ?? []));
}

/**
 * Tell whether what a text prints by its tags is given from outside.
 *
 * @param {string} text
 * @param {Set<string>} setNames
 */
export const hasOnlyParameters = (text, setNames) =>
  listTags(text)
    .filter((tag) => tag.startsWith("{{"))
    .every((tag) => !hasLiteral(tag) && !(tag.match(/\w+/g) ?? []).some((word) => setNames.has(word)));
