/**
 * The signalling of one session: says `voice_join` first, and after a loss comes back by itself with the same session token.
 *
 * The first connection is tried once: while joining, a failure rolls everything back. Afterwards audio flows without the socket, so
 * it is mended in the background until the backoff gives up or the server says that coming back is of no use.
 *
 * @import { Clock } from "./clock.js"
 * @import { Message, Session, SocketConstructor, VoiceJoined } from "./types.js"
 */
import { Backoff } from "./backoff.js";
import { Emitter } from "./emitter.js";
import { CancelledError, SignallingLostError, SocketClosedError, VoiceClientError, asVoiceClientError } from "./errors.js";
import { Socket } from "./socket.js";

/**
 * @typedef {object} SignallingEvents
 * @property {{joined: VoiceJoined}} resumed back after a loss
 * @property {{error: VoiceClientError}} lost gone; coming back is being tried
 * @property {{error: VoiceClientError}} failed gone for good
 * @property {Message} message
 *
 * @typedef {object} SignallingOptions
 * @property {Session} session
 * @property {string} url of the WebSocket
 * @property {SocketConstructor} WebSocket
 * @property {Clock} clock
 * @property {() => number} random
 * @property {number} timeoutMs for opening, and for each answer
 */

/** @extends {Emitter<SignallingEvents>} */
export class Signalling extends Emitter {
  /** @type {"new" | "opening" | "up" | "down" | "closed"} */
  #phase = "new";
  #options;
  /** @type {Socket | null} null before the first and after the last */
  #socket = null;
  /** @type {unknown} handle of the timer of the next attempt to come back */
  #retryTimer = null;

  /** @param {SignallingOptions} options */
  constructor(options) {
    super();
    this.#options = options;
  }

  get isUp() {
    return this.#phase === "up";
  }

  /**
   * @returns {Promise<VoiceJoined>} when `voice_joined` came
   * @throws {VoiceClientError}
   */
  async open() {
    this.#phase = "opening";
    return this.#connect();
  }

  /**
   * @param {string} type
   * @param {object} fields
   * @returns {Promise<Message>} the answer
   * @throws {VoiceClientError}
   */
  async request(type, fields) {
    if (this.#phase !== "up" || this.#socket === null) throw new SocketClosedError("signalling is down");
    return this.#socket.request({ type, sessionId: this.#options.session.sessionId, ...fields });
  }

  /**
   * Sends what has no answer.
   *
   * @param {string} type
   * @param {object} fields
   * @returns {boolean} false where signalling is down now
   */
  send(type, fields) {
    if (this.#phase !== "up" || this.#socket === null) return false;
    return this.#socket.send({ type, sessionId: this.#options.session.sessionId, ...fields });
  }

  /** Ends it for good, without an event. */
  close() {
    this.#phase = "closed";
    this.#options.clock.clearTimeout(this.#retryTimer);
    this.#socket?.close();
    this.#socket = null;
  }

  /** @returns {Promise<VoiceJoined>} */
  async #connect() {
    const { session, url, WebSocket, clock, timeoutMs } = this.#options;
    const socket = new Socket({
      WebSocket,
      url,
      clock,
      timeoutMs,
      listener: {
        onMessage: (message) => this.emit("message", message),
        onClose: (error) => this.#closed(socket, error),
      },
    });
    this.#socket = socket;
    try {
      await socket.opened;
      const answer = await socket.request({ type: "voice_join", sessionId: session.sessionId, token: session.sessionToken });
      if (this.#phase === "closed") throw new CancelledError("signalling was closed");
      this.#phase = "up";
      return {
        participants: answer["participants"] ?? [],
        slots: answer["slots"] ?? 0,
        iceServers: answer["iceServers"] ?? [],
        resumed: answer["resumed"] === true,
        moderator: answer["moderator"] === true,
      };
    } catch (error) {
      socket.close();
      throw error;
    }
  }

  /**
   * @param {Socket} socket
   * @param {VoiceClientError} error
   */
  #closed(socket, error) {
    // While connecting, the one who connects gets the error.
    if (socket !== this.#socket || this.#phase !== "up") return;
    this.#socket = null;
    if (!error.retryable) {
      this.#fail(error);
      return;
    }
    this.#phase = "down";
    this.#scheduleRetry(new Backoff({ random: this.#options.random }), 0);
    this.emit("lost", { error });
  }

  /**
   * @param {Backoff} backoff
   * @param {number} atLeastMs
   */
  #scheduleRetry(backoff, atLeastMs) {
    const { clock } = this.#options;
    const waitMs = backoff.next(clock.now(), atLeastMs);
    if (waitMs === null) this.#fail(new SignallingLostError(`gave up after ${backoff.attempts} attempts`));
    else this.#retryTimer = clock.setTimeout(() => void this.#retry(backoff), waitMs);
  }

  /**
   * Never rejects: its outcome is an event.
   *
   * @param {Backoff} backoff
   */
  async #retry(backoff) {
    try {
      const joined = await this.#connect();
      this.emit("resumed", { joined });
    } catch (cause) {
      if (this.#phase !== "down") return;
      const error = asVoiceClientError(cause);
      if (error.retryable) this.#scheduleRetry(backoff, (error.retryAfterSeconds ?? 0) * 1_000);
      else this.#fail(error);
    }
  }

  /** @param {VoiceClientError} error */
  #fail(error) {
    if (this.#phase === "closed") return;
    this.close();
    this.emit("failed", { error });
  }
}
