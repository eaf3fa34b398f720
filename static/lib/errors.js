/**
 * What can go wrong, as classes. Read this first.
 *
 * Every error that the library hands out is a `VoiceClientError`: `code` is a stable key in snake_case (for a switch, or a
 * catalogue of texts), `details` what a client can act on, `retryAfterSeconds` how long to wait (null where waiting does not help).
 * `retryable` says whether the same thing may work a little later without anybody doing anything; `sessionGone` that the backend
 * has no open session of ours (any more), so that there is nothing to leave.
 */
export class VoiceClientError extends Error {
  code = "failed";
  retryable = false;
  sessionGone = false;
  /** @type {Record<string, any>} */
  details = {};
  /** @type {number | null} */
  retryAfterSeconds = null;

  /**
   * @param {string} [message] for developers; people get texts by `code`
   * @param {{cause?: unknown, details?: Record<string, any>}} [options]
   */
  constructor(message, { cause, details = {} } = {}) {
    super(message, cause === undefined ? undefined : { cause });
    this.name = new.target.name;
    this.details = details;
  }
}

/** The stay was ended from this side while something was still under way. */
export class CancelledError extends VoiceClientError {
  code = "cancelled";
}

// -- what the server said -------------------------------------------------------------------------------------------------

/** An error of the contract, by REST or as `voice_error`. `error` is its stable text, `status` null on the WebSocket. */
export class ApiError extends VoiceClientError {
  code = "server_error";
  error = "";
  /** For people, in the language that was asked for. */
  serverMessage = "";
  /** @type {number | null} */
  status = null;
}

export class MissingFieldsError extends ApiError {
  code = "missing_fields";
}
export class InvalidRequestError extends ApiError {
  code = "invalid_request";
}
export class UnauthorizedError extends ApiError {
  code = "unauthorized";
}
export class ForbiddenError extends ApiError {
  code = "forbidden";
}
export class RoomFullError extends ApiError {
  code = "room_full";
}
export class BannedError extends ApiError {
  code = "banned";
}
/** `details.session_id` names the session that is open already. */
export class AlreadyInRoomError extends ApiError {
  code = "already_in_room";
}
export class NotFoundError extends ApiError {
  code = "not_found";
}
export class MethodNotAllowedError extends ApiError {
  code = "method_not_allowed";
}
export class MissingSessionIdError extends ApiError {
  code = "missing_session_id";
}
export class SessionNotFoundError extends ApiError {
  code = "session_not_found";
  sessionGone = true;
}
/** `details.left_at` says when. */
export class SessionAlreadyEndedError extends ApiError {
  code = "session_already_ended";
  sessionGone = true;
}
export class PayloadTooLargeError extends ApiError {
  code = "payload_too_large";
}
export class RateLimitedError extends ApiError {
  code = "rate_limited";
  retryable = true;
}
export class ServerAtCapacityError extends ApiError {
  code = "server_at_capacity";
  retryable = true;
}
export class DrainingError extends ApiError {
  code = "draining";
  retryable = true;
}
export class BadMessageError extends ApiError {
  code = "bad_message";
}
export class WrongStateError extends ApiError {
  code = "wrong_state";
}
export class TargetNotFoundError extends ApiError {
  code = "target_not_found";
}
/** Something failed at the server; also every error text that this library does not know. */
export class ServerError extends ApiError {
  retryable = true;
}

/** @type {Readonly<Record<string, typeof ApiError>>} the contract's fixed list of texts */
export const API_ERRORS = Object.freeze({
  "Missing required fields": MissingFieldsError,
  "Invalid request": InvalidRequestError,
  Unauthorized: UnauthorizedError,
  Forbidden: ForbiddenError,
  "Room full": RoomFullError,
  Banned: BannedError,
  "Already in room": AlreadyInRoomError,
  "Not found": NotFoundError,
  "Method not allowed": MethodNotAllowedError,
  "Missing session_id": MissingSessionIdError,
  "Session not found": SessionNotFoundError,
  "Session already ended": SessionAlreadyEndedError,
  "Payload too large": PayloadTooLargeError,
  "Rate limited": RateLimitedError,
  "Server at capacity": ServerAtCapacityError,
  Draining: DrainingError,
  "Bad message": BadMessageError,
  "Wrong state": WrongStateError,
  "Target not found": TargetNotFoundError,
  "Internal error": ServerError,
});

/** Fields that every error has, on REST or on the WebSocket; what stands beside them are its details. */
const SHAPE = new Set(["success", "error", "message", "timestamp", "type", "requestId", "code", "sessionId", "retryAfter"]);

/**
 * @param {Record<string, any>} body an error of the contract, from either wire; names of details become snake_case as on REST
 * @param {{status?: number | null, retryAfterSeconds?: number | null}} [options]
 * @returns {ApiError} of the class that the contract's `error` text names
 */
export function apiError(body, { status = null, retryAfterSeconds = null } = {}) {
  const text = typeof body["error"] === "string" ? body["error"] : "";
  const entries = Object.entries(body).filter(([key]) => !SHAPE.has(key));
  const details = Object.fromEntries(entries.map(([key, value]) => [key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`), value]));
  const Class = Object.hasOwn(API_ERRORS, text) ? /** @type {typeof ApiError} */ (API_ERRORS[text]) : ServerError;
  const error = new Class(text || `status ${status ?? "unknown"}`, { details });
  error.error = text;
  error.status = status;
  error.serverMessage = typeof body["message"] === "string" ? body["message"] : "";
  error.retryAfterSeconds = retryAfterSeconds ?? (typeof body["retryAfter"] === "number" ? body["retryAfter"] : null);
  return error;
}

// -- what went wrong on the way -------------------------------------------------------------------------------------------

/** The server was not reached. */
export class NetworkError extends VoiceClientError {
  code = "network";
  retryable = true;
}
/** The server was asked and did not answer in time. */
export class TimeoutError extends VoiceClientError {
  code = "timeout";
  retryable = true;
}
/** Something answered, but not in the words of the contract (a proxy's error page, say). */
export class BadAnswerError extends VoiceClientError {
  code = "bad_answer";
  retryable = true;
}
/** The WebSocket closed, or never opened. `details.closeCode` is its code. */
export class SocketClosedError extends VoiceClientError {
  code = "socket_closed";
  retryable = true;
}
/** The WebSocket was lost, and tries to get it back were given up. */
export class SignallingLostError extends VoiceClientError {
  code = "signalling_lost";
}
/** The server does not understand this client (4400, 1009). */
export class ProtocolError extends VoiceClientError {
  code = "protocol";
}
/** The session token was refused on the WebSocket (4401). */
export class SessionRefusedError extends VoiceClientError {
  code = "session_refused";
}
/** Kicked or banned (4403). `details` holds `reason` and `by` where they were told. */
export class KickedError extends VoiceClientError {
  code = "kicked";
  sessionGone = true;
}
/** The backend ended the session: it was away for too long, or somebody ended it (4404). `details.end_reason` where it was told. */
export class SessionGoneError extends VoiceClientError {
  code = "session_gone";
  sessionGone = true;
}
/** A newer connection took the session over (4409): it lives on there and must not be left from here. */
export class ReplacedError extends VoiceClientError {
  code = "replaced";
  sessionGone = true;
}

/** @type {Readonly<Record<number, typeof VoiceClientError>>} close codes after which coming back is of no use */
export const FATAL_CLOSE_CODES = Object.freeze({
  1009: ProtocolError,
  4400: ProtocolError,
  4401: SessionRefusedError,
  4403: KickedError,
  4404: SessionGoneError,
  4409: ReplacedError,
});

/**
 * @param {number} closeCode
 * @param {string} reason
 * @returns {VoiceClientError} a `SocketClosedError` (retryable) where coming back may help
 */
export function closeError(closeCode, reason) {
  const Class = FATAL_CLOSE_CODES[closeCode] ?? SocketClosedError;
  return new Class(`WebSocket closed with ${closeCode}`, { details: reason ? { closeCode, reason } : { closeCode } });
}

// -- microphone and media -------------------------------------------------------------------------------------------------

/** The microphone could not be had; the children say why. */
export class MicrophoneError extends VoiceClientError {
  code = "microphone_failed";
}
export class MicrophoneDeniedError extends MicrophoneError {
  code = "microphone_denied";
}
export class MicrophoneNotFoundError extends MicrophoneError {
  code = "microphone_not_found";
}
export class MicrophoneBusyError extends MicrophoneError {
  code = "microphone_busy";
}
/** Browsers give a microphone to pages from https or localhost only. */
export class InsecureContextError extends MicrophoneError {
  code = "insecure_context";
}

/** @type {Readonly<Record<string, typeof MicrophoneError>>} by the name of the `DOMException` of `getUserMedia` */
const MICROPHONE_ERRORS = Object.freeze({
  NotAllowedError: MicrophoneDeniedError,
  SecurityError: MicrophoneDeniedError,
  NotFoundError: MicrophoneNotFoundError,
  OverconstrainedError: MicrophoneNotFoundError,
  NotReadableError: MicrophoneBusyError,
  AbortError: MicrophoneBusyError,
});

/**
 * @param {unknown} cause what `getUserMedia` threw
 * @returns {MicrophoneError}
 */
export function microphoneError(cause) {
  const name = cause instanceof Error ? cause.name : "";
  const Class = MICROPHONE_ERRORS[name] ?? MicrophoneError;
  return new Class(name || "getUserMedia failed", { cause });
}

/** This browser has no WebRTC. */
export class MediaUnsupportedError extends VoiceClientError {
  code = "media_unsupported";
}
/** Offer or answer could not be made or used. */
export class NegotiationError extends VoiceClientError {
  code = "negotiation_failed";
}
/** No audio path to the server came about, or it was lost and did not come back. */
export class ConnectionFailedError extends VoiceClientError {
  code = "connection_failed";
}

/**
 * @param {unknown} cause
 * @returns {VoiceClientError} `cause` itself where it is one
 */
export function asVoiceClientError(cause) {
  if (cause instanceof VoiceClientError) return cause;
  return new VoiceClientError(cause instanceof Error ? cause.message : String(cause), { cause });
}
