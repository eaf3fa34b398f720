/**
 * Time as an argument: whoever waits or measures takes a `Clock`, so that tests turn it by hand.
 *
 * @typedef {object} Clock
 * @property {() => number} now monotonic, in milliseconds, from an arbitrary start
 * @property {(callback: () => void, delayMs: number) => unknown} setTimeout returns a handle for `clearTimeout`
 * @property {(handle: any) => void} clearTimeout
 */

/** @type {Clock} */
export const systemClock = {
  now: () => globalThis.performance.now(),
  setTimeout: (callback, delayMs) => globalThis.setTimeout(callback, delayMs),
  clearTimeout: (handle) => globalThis.clearTimeout(handle),
};

/**
 * Settles as `promise` does, or rejects with `makeError()` after `delayMs`.
 *
 * @template T
 * @param {Promise<T>} promise
 * @param {number} delayMs
 * @param {Clock} clock
 * @param {() => Error} makeError
 * @returns {Promise<T>}
 */
export function withTimeout(promise, delayMs, clock, makeError) {
  return new Promise((resolve, reject) => {
    const handle = clock.setTimeout(() => reject(makeError()), delayMs);
    promise.then(resolve, reject).finally(() => clock.clearTimeout(handle));
  });
}

/**
 * @param {number} delayMs
 * @param {Clock} clock
 * @returns {Promise<void>} resolves after `delayMs`
 */
export function delay(delayMs, clock) {
  return new Promise((resolve) => {
    clock.setTimeout(() => resolve(), delayMs);
  });
}
