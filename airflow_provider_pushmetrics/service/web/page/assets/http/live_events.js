// What comes on the connection of a live page, and when it is opened again.

const FIRST_SECONDS = 1;
const LONGEST_SECONDS = 30;

/**
 * Read server-sent events as far as they have arrived.
 *
 * @param {string} text
 * @returns {{ version: string | null, rest: string }} The version of all runs that the last one has, and the unread end.
 */
export function readEvents(text) {
  const parts = text.split(/\r?\n\r?\n/);
  const rest = parts.pop() ?? "";
  const versions = parts.flatMap((part) => /^data: ?(.*)$/m.exec(part)?.[1].trim() ?? []);
  return { version: versions.at(-1) ?? null, rest };
}

/**
 * Choose the seconds until the next attempt: twice as long each time, and not at the same moment as other pages.
 *
 * @param {number} failures How often it failed in a row, from 1.
 * @param {number} random From 0 to 1.
 */
export function choosePause(failures, random) {
  const seconds = Math.min(FIRST_SECONDS * 2 ** (failures - 1), LONGEST_SECONDS);
  return seconds * (0.5 + random / 2);
}
