/**
 * The states of one stay in a room, and the only ways between them.
 *
 * - `idle`: made, not used yet
 * - `joining`: the REST join is under way
 * - `signalling`: there is a session; the socket is opening and the microphone is being asked for
 * - `media`: offer, answer, ICE, DTLS
 * - `connected`: audio flows
 * - `reconnecting`: socket or media was lost and is being mended; the session is kept
 * - `leaving`: the session is being ended at the backend, by wish or as roll-back
 * - `ended`: nothing is left; a new stay needs a new `VoiceClient`
 *
 * @typedef {"idle" | "joining" | "signalling" | "media" | "connected" | "reconnecting" | "leaving" | "ended"} State
 */

/** @type {Readonly<Record<State, readonly State[]>>} */
export const TRANSITIONS = Object.freeze({
  idle: ["joining", "ended"],
  joining: ["signalling", "leaving", "ended"],
  signalling: ["media", "leaving", "ended"],
  media: ["connected", "leaving", "ended"],
  connected: ["reconnecting", "leaving", "ended"],
  reconnecting: ["connected", "leaving", "ended"],
  leaving: ["ended"],
  ended: [],
});

/** Holds the state; `to` is the one setter. */
export class StateMachine {
  /** @type {State} */
  #state = "idle";
  #changed;
  #log;

  /**
   * @param {(from: State, to: State, why: string) => void} changed told after each change
   * @param {(line: string) => void} log gets `old -> new (why)`
   */
  constructor(changed, log) {
    this.#changed = changed;
    this.#log = log;
  }

  get state() {
    return this.#state;
  }

  /**
   * @param {State} next
   * @param {string} why
   * @returns {void}
   * @throws {Error} when the table has no such way: a mistake in the program, not of a person
   */
  to(next, why) {
    const from = this.#state;
    if (!TRANSITIONS[from].includes(next)) throw new Error(`no way from ${from} to ${next} (${why})`);
    this.#state = next;
    this.#log(`${from} -> ${next} (${why})`);
    this.#changed(from, next, why);
  }
}
