/**
 * A small typed event emitter: names and payloads are checked through JSDoc, which `EventTarget` cannot give.
 *
 * @template {object} Events map of event name to the type of its payload
 */
export class Emitter {
  /** @type {Map<keyof Events, Set<(payload: any) => void>>} */
  #listeners = new Map();

  /**
   * Calls `listener` on each event of that name, in the order of registration.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {(payload: Events[Name]) => void} listener
   * @returns {() => void} takes the listener off again
   */
  on(name, listener) {
    const listeners = this.#listeners.get(name) ?? new Set();
    this.#listeners.set(name, listeners.add(listener));
    return () => {
      listeners.delete(listener);
    };
  }

  /**
   * Tells all listeners. One that throws keeps neither the others nor the sender from going on; its error is reported as any
   * uncaught one is.
   *
   * @template {keyof Events} Name
   * @param {Name} name
   * @param {Events[Name]} payload
   * @returns {void}
   */
  emit(name, payload) {
    for (const listener of [...(this.#listeners.get(name) ?? [])]) {
      try {
        listener(payload);
      } catch (error) {
        queueMicrotask(() => {
          throw error;
        });
      }
    }
  }
}
