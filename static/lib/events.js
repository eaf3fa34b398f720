/**
 * What a `VoiceClient` tells, and how a stay ends. Types only.
 *
 * @import { VoiceClientError } from "./errors.js"
 * @import { State } from "./states.js"
 * @import { Participant, Quality, Slot, Speaker, Summary } from "./types.js"
 *
 * How a stay ended. `left`: by wish of this side. `failed`: it never came about, or was lost. `removed`: the server ended it.
 *
 * @typedef {object} Outcome
 * @property {"left" | "failed" | "removed"} reason
 * @property {VoiceClientError | null} error null exactly when `left`
 * @property {Summary | null} summary null where the backend was not reached, or had no open session any more
 *
 * @typedef {object} VoiceClientEvents
 * @property {{from: State, to: State, why: string, error: VoiceClientError | null}} state `error`: what makes it leave, known before
 *   the backend has answered
 * @property {{participants: Participant[]}} participants whenever anything about anybody changed, levels included
 * @property {{participant: Participant}} joined somebody else came
 * @property {{participant: Participant, reason: string}} left somebody else went
 * @property {{speakers: Speaker[]}} speaking at once on each change, levels five times a second
 * @property {{slots: Slot[]}} slots who is heard on which track
 * @property {{offers: number}} negotiated an offer was answered
 * @property {{muted: boolean, by: "self" | "moderator"}} mute of this side
 * @property {{state: "asking" | "open" | "ended"}} microphone
 * @property {Quality} quality
 * @property {{reason: string | null, by: string, actionId: string}} warned by a moderator; to be acknowledged (`acknowledgeWarning`)
 * @property {{error: VoiceClientError}} error something failed that does not end the stay
 * @property {Outcome} ended
 */

export {};
