/**
 * The REST calls of the contract that a client needs.
 *
 * Tokens travel in the `Authorization` header only; the beacon of a closing page, which cannot set one, carries the session token in
 * its body.
 *
 * @import { Clock } from "./clock.js"
 * @import { JoinRequest, SendBeacon, Session, Summary, WireParticipant } from "./types.js"
 */
import { systemClock, delay } from "./clock.js";
import { Backoff } from "./backoff.js";
import { BadAnswerError, NetworkError, SessionAlreadyEndedError, SessionNotFoundError, TimeoutError, VoiceClientError } from "./errors.js";
import { apiError } from "./errors.js";

/**
 * @typedef {object} RestOptions
 * @property {string} baseUrl where the server is, such as `https://voice.example/`
 * @property {typeof fetch} [fetch]
 * @property {SendBeacon} [sendBeacon]
 * @property {Clock} [clock]
 * @property {() => number} [random]
 * @property {string} [language] for the server's texts (`Accept-Language`)
 * @property {number} [timeoutMs] of one request
 *
 * @typedef {object} GuestAnswer
 * @property {string} token
 * @property {string} userId
 *
 * @typedef {object} ServerConfig
 * @property {{id: string}[]} worlds
 * @property {string} default_language
 * @property {number} max_participants
 * @property {boolean} guests whether a name is enough to join
 *
 * @typedef {object} RoomInfo
 * @property {string} room_id
 * @property {number} participant_count
 * @property {number} max_participants
 * @property {boolean} is_full
 * @property {string} first_joined_at ISO 8601, UTC
 *
 * @typedef {object} Health
 * @property {string} status `ok` or `degraded`
 * @property {string} version
 * @property {string} database
 */

/** Times that a leave is sent before it is left to the server to find out. */
const LEAVE_ATTEMPTS = 3;

export class RestClient {
  #baseUrl;
  #fetch;
  #sendBeacon;
  #clock;
  #random;
  #language;
  #timeoutMs;

  /** @param {RestOptions} options */
  constructor({ baseUrl, fetch, sendBeacon, clock = systemClock, random = Math.random, language, timeoutMs = 10_000 }) {
    this.#baseUrl = baseUrl;
    // Both must be called as methods of their owner; a bare reference throws "Illegal invocation".
    this.#fetch = fetch ?? globalThis.fetch.bind(globalThis);
    this.#sendBeacon = sendBeacon ?? ((url, body) => globalThis.navigator?.sendBeacon?.(url, body) ?? false);
    this.#clock = clock;
    this.#random = random;
    this.#language = language;
    this.#timeoutMs = timeoutMs;
  }

  /** @returns {Promise<ServerConfig>} what a join form needs to know; open to everybody */
  async config() {
    const answer = await this.#request("GET", "/api/config");
    // A world is named by its id alone, or by an object that has one.
    const worlds = (answer["worlds"] ?? []).map((/** @type {string | {id: string}} */ world) => (typeof world === "string" ? { id: world } : world));
    return /** @type {ServerConfig} */ ({ ...answer, worlds });
  }

  /** @returns {Promise<Health>} also from a degraded server, which answers 503 */
  async health() {
    return /** @type {Health} */ (await this.#request("GET", "/api/health", { statuses: [503] }));
  }

  /**
   * @param {string} username
   * @param {string} [world]
   * @returns {Promise<GuestAnswer>} a user token for somebody without an account
   */
  async guest(username, world) {
    const answer = await this.#request("POST", "/api/auth/guest", { body: world ? { username, world } : { username } });
    return { token: answer["token"], userId: answer["user_id"] };
  }

  /**
   * @param {JoinRequest} request
   * @returns {Promise<Session>}
   */
  async join({ token, roomId, userId, username, world, avatarEmoji }) {
    const body = { room_id: roomId, user_id: userId, username, world, ...(avatarEmoji ? { avatar_emoji: avatarEmoji } : {}) };
    const answer = await this.#request("POST", "/api/voice/join", { token, body });
    if (typeof answer["session_id"] !== "string" || typeof answer["session_token"] !== "string") {
      throw new BadAnswerError("join was answered without a session");
    }
    return {
      sessionId: answer["session_id"],
      sessionToken: answer["session_token"],
      roomId: answer["room_id"] ?? roomId,
      userId,
      world: answer["world"] ?? world,
      maxParticipants: answer["max_participants"],
      participants: answer["participants"] ?? [],
      signallingUrl: answer["signalling_url"] ?? "/api/ws",
      iceServers: answer["ice_servers"] ?? [],
    };
  }

  /**
   * Ends the session; sent again where the server was not reached, as an ended session is no error.
   *
   * @param {{sessionId: string, sessionToken: string}} session
   * @returns {Promise<Summary | null>} null where it had been ended before
   */
  async leave({ sessionId, sessionToken }) {
    const backoff = new Backoff({ random: this.#random });
    for (;;) {
      try {
        const answer = await this.#request("POST", "/api/voice/leave", {
          token: sessionToken,
          body: { session_id: sessionId },
          keepalive: true,
          timeoutMs: Math.min(this.#timeoutMs, 5_000),
        });
        return {
          durationMs: answer["duration_ms"] ?? answer["duration_seconds"] * 1_000,
          speakingMs: answer["speaking_ms"] ?? answer["speaking_seconds"] * 1_000,
          leftAt: answer["left_at"],
        };
      } catch (error) {
        if (error instanceof SessionAlreadyEndedError || error instanceof SessionNotFoundError) return null;
        const again = error instanceof VoiceClientError && error.retryable && backoff.attempts < LEAVE_ATTEMPTS - 1;
        const waitMs = again ? backoff.next(this.#clock.now()) : null;
        if (waitMs === null) throw error;
        await delay(waitMs, this.#clock);
      }
    }
  }

  /**
   * Ends the session from a page that is going away, where no answer can be waited for.
   *
   * @param {{sessionId: string, sessionToken: string}} session
   * @returns {boolean} whether the browser took it
   */
  leaveByBeacon({ sessionId, sessionToken }) {
    // A string goes as text/plain: a "simple" request, so no CORS preflight, which a dying page could not wait for.
    const body = JSON.stringify({ session_id: sessionId, session_token: sessionToken });
    return this.#sendBeacon(this.url("/api/voice/leave"), body);
  }

  /**
   * @param {string} world
   * @param {string} token
   * @returns {Promise<RoomInfo[]>} the rooms with people in them
   */
  async rooms(world, token) {
    return (await this.#request("GET", `/api/voice/rooms/${encodeURIComponent(world)}`, { token }))["rooms"];
  }

  /**
   * @param {string} roomId
   * @param {string} token
   * @returns {Promise<WireParticipant[]>}
   */
  async participants(roomId, token) {
    return (await this.#request("GET", `/api/voice/participants/${encodeURIComponent(roomId)}`, { token }))["participants"];
  }

  /**
   * @param {string} path
   * @returns {string} absolute
   */
  url(path) {
    return new URL(path, this.#baseUrl).href;
  }

  /**
   * @param {"GET" | "POST"} method
   * @param {string} path
   * @param {object} [options]
   * @param {string} [options.token]
   * @param {object} [options.body]
   * @param {boolean} [options.keepalive] lets the request outlive the page
   * @param {number} [options.timeoutMs]
   * @param {readonly number[]} [options.statuses] statuses beside 2xx that are an answer here and no error
   * @returns {Promise<Record<string, any>>}
   */
  async #request(method, path, { token, body, keepalive = false, timeoutMs = this.#timeoutMs, statuses = [] } = {}) {
    const abort = new AbortController();
    const timer = this.#clock.setTimeout(() => abort.abort(), timeoutMs);
    /** @type {Record<string, string>} */
    const headers = { Accept: "application/json" };
    if (token) headers["Authorization"] = `Bearer ${token}`;
    if (this.#language) headers["Accept-Language"] = this.#language;
    if (body) headers["Content-Type"] = "application/json";
    try {
      const response = await this.#fetch(this.url(path), {
        method,
        headers,
        keepalive,
        cache: "no-store",
        credentials: "omit",
        signal: abort.signal,
        ...(body ? { body: JSON.stringify(body) } : {}),
      });
      const text = await response.text();
      const answer = parseObject(text);
      if (answer === null) throw new BadAnswerError(`status ${response.status} without a JSON object`);
      if (statuses.includes(response.status)) return answer;
      if (!response.ok || answer["success"] === false) {
        throw apiError(answer, { status: response.status, retryAfterSeconds: retryAfter(response.headers.get("Retry-After")) });
      }
      return answer;
    } catch (error) {
      if (error instanceof VoiceClientError) throw error;
      if (abort.signal.aborted) throw new TimeoutError(`${method} ${path} was not answered within ${timeoutMs} ms`, { cause: error });
      throw new NetworkError(`${method} ${path} did not reach the server`, { cause: error });
    } finally {
      this.#clock.clearTimeout(timer);
    }
  }
}

/**
 * @param {string} text
 * @returns {Record<string, any> | null} null where it is not a JSON object
 */
function parseObject(text) {
  try {
    const value = JSON.parse(text);
    return typeof value === "object" && value !== null && !Array.isArray(value) ? value : null;
  } catch {
    return null;
  }
}

/**
 * @param {string | null} header `Retry-After` (RFC 9110, 10.2.3); only its delay-seconds form, the one the contract uses
 * @returns {number | null} seconds
 */
function retryAfter(header) {
  return header !== null && /^\d+$/.test(header.trim()) ? Number(header) : null;
}
