// JSON whose numbers keep their digits: JavaScript would round 9007199254740993, and write 1.0 as 1.

/** Texts, which may contain digits, and numbers. */
const TOKEN = /"(?:[^"\\]|\\.)*"|-?\d[\d.eE+-]*/g;

/** A number that JavaScript does not write as it was written. */
export class ExactNumber {
  /** @param {string} text */
  constructor(text) {
    this.text = text;
    Object.freeze(this);
  }

  toString() {
    return this.text;
  }

  /** Give `JSON.stringify` the number, or its text where the browser has no raw JSON; `writeJson` needs neither. */
  toJSON() {
    const { rawJSON } = /** @type {{ rawJSON?: (text: string) => unknown }} */ (
      /** @type {unknown} */ (JSON)
    );
    return rawJSON ? rawJSON(this.text) : this.text;
  }
}

/** @param {string} token */
const isExact = (token) => token.startsWith('"') || String(Number(token)) === token;

/**
 * Parse JSON; each number that JavaScript would change becomes an `ExactNumber`.
 *
 * @param {string} text
 */
export function parseJson(text) {
  const value = JSON.parse(text);
  if ((text.match(TOKEN) ?? []).every(isExact)) return value;
  const mark = chooseMark(text);
  const marked = text.replace(TOKEN, (token) => (isExact(token) ? token : `{"${mark}":"${token}"}`));
  return JSON.parse(marked, (_, one) =>
    typeof one === "object" && one !== null && Object.hasOwn(one, mark) ? new ExactNumber(one[mark]) : one,
  );
}

/**
 * Write JSON with the digits of exact numbers.
 *
 * @param {unknown} value
 * @param {number} [indent]
 * @returns {string}
 */
export function writeJson(value, indent) {
  const plain = JSON.stringify(value, null, indent);
  let hasExact = false;
  const mark = chooseMark(plain ?? "");
  /** @type {(this: Record<string, unknown>, key: string, written: unknown) => unknown} */
  function markExact(key, written) {
    const one = this[key];
    if (!(one instanceof ExactNumber)) return written;
    hasExact = true;
    return mark + one.text;
  }
  const marked = JSON.stringify(value, markExact, indent);
  return hasExact ? marked.replace(new RegExp(`"${mark}([^"]*)"`, "g"), "$1") : plain;
}

/**
 * Choose a text that does not occur in another one, also not with escapes: nobody can guess it.
 *
 * @param {string} text
 */
function chooseMark(text) {
  let mark = "exact";
  do mark += Math.random().toString(36).slice(2);
  while (text.includes(mark));
  return mark;
}
