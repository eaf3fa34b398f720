/**
 * Who is in the room, from snapshots and events, in the order of joining. Participants are replaced, never changed, so that a page can
 * compare by identity.
 *
 * @import { Participant, Speaker, WireParticipant } from "./types.js"
 */
export class Roster {
  /** @type {Map<string, Participant>} by session id; a map keeps the order of insertion */
  #bySession = new Map();

  /** Everyone, in order of joining. */
  get list() {
    return [...this.#bySession.values()];
  }

  /**
   * @param {string} sessionId
   * @returns {Participant | undefined}
   */
  get(sessionId) {
    return this.#bySession.get(sessionId);
  }

  /**
   * Takes a snapshot over: it replaces everything known.
   *
   * @param {readonly WireParticipant[]} snapshot
   */
  reset(snapshot) {
    const before = this.#bySession;
    this.#bySession = new Map(snapshot.map((wire) => [wire.sessionId, fromWire(wire, before.get(wire.sessionId))]));
  }

  /**
   * @param {WireParticipant} wire
   * @returns {Participant}
   */
  add(wire) {
    const participant = fromWire(wire, this.#bySession.get(wire.sessionId));
    this.#bySession.set(participant.sessionId, participant);
    return participant;
  }

  /**
   * @param {string} sessionId
   * @returns {Participant | undefined} the one who was there
   */
  remove(sessionId) {
    const participant = this.#bySession.get(sessionId);
    this.#bySession.delete(sessionId);
    return participant;
  }

  /**
   * @param {string} sessionId
   * @param {Partial<Participant>} changes
   * @returns {Participant | undefined} undefined where nobody has that id
   */
  change(sessionId, changes) {
    const participant = this.#bySession.get(sessionId);
    if (participant === undefined) return undefined;
    const changed = { ...participant, ...changes };
    this.#bySession.set(sessionId, changed);
    return changed;
  }

  /** @param {readonly Speaker[]} speakers those whose state or level changed; nothing is said about the others */
  speaking(speakers) {
    for (const { sessionId, speaking, level } of speakers) {
      this.change(sessionId, { isSpeaking: speaking, level: speaking ? level : 0 });
    }
  }
}

/**
 * @param {WireParticipant} wire
 * @param {Participant | undefined} before the same one as known until now: some things a snapshot does not tell
 * @returns {Participant}
 */
function fromWire(wire, before) {
  const isMuted = wire.isMuted ?? false;
  const isSpeaking = wire.isSpeaking ?? false;
  return {
    sessionId: wire.sessionId,
    userId: wire.userId,
    username: wire.username,
    avatarEmoji: wire.avatarEmoji ?? null,
    role: wire.role ?? "user",
    isMuted,
    mutedBy: isMuted ? (before?.mutedBy ?? null) : null,
    isSpeaking,
    level: isSpeaking ? (before?.level ?? 0) : 0,
    handRaised: wire.handRaised ?? false,
  };
}
