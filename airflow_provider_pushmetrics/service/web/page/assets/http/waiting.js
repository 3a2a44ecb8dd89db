// Waiting between two polls.

const FIRST_MILLISECONDS = 300;
const LONGEST_MILLISECONDS = 3000;

/**
 * Wait before the next poll, longer each time; it ends with an AbortError when the page is left.
 *
 * @param {number} tries
 * @param {AbortSignal} [signal]
 * @returns {Promise<void>}
 */
export function pause(tries, signal) {
  const milliseconds = Math.min(FIRST_MILLISECONDS * 1.3 ** tries, LONGEST_MILLISECONDS);
  return new Promise((resolve, reject) => {
    const timer = setTimeout(resolve, milliseconds);
    signal?.addEventListener(
      "abort",
      () => {
        clearTimeout(timer);
        reject(new DOMException("The page was left", "AbortError"));
      },
      { once: true },
    );
  });
}
