/**
 * The one `RTCPeerConnection` of a stay: the microphone in one `sendonly` section, the voices of others in N `recvonly` ones.
 *
 * One offer, one answer. Who is heard in which section changes on the server and is told by `voice_slots`; the connection is not
 * negotiated again for it. Only an ICE restart makes a further offer.
 *
 * @import { PeerConnectionConstructor } from "./types.js"
 */
import { ConnectionFailedError, MediaUnsupportedError, NegotiationError, VoiceClientError } from "./errors.js";

/**
 * @typedef {(offer: {type: "offer", sdp: string}) => Promise<RTCSessionDescriptionInit>} Negotiate sends the offer, gives the answer
 */

export class MediaConnection {
  #PeerConnection;
  #negotiate;
  #changed;
  /** @type {RTCPeerConnection | null} null before `start` and after `close` */
  #connection = null;
  #offers = 0;

  /**
   * @param {object} options
   * @param {PeerConnectionConstructor | null} options.RTCPeerConnection null where the surroundings have none
   * @param {Negotiate} options.negotiate
   * @param {(state: RTCPeerConnectionState) => void} options.changed told the connection's state after each change
   */
  constructor({ RTCPeerConnection, negotiate, changed }) {
    this.#PeerConnection = RTCPeerConnection;
    this.#negotiate = negotiate;
    this.#changed = changed;
  }

  /** Number of offers made: 1, and one more for each ICE restart. */
  get offers() {
    return this.#offers;
  }

  /** @returns {RTCPeerConnectionState} */
  get state() {
    return this.#connection?.connectionState ?? "new";
  }

  /**
   * The tracks on which others are heard, by `mid`; empty before the offer, as sections have no `mid` yet.
   *
   * @returns {Map<string, MediaStreamTrack>}
   */
  get tracks() {
    const receiving = (this.#connection?.getTransceivers() ?? []).filter(({ direction, mid }) => direction === "recvonly" && mid !== null);
    return new Map(receiving.map(({ mid, receiver }) => [/** @type {string} */ (mid), receiver.track]));
  }

  /**
   * Makes the connection and its offer; resolves when the answer was taken. Whether it connects, `changed` tells.
   *
   * @param {object} options
   * @param {MediaStream} options.stream
   * @param {MediaStreamTrack} options.track of the microphone
   * @param {number} options.slots how many others can be heard at once
   * @param {RTCIceServer[]} options.iceServers
   * @returns {Promise<void>}
   * @throws {VoiceClientError}
   */
  async start({ stream, track, slots, iceServers }) {
    if (this.#PeerConnection === null) throw new MediaUnsupportedError("there is no RTCPeerConnection here");
    // max-bundle: without it Chromium gathers candidates for each section before it learns that one transport is enough.
    const connection = new this.#PeerConnection({ bundlePolicy: "max-bundle", iceServers });
    this.#connection = connection;
    connection.onconnectionstatechange = () => this.#changed(connection.connectionState);
    connection.addTransceiver(track, { direction: "sendonly", streams: [stream] });
    for (let slot = 0; slot < slots; slot += 1) connection.addTransceiver("audio", { direction: "recvonly" });
    await this.#offer(connection, {});
  }

  /**
   * Finds a new path for the same connection, after the old one failed.
   *
   * @returns {Promise<void>}
   * @throws {VoiceClientError}
   */
  async restartIce() {
    if (this.#connection === null) throw new ConnectionFailedError("there is no connection");
    await this.#offer(this.#connection, { iceRestart: true });
  }

  /** Ends it for good, without an event. */
  close() {
    if (this.#connection === null) return;
    this.#connection.onconnectionstatechange = null;
    this.#connection.close();
    this.#connection = null;
  }

  /**
   * @param {RTCPeerConnection} connection
   * @param {RTCOfferOptions} options
   */
  async #offer(connection, options) {
    try {
      await connection.setLocalDescription(await connection.createOffer(options));
      this.#offers += 1;
      const answer = await this.#negotiate({ type: "offer", sdp: connection.localDescription?.sdp ?? "" });
      await connection.setRemoteDescription(answer);
    } catch (error) {
      if (error instanceof VoiceClientError) throw error;
      throw new NegotiationError(error instanceof Error ? error.message : "offer or answer failed", { cause: error });
    }
  }
}
