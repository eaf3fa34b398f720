/**
 * Who joins: somebody with a login that an embedding page handed over, or a guest. Tokens stay in memory.
 *
 * @import { RestClient } from "../lib/rest.js"
 */
import { UnauthorizedError, identityFromToken } from "../lib/index.js";

/** @typedef {{token: string, userId: string}} Credentials */

export class Login {
  /** @type {string | null} null for a guest */
  #token;
  #identity;
  /** @type {(Credentials & {username: string}) | null} null until a guest joined; kept, so that a guest who joins again is the same one */
  #guest = null;
  /** Whether the guest's credentials were made for the last join. */
  #fresh = false;

  /** @param {string | null} token null for a guest */
  constructor(token) {
    this.#token = token;
    this.#identity = token === null ? null : identityFromToken(token);
  }

  get isGuest() {
    return this.#token === null;
  }

  /** The name that the login brings; null where it brings none. */
  get username() {
    return this.#identity?.username ?? null;
  }

  /**
   * @param {RestClient} rest
   * @param {string} username
   * @returns {Promise<Credentials>}
   * @throws {VoiceClientError}
   */
  async credentials(rest, username) {
    if (this.#token !== null) {
      if (this.#identity === null) throw new UnauthorizedError("the token names nobody");
      return { token: this.#token, userId: this.#identity.userId };
    }
    this.#fresh = this.#guest?.username !== username;
    if (this.#guest?.username !== username) this.#guest = { ...(await rest.guest(username)), username };
    return { token: this.#guest.token, userId: this.#guest.userId };
  }

  /**
   * To be asked after the server refused the credentials.
   *
   * @returns {boolean} whether there will be other ones next time: those of a guest that were made earlier may have expired
   */
  renew() {
    const renewed = this.#guest !== null && !this.#fresh;
    this.#guest = null;
    return renewed;
  }
}
