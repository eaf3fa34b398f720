/**
 * Capped exponential backoff with jitter: pure, time and randomness are arguments.
 *
 * Half of each delay is fixed and half is random: after a restart of the server not everybody comes back at the same instant,
 * and nobody waits for nothing at all.
 */
export class Backoff {
  #baseMs;
  #capMs;
  #giveUpAfterMs;
  #random;
  #attempts = 0;
  /** @type {number | null} when the first delay was asked for; null before */
  #startedAtMs = null;

  /**
   * @param {object} options
   * @param {number} [options.baseMs] upper bound of the first delay
   * @param {number} [options.capMs] upper bound of every delay
   * @param {number} [options.giveUpAfterMs] from the first delay asked for
   * @param {() => number} options.random 0 ≤ x < 1
   */
  constructor({ baseMs = 250, capMs = 8_000, giveUpAfterMs = 60_000, random }) {
    this.#baseMs = baseMs;
    this.#capMs = capMs;
    this.#giveUpAfterMs = giveUpAfterMs;
    this.#random = random;
  }

  /** Number of delays handed out. */
  get attempts() {
    return this.#attempts;
  }

  /**
   * @param {number} nowMs monotonic
   * @param {number} [atLeastMs] a wait that the server asked for
   * @returns {number | null} milliseconds to wait before the next attempt; null when it is time to give up
   */
  next(nowMs, atLeastMs = 0) {
    this.#startedAtMs ??= nowMs;
    const ceiling = Math.min(this.#capMs, this.#baseMs * 2 ** this.#attempts);
    const delayMs = Math.max(atLeastMs, ceiling * (0.5 + 0.5 * this.#random()));
    if (nowMs + delayMs - this.#startedAtMs > this.#giveUpAfterMs) return null;
    this.#attempts += 1;
    return delayMs;
  }
}
