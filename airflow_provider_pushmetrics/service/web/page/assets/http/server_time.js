// The clock of the service, as its answers tell it.

/** A smaller difference is that of whole seconds, and of the way of an answer. */
const TOLERANCE_MILLISECONDS = 2500;

let offset = 0;

/**
 * Read the time of the service from the header of an answer.
 *
 * @param {string | null} date
 * @param {number} now The time of this machine, in milliseconds.
 */
export function readServerTime(date, now = Date.now()) {
  const difference = date ? new Date(date).getTime() - now : Number.NaN;
  if (!Number.isNaN(difference)) offset = Math.abs(difference) > TOLERANCE_MILLISECONDS ? difference : 0;
}

/** Give the time of the service, in milliseconds. */
export const getServerTime = (now = Date.now()) => now + offset;
