// Changes of a text, for what must not know the editor.

/**
 * Find the part in which two texts differ: what is replaced of the first, and by what.
 *
 * @param {string} before
 * @param {string} after
 * @returns {{ from: number, to: number, insert: string }}
 */
export function findChange(before, after) {
  const shorter = Math.min(before.length, after.length);
  let start = 0;
  while (start < shorter && before[start] === after[start]) start += 1;
  let end = 0;
  while (end < shorter - start && before[before.length - 1 - end] === after[after.length - 1 - end]) end += 1;
  return { from: start, to: before.length - end, insert: after.slice(start, after.length - end) };
}
