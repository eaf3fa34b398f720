/**
 * One WebSocket: JSON frames, and requests matched to their answers by `requestId`. Knows no message by name but `voice_error`.
 *
 * @import { Clock } from "./clock.js"
 * @import { Message, SocketConstructor, SocketLike } from "./types.js"
 */
import { CancelledError, SocketClosedError, TimeoutError, VoiceClientError, apiError, closeError } from "./errors.js";

/**
 * What a socket tells its owner.
 *
 * @typedef {object} SocketListener
 * @property {(message: Message) => void} onMessage every message that answers no request
 * @property {(error: VoiceClientError) => void} onClose once, unless the owner closed it
 */

/** 4000 to 4999 are for applications (RFC 6455, 7.4.2): what we call a socket that left a request without an answer. */
const CLOSE_UNANSWERED = 4999;

export class Socket {
  /** @type {"connecting" | "open" | "closed"} */
  #state = "connecting";
  #raw;
  #listener;
  #clock;
  #timeoutMs;
  #nextRequest = 1;
  /** @type {VoiceClientError | null} null until it is closed */
  #closedBy = null;
  /** @type {Map<string, {resolve: (answer: Message) => void, reject: (error: Error) => void, timer: unknown}>} */
  #pending = new Map();
  /** @type {Promise<void>} resolves when open; rejects with the reason of a close before that */
  opened;

  /**
   * @param {object} options
   * @param {SocketConstructor} options.WebSocket
   * @param {string} options.url
   * @param {SocketListener} options.listener
   * @param {Clock} options.clock
   * @param {number} options.timeoutMs for opening, and for each answer
   */
  constructor({ WebSocket, url, listener, clock, timeoutMs }) {
    this.#listener = listener;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    this.#raw = /** @type {SocketLike} */ (new WebSocket(url));
    this.opened = new Promise((resolve, reject) => {
      const timer = clock.setTimeout(() => this.#lost(new TimeoutError("WebSocket did not open in time")), timeoutMs);
      const entry = { resolve: () => resolve(), reject, timer };
      this.#pending.set("open", entry);
      this.#raw.onopen = () => {
        if (this.#state !== "connecting") return;
        this.#state = "open";
        this.#take("open")?.resolve({ type: "open" });
      };
    });
    // Whoever waits for it sees a rejection; nobody has to.
    this.opened.catch(() => {});
    this.#raw.onmessage = (event) => this.#received(event.data);
    this.#raw.onclose = (event) => this.#lost(closeError(event.code, event.reason ?? ""));
    // An error event says nothing, by design of browsers; the close event follows with what is known.
    this.#raw.onerror = null;
  }

  /**
   * @param {Message} message
   * @returns {boolean} false where the socket is not open
   */
  send(message) {
    if (this.#state !== "open") return false;
    this.#raw.send(JSON.stringify(message));
    return true;
  }

  /**
   * @param {Message} message without `requestId`
   * @returns {Promise<Message>} the answer
   * @throws {VoiceClientError} an `ApiError` where the answer is one; what closed the socket; `TimeoutError`, and then the socket is
   *   given up too: one that does not answer is a dead one that has not noticed yet
   */
  request(message) {
    const requestId = String(this.#nextRequest++);
    return new Promise((resolve, reject) => {
      const timer = this.#clock.setTimeout(
        () => this.#lost(new TimeoutError(`${message.type} was not answered in time`)),
        this.#timeoutMs,
      );
      this.#pending.set(requestId, { resolve, reject, timer });
      if (!this.send({ ...message, requestId })) {
        this.#take(requestId)?.reject(this.#closedBy ?? new SocketClosedError("WebSocket is not open yet"));
      }
    });
  }

  /** Ends it from this side; requests under way are cancelled, and the listener is told nothing more. */
  close() {
    this.#finish(1000, new CancelledError("WebSocket closed by this side"));
  }

  /** @param {unknown} data of a frame */
  #received(data) {
    if (this.#state !== "open") return;
    const message = decode(data);
    if (message === null) return;
    const waiting = message.requestId === undefined ? undefined : this.#take(message.requestId);
    if (waiting === undefined) this.#listener.onMessage(message);
    else if (message.type === "voice_error") waiting.reject(apiError(message));
    else waiting.resolve(message);
  }

  /** @param {VoiceClientError} error */
  #lost(error) {
    if (this.#finish(CLOSE_UNANSWERED, error)) this.#listener.onClose(error);
  }

  /**
   * @param {number} closeCode
   * @param {VoiceClientError} error for those who wait
   * @returns {boolean} false where it was closed before
   */
  #finish(closeCode, error) {
    if (this.#state === "closed") return false;
    this.#state = "closed";
    this.#closedBy = error;
    this.#raw.onopen = this.#raw.onmessage = this.#raw.onclose = null;
    this.#raw.close(closeCode);
    for (const requestId of [...this.#pending.keys()]) this.#take(requestId)?.reject(error);
    return true;
  }

  /** @param {string} requestId */
  #take(requestId) {
    const waiting = this.#pending.get(requestId);
    if (waiting === undefined) return undefined;
    this.#pending.delete(requestId);
    this.#clock.clearTimeout(waiting.timer);
    return waiting;
  }
}

/**
 * @param {unknown} data of a frame
 * @returns {Message | null} null where it is nothing that this side understands: a newer server may send more than we know
 */
function decode(data) {
  if (typeof data !== "string") return null;
  try {
    const message = JSON.parse(data);
    return typeof message === "object" && message !== null && typeof message.type === "string" ? message : null;
  } catch {
    return null;
  }
}
