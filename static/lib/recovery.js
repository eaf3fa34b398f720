/**
 * What is done about a connection that was up and is not now: wait, restart ICE where it failed, give up after a while.
 *
 * A browser calls a silent path `disconnected` after some 5 s, comes back by itself when packets do, and calls it `failed` after 15
 * (Chromium) to 27 s (Firefox); from `failed` only an ICE restart helps.
 *
 * @import { Clock } from "./clock.js"
 */
import { ConnectionFailedError, VoiceClientError, asVoiceClientError } from "./errors.js";

/** Between a restart that the server could not serve and the next. */
const RETRY_MS = 2_000;

/**
 * @typedef {object} RecoveryOptions
 * @property {Clock} clock
 * @property {number} giveUpAfterMs from the loss
 * @property {() => boolean} canRestart whether an offer can be sent now
 * @property {() => Promise<void>} restart
 * @property {(error: VoiceClientError) => void} gaveUp
 */
export class MediaRecovery {
  /** @type {"whole" | "waiting" | "broken" | "restarting"} `waiting`: may come back by itself; `broken`: will not */
  #state = "whole";
  #options;
  /** @type {unknown} handle of the timer that runs while not whole */
  #deadline = null;

  /** @param {RecoveryOptions} options */
  constructor(options) {
    this.#options = options;
  }

  get isWhole() {
    return this.#state === "whole";
  }

  /** @param {RTCPeerConnectionState} connectionState as it is now */
  connectionChanged(connectionState) {
    if (connectionState === "connected") {
      this.stop();
    } else if (connectionState === "disconnected" && this.#state === "whole") {
      this.#state = "waiting";
      this.#startDeadline();
    } else if (connectionState === "failed") {
      this.#state = "broken";
      this.#startDeadline();
      this.tryRestart();
    }
  }

  /** To be called when offers can be sent again, too. */
  tryRestart() {
    if (this.#state !== "broken" || !this.#options.canRestart()) return;
    this.#state = "restarting";
    this.#options.restart().catch((error) => this.#restartFailed(asVoiceClientError(error)));
  }

  /** Nothing to recover (any more). */
  stop() {
    this.#state = "whole";
    this.#options.clock.clearTimeout(this.#deadline);
    this.#deadline = null;
  }

  /** @param {VoiceClientError} error */
  #restartFailed(error) {
    if (this.#state !== "restarting") return;
    if (!error.retryable) {
      this.#giveUp(error);
      return;
    }
    // Where signalling went away meanwhile, this finds nothing to do and `tryRestart` is called when it is back.
    this.#state = "broken";
    this.#options.clock.setTimeout(() => this.tryRestart(), RETRY_MS);
  }

  #startDeadline() {
    this.#deadline ??= this.#options.clock.setTimeout(
      () => this.#giveUp(new ConnectionFailedError("the audio path was lost and did not come back")),
      this.#options.giveUpAfterMs,
    );
  }

  /** @param {VoiceClientError} error */
  #giveUp(error) {
    this.stop();
    this.#options.gaveUp(error);
  }
}
