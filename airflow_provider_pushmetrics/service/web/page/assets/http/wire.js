// What goes over the wire. A service that hangs, or a proxy before it, neither answers nor closes the connection: nothing
// waits for it for ever.

import { locate } from "./addresses.js";
import { ApiError, NO_ANSWER } from "./errors.js";

/** Whoever asked sees that the page waits, and some answers take long, such as that of a database that is tried. */
const ASKED_MILLISECONDS = 120_000;
const UNASKED_MILLISECONDS = 30_000;
/** How long the rest of an answer may take that has begun: a large one, on a slow line. */
const REST_MILLISECONDS = 120_000;

/** How long the other side may be silent; then the signal ends what waits for it, or when the given one does. */
export class Silence {
  #ending = new AbortController();
  #milliseconds;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #timer;
  signal;

  /**
   * @param {number} milliseconds
   * @param {AbortSignal} [signal]
   */
  constructor(milliseconds, signal) {
    this.#milliseconds = milliseconds;
    this.signal = signal ? AbortSignal.any([signal, this.#ending.signal]) : this.#ending.signal;
    this.restart();
  }

  /** Wait again, as long or for another time: something has come. */
  restart(milliseconds = this.#milliseconds) {
    this.stop();
    this.#timer = setTimeout(() => this.#ending.abort(), milliseconds);
  }

  stop() {
    clearTimeout(this.#timer);
  }
}

/**
 * Call the service and give its whole answer, whatever its status.
 *
 * @param {string} path
 * @param {Omit<RequestInit, "signal"> & Pick<Ui.CallSettings, "query" | "signal" | "isUnasked">} settings
 * @returns {Promise<Ui.Answer>}
 */
export async function reach(path, { query, signal, isUnasked, ...request }) {
  const silence = new Silence(isUnasked ? UNASKED_MILLISECONDS : ASKED_MILLISECONDS, signal);
  try {
    const answer = await fetch(locate(path, query), {
      ...request,
      signal: silence.signal,
      credentials: "same-origin",
    });
    silence.restart(REST_MILLISECONDS);
    const { headers, ok, status } = answer;
    const begunAt = Date.now();
    // In parts, a browser's tools would not show it.
    return { headers, ok, status, begunAt, text: await answer.text() };
  } catch {
    signal?.throwIfAborted();
    throw new ApiError(0, NO_ANSWER);
  } finally {
    silence.stop();
  }
}

/**
 * Read what the service says in an answer that is not 2xx, if it is the service that answers.
 *
 * @param {string} text
 * @returns {string}
 */
export function readMessage(text) {
  try {
    return JSON.parse(text)?.message ?? "";
  } catch {
    return "";
  }
}

/**
 * Read the parts of a text as they arrive. What is done with one is not a silence of the other side.
 *
 * @param {ReadableStream<Uint8Array<ArrayBuffer>>} body
 * @param {Silence} silence
 */
export async function* readParts(body, silence) {
  const reader = body.pipeThrough(new TextDecoderStream()).getReader();
  for (;;) {
    silence.restart();
    const { done, value } = await reader.read();
    silence.stop();
    if (done) return;
    yield value;
  }
}
