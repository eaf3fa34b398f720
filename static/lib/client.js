/**
 * One stay in one room, from join to the account of it. No DOM: a page listens to its events.
 *
 * Backend first: the session is made by REST before anything else, and whatever fails after that (microphone, socket, connection)
 * ends it at once. Every way out goes through `#end`.
 *
 * @import { Clock } from "./clock.js"
 * @import { Outcome, VoiceClientEvents } from "./events.js"
 * @import { State } from "./states.js"
 * @import { GetUserMedia, JoinRequest, PeerConnectionConstructor, SendBeacon, Session, SocketConstructor, Summary } from "./types.js"
 */
import { systemClock, withTimeout } from "./clock.js";
import { Emitter } from "./emitter.js";
import { CancelledError, ConnectionFailedError, VoiceClientError, asVoiceClientError } from "./errors.js";
import { MediaConnection } from "./media.js";
import { Microphone } from "./microphone.js";
import { MediaRecovery } from "./recovery.js";
import { RestClient } from "./rest.js";
import { Room } from "./room.js";
import { Signalling } from "./signalling.js";
import { StateMachine } from "./states.js";

/**
 * @typedef {object} VoiceClientOptions
 * @property {string} baseUrl where the server is, such as `location.origin`
 * @property {string} [language] for the server's texts
 * @property {MediaTrackConstraints} [audio] what to ask of the microphone
 * @property {(line: string) => void} [log] gets `old -> new (why)` for each change of state
 * @property {typeof fetch} [fetch]
 * @property {SocketConstructor} [WebSocket]
 * @property {PeerConnectionConstructor} [RTCPeerConnection]
 * @property {GetUserMedia} [getUserMedia]
 * @property {SendBeacon} [sendBeacon]
 * @property {Clock} [clock]
 * @property {() => number} [random]
 * @property {Partial<typeof TIMEOUTS>} [timeouts]
 */

/** All in milliseconds. */
export const TIMEOUTS = Object.freeze({
  /** of one REST request, of opening the socket, of one answer on it */
  answer: 10_000,
  /** from the answer to audio; a browser calls a path failed after some 15 s */
  connect: 15_000,
  /** of a lost audio path, until the stay is ended */
  recovery: 60_000,
});

/** @type {MediaTrackConstraints} */
const AUDIO = { echoCancellation: true, noiseSuppression: true, autoGainControl: true };

/** @extends {Emitter<VoiceClientEvents>} */
export class VoiceClient extends Emitter {
  #machine;
  #rest;
  #clock;
  #random;
  #WebSocket;
  #timeouts;
  #audio;
  #microphone;
  #media;
  #recovery;
  #room;
  /** @type {Session | null} null before the REST join answered */
  #session = null;
  /** @type {Promise<Session> | null} the REST join, once it was sent */
  #joining = null;
  /** @type {Signalling | null} null before there is a session */
  #signalling = null;
  /** @type {Promise<Outcome> | null} null until it ends */
  #ending = null;
  /** @type {VoiceClientError | null} */
  #endError = null;
  /** @type {(error: VoiceClientError | null) => void} settles the wait for the first audio path; null for success */
  #mediaSettled = () => {};

  /** @param {VoiceClientOptions} options */
  constructor(options) {
    super();
    const { baseUrl, language, audio = AUDIO, log = () => {}, fetch, sendBeacon, clock = systemClock, random = Math.random } = options;
    this.#clock = clock;
    this.#random = random;
    this.#audio = audio;
    this.#timeouts = { ...TIMEOUTS, ...options.timeouts };
    this.#WebSocket = options.WebSocket ?? /** @type {SocketConstructor} */ (globalThis.WebSocket);
    this.#rest = new RestClient({
      baseUrl,
      clock,
      random,
      timeoutMs: this.#timeouts.answer,
      ...(language ? { language } : {}),
      ...(fetch ? { fetch } : {}),
      ...(sendBeacon ? { sendBeacon } : {}),
    });
    this.#machine = new StateMachine((from, to, why) => this.emit("state", { from, to, why, error: this.#endError }), log);
    this.#microphone = new Microphone(options.getUserMedia ?? browserMicrophone(), (state) => this.emit("microphone", { state }));
    this.#room = new Room({
      emit: (name, payload) => this.emit(name, payload),
      tracks: () => this.#media.tracks,
      audible: (audible) => this.#microphone.setEnabled(audible),
      removed: (error) => void this.#end("removed", error),
      mediaFailed: (reason) => this.#mediaRefused(reason),
    });
    this.#media = new MediaConnection({
      RTCPeerConnection: options.RTCPeerConnection ?? globalThis.RTCPeerConnection ?? null,
      negotiate: (offer) => this.#negotiate(offer),
      changed: (state) => this.#mediaChanged(state),
    });
    this.#recovery = new MediaRecovery({
      clock,
      giveUpAfterMs: this.#timeouts.recovery,
      canRestart: () => this.#signalling?.isUp ?? false,
      restart: () => this.restartIce(),
      gaveUp: (error) => void this.#end("failed", error),
    });
  }

  /** @returns {State} */
  get state() {
    return this.#machine.state;
  }

  /** The session's id; null before the REST join answered. */
  get sessionId() {
    return this.#session?.sessionId ?? null;
  }

  /** Places in the room; null before the REST join answered. */
  get maxParticipants() {
    return this.#session?.maxParticipants ?? null;
  }

  /** Everyone in the room, in order of joining. */
  get participants() {
    return this.#room.participants;
  }

  /** Who is heard on which track. */
  get slots() {
    return this.#room.slots;
  }

  /** Whether the person is still being asked for the microphone, has given it, and whether it went away afterwards. */
  get microphone() {
    return this.#microphone.state;
  }

  /** Whether this side muted itself. */
  get muted() {
    return this.#room.selfMuted;
  }

  /** Whether a moderator muted this side. */
  get mutedByModerator() {
    return this.#room.moderatorMuted;
  }

  /** Number of offers made: 1, and one more for each ICE restart; nothing else needs one. */
  get offers() {
    return this.#media.offers;
  }

  /**
   * Joins; resolves when audio flows. To be called once.
   *
   * @param {JoinRequest} request
   * @returns {Promise<void>}
   * @throws {VoiceClientError} after everything was rolled back; `CancelledError` where `leave` was called meanwhile
   */
  async join(request) {
    this.#machine.to("joining", "join was called");
    try {
      await this.#enter(request);
    } catch (cause) {
      const { error } = await this.#end("failed", asVoiceClientError(cause));
      throw error ?? new CancelledError("left while joining");
    }
  }

  /**
   * Ends the stay, in any state, as often as one likes.
   *
   * @returns {Promise<Outcome>} when the backend has answered and nothing is left; never rejects
   */
  leave() {
    return this.#end("left", null);
  }

  /**
   * Ends the stay from a page that is going away (`pagehide`): at once, and without an account of it.
   *
   * @returns {void}
   */
  leaveByBeacon() {
    if (this.#ending !== null) return;
    const session = this.#session;
    const taken = session !== null && this.#rest.leaveByBeacon(session);
    void this.#end("left", null, taken ? () => Promise.resolve(null) : undefined);
  }

  /**
   * Mutes or unmutes this side: at once here, and the server drops what would still come.
   *
   * @param {boolean} muted
   * @returns {void}
   */
  setMuted(muted) {
    if (muted === this.#room.selfMuted) return;
    this.#room.muteSelf(muted);
    this.#signalling?.send("voice_mute", { muted });
  }

  /**
   * @param {boolean} raised
   * @returns {void}
   */
  setHand(raised) {
    this.#signalling?.send("voice_hand", { raised });
    this.#room.raiseHand(raised);
  }

  /**
   * Says that a moderator's warning was read; until then it is shown again on every new connection.
   *
   * @param {string} actionId of the event `warned`
   * @returns {void}
   */
  acknowledgeWarning(actionId) {
    this.#signalling?.send("voice_warn_ack", { actionId });
  }

  /**
   * Finds a new path for the audio. Done by itself after a failure.
   *
   * @returns {Promise<void>} when the answer was taken
   * @throws {VoiceClientError}
   */
  async restartIce() {
    await this.#media.restartIce();
    this.emit("negotiated", { offers: this.#media.offers });
  }

  // -- the way in -------------------------------------------------------------------------------------------------------

  /** @param {JoinRequest} request */
  async #enter(request) {
    this.#joining = this.#rest.join(request);
    const session = await this.#joining.finally(() => {
      this.#joining = null;
    });
    this.#goOn();
    this.#session = session;
    this.#room.enter(session.sessionId, session.participants);
    const signalling = this.#openSignalling(session);
    this.#machine.to("signalling", "the backend made a session");
    // At the same time: the prompt for the microphone may stay open for long, and the socket keeps the place meanwhile.
    const [joined, microphone] = await Promise.all([this.#openFirst(signalling), this.#microphone.open(this.#audio)]);
    this.#goOn();
    this.#machine.to("media", "socket and microphone are open");
    const iceServers = joined.iceServers.length > 0 ? joined.iceServers : session.iceServers;
    const connected = new Promise((resolve, reject) => {
      this.#mediaSettled = (error) => (error === null ? resolve(undefined) : reject(error));
    });
    await Promise.all([
      this.#media.start({ ...microphone, slots: joined.slots, iceServers }).then(() => this.#negotiated()),
      withTimeout(connected, this.#timeouts.connect, this.#clock, () => new ConnectionFailedError("no audio path in time")),
    ]);
    this.#goOn();
    this.#machine.to("connected", "audio flows");
  }

  /** @throws {CancelledError} where the stay has ended while something was waited for */
  #goOn() {
    if (this.#ending !== null) throw new CancelledError("the stay ended while joining");
  }

  /** @param {Session} session */
  #openSignalling(session) {
    const url = new URL(session.signallingUrl, this.#rest.url("/"));
    url.protocol = url.protocol === "https:" || url.protocol === "wss:" ? "wss:" : "ws:";
    const signalling = new Signalling({
      session,
      url: url.href,
      WebSocket: this.#WebSocket,
      clock: this.#clock,
      random: this.#random,
      timeoutMs: this.#timeouts.answer,
    });
    signalling.on("message", (message) => this.#room.received(message));
    signalling.on("lost", ({ error }) => {
      if (this.state === "connected" || this.state === "reconnecting") this.#linksChanged("signalling was lost");
      else void this.#end("failed", error);
    });
    signalling.on("resumed", ({ joined }) => {
      this.#signalled(joined.participants);
      this.#recovery.tryRestart();
      this.#linksChanged("signalling is back");
    });
    signalling.on("failed", ({ error }) => void this.#end(error.sessionGone ? "removed" : "failed", error));
    this.#signalling = signalling;
    return signalling;
  }

  /** @param {Signalling} signalling */
  async #openFirst(signalling) {
    const joined = await signalling.open();
    // At once, and not when the microphone is there: from now on messages change what this snapshot says.
    this.#signalled(joined.participants);
    return joined;
  }

  /** @param {Session["participants"]} participants as the server has just told on the socket */
  #signalled(participants) {
    const tell = this.#room.snapshot(participants);
    if (tell) this.#signalling?.send("voice_mute", { muted: this.muted });
  }

  // -- media ------------------------------------------------------------------------------------------------------------

  /** @param {{type: "offer", sdp: string}} sdp */
  async #negotiate(sdp) {
    if (this.#signalling === null) throw new CancelledError("there is no session");
    const answer = await this.#signalling.request("voice_offer", { sdp });
    return /** @type {RTCSessionDescriptionInit} */ (answer["sdp"]);
  }

  #negotiated() {
    this.emit("negotiated", { offers: this.#media.offers });
    this.emit("slots", { slots: this.#room.slots });
  }

  /** @param {RTCPeerConnectionState} connectionState */
  #mediaChanged(connectionState) {
    if (this.state === "media") {
      if (connectionState === "connected") this.#mediaSettled(null);
      else if (connectionState === "failed") this.#mediaSettled(new ConnectionFailedError("no audio path was found"));
      return;
    }
    this.#recovery.connectionChanged(connectionState);
    this.#linksChanged(`the audio path is ${connectionState}`);
  }

  /** @param {string} reason of the server, in its words */
  #mediaRefused(reason) {
    const error = new ConnectionFailedError("the server gave up on the audio path", { details: { reason } });
    // Later on it is the own connection that tells: this one may be about a path that was replaced meanwhile.
    if (this.state === "media") this.#mediaSettled(error);
    else this.emit("error", { error });
  }

  /**
   * Connected is who has both links.
   *
   * @param {string} why
   */
  #linksChanged(why) {
    const whole = this.#recovery.isWhole && (this.#signalling?.isUp ?? false);
    if (this.state === "connected" && !whole) this.#machine.to("reconnecting", why);
    else if (this.state === "reconnecting" && whole) this.#machine.to("connected", why);
  }

  // -- the way out ------------------------------------------------------------------------------------------------------

  /**
   * The one way out; the first call decides.
   *
   * @param {Outcome["reason"]} reason
   * @param {VoiceClientError | null} error
   * @param {() => Promise<Summary | null>} [farewell] tells the backend
   * @returns {Promise<Outcome>} never rejects
   */
  #end(reason, error, farewell = () => this.#farewell()) {
    if (this.#ending === null) {
      /** @type {(outcome: Outcome) => void} */
      let settle = () => {};
      // Set before anything is done: what listeners call from inside finds that it ends already.
      this.#ending = new Promise((resolve) => {
        settle = resolve;
      });
      void this.#wayOut(reason, error, farewell).then(settle);
    }
    return this.#ending;
  }

  /**
   * @param {Outcome["reason"]} reason
   * @param {VoiceClientError | null} error
   * @param {() => Promise<Summary | null>} farewell
   * @returns {Promise<Outcome>} never rejects
   */
  async #wayOut(reason, error, farewell) {
    const why = error?.code ?? "leave was called";
    this.#endError = error;
    const open = (this.#session !== null || this.#joining !== null) && !error?.sessionGone;
    // The backend first: its request is on the way before anything is cleaned up here.
    const told = open ? farewell() : Promise.resolve(null);
    this.#signalling?.close();
    this.#recovery.stop();
    this.#media.close();
    this.#microphone.close();
    this.#mediaSettled(error ?? new CancelledError("the stay ended"));
    if (open) this.#machine.to("leaving", why);
    /** @type {Outcome} */
    const outcome = { reason, error, summary: null };
    try {
      outcome.summary = await told;
    } catch (cause) {
      // The server finds out by itself; the page may want to say so.
      this.emit("error", { error: asVoiceClientError(cause) });
    }
    this.#machine.to("ended", why);
    this.emit("ended", outcome);
    return outcome;
  }

  /** @returns {Promise<Summary | null>} */
  async #farewell() {
    const session = this.#session ?? (await this.#joining?.catch(() => null)) ?? null;
    return session === null ? null : this.#rest.leave(session);
  }
}

/** @returns {GetUserMedia | null} null outside of a secure context, where browsers hide it */
function browserMicrophone() {
  const devices = globalThis.navigator?.mediaDevices;
  return devices ? (constraints) => devices.getUserMedia(constraints) : null;
}
