// Values that names of secrets have in ordinary SQL, and that are no secrets. Everything else may be one.

import { hasOnlyParameters } from "./jinja_literals.js";
import { KEY, PASSWORD } from "./secret_names.js";

const PARAMETER = "\\{\\{[^{}]*\\}\\}";
const BRANCH = "\\{%[-+]?\\s*(?:if|elif|else|endif|for|endfor)\\b[^%]*%\\}";
const BRANCH_END = "\\{%[-+]?\\s*(?:endif|endfor)\\s*[-+]?%\\}";
/** A choice of parameters, with no text between the tags. */
const CHOICE = `${BRANCH}(?:\\s*(?:${PARAMETER}|${BRANCH}))*?\\s*${BRANCH_END}`;
const TEMPLATE = `(?:(?:bearer|basic|token)\\s+)?(?:(?:${PARAMETER})+|${CHOICE})`;

const COLUMN = `\\w{0,30}(?:${PASSWORD}|${KEY}|key|id)\\b`;
const GIVEN = [
  TEMPLATE,
  "\\$\\d+|\\?|%s|%\\(\\w+\\)s",
  `[:@]${COLUMN}`,
  `(?:(?:\\w{1,30}|"\\w{1,30}")\\.){1,3}(?:${COLUMN}|"${COLUMN}")`,
].join("|");
/** A part of a call that is no quoted text, unless it is empty or a name beside a dot, and no long number. */
const PART = '(?!\\b\\d{4}|\\$\\w{0,20}\\$)[^()\'"`]|\'\'|""|"\\w{1,30}"(?=\\.)|(?<=\\.)"\\w{1,30}"';
const WITH_GIVEN = `(?=[^'\`]{0,300}?[(,\\s](?:${GIVEN})[\\s,:)])`;
const CALL = `[a-z_]\\w{0,20}${WITH_GIVEN}\\((?:${PART}|\\((?:${PART}){0,300}\\)){0,300}\\)`;

/** @param {string} source */
const compile = (source) => new RegExp(source, "iy");
const TEMPLATES = [compile(TEMPLATE), compile(`(["'\`])${TEMPLATE}\\1`)];
const CONSTANT = compile("null|true|false|default");
const NUMBER = compile("\\d{1,9}(?:\\.\\d+)?");
const OBJECT = compile(`\\{\\s*(?:(["'])(?:type|\\$ref)\\1\\s*:\\s*(["'])[\\w#/.$-]{0,100}\\2\\s*)?\\}`);
const EXPRESSIONS = [compile(CALL), compile(GIVEN)];
/** A query whose columns are no texts; it goes on behind its FROM, to its closing bracket. */
const SUBQUERY = compile("\\(\\s*select\\b(?:(?!\\bfrom\\b|\\b\\d{4})[^'\"`$]){1,300}\\bfrom\\s");
const LONGEST_SUBQUERY = 5000;
/** Brackets, and what has none: quoted texts and comments, also those that are not closed. */
const BRACKET = /(["'`])(?:(?!\1)[\s\S])*(?:\1|$)|--[^\n]*|\/\*[\s\S]*?(?:\*\/|$)|[()]/g;
/** What each database reads in another way: texts in dollars, a quote behind a backslash, comments of MySQL. */
const AMBIGUOUS = /[$\\#]|\/\*(?:(?!\*\/)[\s\S])*\/\*/;
const PLACEHOLDER = compile("[:@][a-z_]\\w{0,20}");
const OTHER_COLUMN = compile("[a-z_]\\w{0,30}\\.[a-z_]\\w{0,19}");

/** What may stand between a value and what continues it: space, comments, casts and tags. */
const BESIDE =
  /\s+|--[^\n]{0,300}(?:\n|$)|\/\*[^*]{0,300}\*\/|::\s{0,9}\w{1,30}(?:\(\d{1,9}\))?|\{%[^%]{0,300}%\}/y;
const MOST_BESIDE = 20;
const IS_SPACE = /^(?:\s|--|\/)/;
/** Directly behind a value, also behind a quote that was opened before it. */
const END = /["'`]{0,2}(?:[\s,;)\]}&<>]|\.(?:\s|$)|$)/y;
/** Operators and words that add a text, and a text that is only beside. */
const CONTINUED = /\|\||[+~?&"'`]|--|\/\*|\{%|(?:\w{1,3}|(?:or|else)\s{1,9})["'`]/iy;

/**
 * @param {RegExp} pattern
 * @param {string} text
 * @param {number} from
 * @returns {string | null} What it finds there.
 */
function match(pattern, text, from) {
  pattern.lastIndex = from;
  return pattern.exec(text)?.[0] ?? null;
}

/**
 * Tell whether a value is at its end, and nothing is added to it.
 *
 * @param {string} text
 * @param {number} at
 */
function isEnd(text, at) {
  let isApart = false;
  for (let count = 0; count < MOST_BESIDE; count += 1) {
    const beside = match(BESIDE, text, at);
    if (beside === null) return isApart ? match(CONTINUED, text, at) === null : match(END, text, at) !== null;
    isApart ||= IS_SPACE.test(beside);
    at += beside.length;
  }
  return false;
}

/**
 * Tell whether a subquery without a text among its columns stands there, and nothing is added to it.
 *
 * @param {string} text
 * @param {number} from
 * @param {Set<string>} setNames
 */
function isHarmlessSubquery(text, from, setNames) {
  const columns = match(SUBQUERY, text, from);
  if (columns === null || !hasOnlyParameters(columns, setNames)) return false;
  let depth = 0;
  for (const { 0: found, index } of text.slice(from, from + LONGEST_SUBQUERY).matchAll(BRACKET)) {
    if (found === "(") depth += 1;
    if (found === ")") depth -= 1;
    if (depth === 0) {
      const end = from + index + 1;
      return !AMBIGUOUS.test(text.slice(from, end)) && isEnd(text, end);
    }
  }
  return false;
}

/**
 * @typedef {object} Assigned What the value is assigned to.
 * @property {boolean} isPassword No number and no column of another name is one.
 * @property {boolean} isOfUrl
 * @property {boolean} isOfObject As in JSON and YAML, where words are values.
 * @property {boolean} isOfTable
 */

/**
 * List what has no secret where a value is expected.
 *
 * @param {Assigned} assigned
 */
function listHarmless({ isPassword, isOfUrl, isOfObject, isOfTable }) {
  if (isOfUrl) return TEMPLATES;
  const patterns = [...TEMPLATES, CONSTANT];
  if (!isPassword) patterns.push(NUMBER);
  if (isOfObject) return [...patterns, OBJECT];
  patterns.push(...EXPRESSIONS);
  if (!isPassword) patterns.push(PLACEHOLDER);
  if (!isPassword && isOfTable) patterns.push(OTHER_COLUMN);
  return patterns;
}

/**
 * Tell whether the value at a place in a text is no secret.
 *
 * @param {string} text
 * @param {number} from
 * @param {Assigned} assigned
 * @param {Set<string>} setNames The variables that the text sets itself.
 */
export function isHarmless(text, from, assigned, setNames) {
  const { isOfUrl, isOfObject } = assigned;
  if (!isOfUrl && !isOfObject && isHarmlessSubquery(text, from, setNames)) return true;
  return listHarmless(assigned).some((pattern) => {
    const value = match(pattern, text, from);
    return value !== null && isEnd(text, from + value.length) && hasOnlyParameters(value, setNames);
  });
}
