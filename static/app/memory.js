/**
 * What the page remembers of a person on this device: names and choices, never a token.
 *
 * @typedef {"name" | "language" | "world"} Remembered
 */

/** @typedef {Pick<Storage, "getItem" | "setItem">} StorageLike */

/** A browser may have storage switched off, and then throws at the mere mention of it. */
export class Memory {
  #storage;

  /** @param {() => StorageLike} storage */
  constructor(storage = () => globalThis.localStorage) {
    this.#storage = storage;
  }

  /**
   * @param {Remembered} name
   * @returns {string | null} null where nothing is remembered
   */
  get(name) {
    try {
      return this.#storage().getItem(`weltenstimme.${name}`);
    } catch {
      return null;
    }
  }

  /**
   * @param {Remembered} name
   * @param {string} value
   * @returns {void}
   */
  set(name, value) {
    try {
      this.#storage().setItem(`weltenstimme.${name}`, value);
    } catch {
      // Not remembered then; nothing else depends on it.
    }
  }
}
