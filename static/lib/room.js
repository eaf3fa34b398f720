/**
 * What this side knows of the room: people, slots, who is muted. Fed by snapshots and messages, tells what changed.
 *
 * @import { Emitter } from "./emitter.js"
 * @import { VoiceClientEvents } from "./events.js"
 * @import { Message, Participant, Slot, WireParticipant } from "./types.js"
 */
import { BannedError, KickedError, ReplacedError, SessionGoneError, VoiceClientError, apiError } from "./errors.js";
import { Roster } from "./roster.js";

/**
 * What the room asks of its owner.
 *
 * @typedef {object} RoomOwner
 * @property {Emitter<VoiceClientEvents>["emit"]} emit
 * @property {() => Map<string, MediaStreamTrack>} tracks those of others, by `mid`
 * @property {(audible: boolean) => void} audible whether this side's microphone may be heard
 * @property {(error: VoiceClientError) => void} removed the server ended the stay
 * @property {(reason: string) => void} mediaFailed the server gave up on this side's connection, which may not notice by itself
 */

/** @type {Readonly<Record<string, typeof VoiceClientError>>} by the reason with which the server ends our own session */
const END_ERRORS = Object.freeze({ kicked: KickedError, banned: KickedError, replaced: ReplacedError });

export class Room {
  #owner;
  #roster = new Roster();
  /** @type {string | null} null until there is a session */
  #ownSessionId = null;
  #selfMuted = false;
  #moderatorMuted = false;
  /** @type {readonly {mid: string, sessionId: string | null, userId: string | null}[]} as last told by the server */
  #told = [];

  /** @param {RoomOwner} owner */
  constructor(owner) {
    this.#owner = owner;
  }

  /** Everyone, in order of joining. */
  get participants() {
    return this.#roster.list;
  }

  /** @returns {Slot[]} who is heard on which track */
  get slots() {
    const tracks = this.#owner.tracks();
    return this.#told.map((slot) => ({ ...slot, track: tracks.get(slot.mid) ?? null }));
  }

  get selfMuted() {
    return this.#selfMuted;
  }

  get moderatorMuted() {
    return this.#moderatorMuted;
  }

  /**
   * @param {string} ownSessionId
   * @param {readonly WireParticipant[]} participants
   */
  enter(ownSessionId, participants) {
    this.#ownSessionId = ownSessionId;
    this.snapshot(participants);
  }

  /**
   * @param {readonly WireParticipant[]} participants everyone, this side included
   * @returns {boolean} whether this side muted or unmuted itself and the server does not know yet
   */
  snapshot(participants) {
    this.#roster.reset(participants);
    const own = this.#ownSessionId === null ? undefined : this.#roster.get(this.#ownSessionId);
    const differs = own !== undefined && !this.#moderatorMuted && own.isMuted !== this.#selfMuted;
    if (differs) this.#roster.change(own.sessionId, { isMuted: this.#selfMuted, mutedBy: this.#selfMuted ? "self" : null });
    this.#rosterChanged();
    return differs;
  }

  /** @param {boolean} muted by ourselves */
  muteSelf(muted) {
    this.#selfMuted = muted;
    this.#muteChanged("self", muted);
  }

  /** @param {boolean} raised our own hand */
  raiseHand(raised) {
    this.#changeOwn({ handRaised: raised });
  }

  /** @param {Message} message of the server; one of an unknown type is passed over: not for us, or newer than we are */
  received(message) {
    if (Object.hasOwn(this.#handlers, message.type)) this.#handlers[message.type]?.(message);
  }

  /** @type {Record<string, (message: Message) => void>} by type */
  #handlers = {
    voice_join: ({ type, ...wire }) => {
      const participant = this.#roster.add(/** @type {any} */ (wire));
      this.#rosterChanged();
      if (participant.sessionId !== this.#ownSessionId) this.#owner.emit("joined", { participant });
    },
    voice_leave: ({ sessionId, reason }) => {
      if (sessionId === this.#ownSessionId) {
        const Class = END_ERRORS[reason] ?? SessionGoneError;
        this.#owner.removed(new Class("the server ended the session", { details: { end_reason: reason } }));
        return;
      }
      const participant = this.#roster.remove(sessionId);
      if (participant === undefined) return;
      this.#rosterChanged();
      this.#owner.emit("left", { participant, reason: reason ?? "" });
    },
    voice_slots: ({ slots }) => {
      this.#told = slots;
      this.#owner.emit("slots", { slots: this.slots });
    },
    voice_speaking: ({ speakers }) => {
      this.#roster.speaking(speakers);
      this.#owner.emit("speaking", { speakers });
      this.#rosterChanged();
    },
    voice_mute: ({ sessionId, muted, by }) => {
      if (sessionId === this.#ownSessionId) {
        // What we did ourselves we know.
        if (by !== "moderator") return;
        this.#moderatorMuted = muted;
        this.#muteChanged(by, muted);
      } else {
        this.#roster.change(sessionId, { isMuted: muted, mutedBy: muted ? by : null });
        this.#rosterChanged();
      }
    },
    voice_hand: ({ sessionId, raised }) => {
      this.#roster.change(sessionId, { handRaised: raised });
      this.#rosterChanged();
    },
    voice_media: ({ connected, reason }) => {
      if (connected === false) this.#owner.mediaFailed(reason ?? "");
    },
    voice_quality: ({ type, ...quality }) => this.#owner.emit("quality", /** @type {any} */ (quality)),
    voice_warn: ({ reason, by, actionId }) => this.#owner.emit("warned", { reason, by, actionId }),
    voice_kick: ({ reason, by, banned, expiresAt }) => {
      const Class = banned === true ? BannedError : KickedError;
      const error = new Class(banned === true ? "banned" : "kicked", { details: { reason, by, expires_at: expiresAt ?? null } });
      error.sessionGone = true;
      this.#owner.removed(error);
    },
    voice_error: (message) => this.#owner.emit("error", { error: apiError(message) }),
  };

  /**
   * @param {"self" | "moderator"} by
   * @param {boolean} muted
   */
  #muteChanged(by, muted) {
    // The end of a moderator's mute opens no microphone that its owner closed.
    const isMuted = this.#selfMuted || this.#moderatorMuted;
    this.#owner.audible(!isMuted);
    const mutedBy = this.#moderatorMuted ? "moderator" : "self";
    this.#changeOwn({ isMuted, mutedBy: isMuted ? mutedBy : null });
    this.#owner.emit("mute", { muted, by });
  }

  /** @param {Partial<Participant>} changes */
  #changeOwn(changes) {
    if (this.#ownSessionId !== null && this.#roster.change(this.#ownSessionId, changes)) this.#rosterChanged();
  }

  #rosterChanged() {
    this.#owner.emit("participants", { participants: this.#roster.list });
  }
}
