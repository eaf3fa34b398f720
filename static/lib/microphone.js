/**
 * The microphone of one stay: asked for once, closed for good.
 *
 * @import { GetUserMedia } from "./types.js"
 */
import { CancelledError, InsecureContextError, MicrophoneError, microphoneError } from "./errors.js";

export class Microphone {
  /** @type {"none" | "asking" | "open" | "ended" | "closed"} `ended`: the device went away, or the permission was withdrawn */
  #state = "none";
  #getUserMedia;
  #changed;
  /** @type {MediaStream | null} */
  #stream = null;
  #enabled = true;
  /** @type {(error: Error) => void} set while asking */
  #giveUp = () => {};

  /**
   * @param {GetUserMedia | null} getUserMedia null where the surroundings have none: then the page is not a secure context
   * @param {(state: "asking" | "open" | "ended") => void} changed
   */
  constructor(getUserMedia, changed) {
    this.#getUserMedia = getUserMedia;
    this.#changed = changed;
  }

  get state() {
    return this.#state;
  }

  /**
   * @param {MediaTrackConstraints} constraints
   * @returns {Promise<{stream: MediaStream, track: MediaStreamTrack}>}
   * @throws {MicrophoneError} `CancelledError` where it was closed while the person was still being asked
   */
  async open(constraints) {
    if (this.#getUserMedia === null) throw new InsecureContextError("there is no getUserMedia here");
    this.#to("asking");
    const asked = this.#getUserMedia({ audio: constraints, video: false });
    const closed = new Promise((_, reject) => {
      this.#giveUp = reject;
    });
    // The permission prompt may be answered long after nobody waits for it any more: nothing may stay switched on then.
    asked.then(
      (late) => this.#state === "closed" && stop(late),
      () => {},
    );
    let stream;
    try {
      stream = /** @type {MediaStream} */ (await Promise.race([asked, closed]));
    } catch (error) {
      throw error instanceof CancelledError ? error : microphoneError(error);
    }
    const [track] = stream.getAudioTracks();
    if (track === undefined) {
      stop(stream);
      throw new MicrophoneError("the stream has no audio track");
    }
    this.#stream = stream;
    track.enabled = this.#enabled;
    track.onended = () => this.#state === "open" && this.#to("ended");
    this.#to("open");
    return { stream, track };
  }

  /** @param {boolean} enabled false: silence is sent, and the device stays open so that unmuting is instant */
  setEnabled(enabled) {
    this.#enabled = enabled;
    for (const track of this.#stream?.getAudioTracks() ?? []) track.enabled = enabled;
  }

  /** Switches it off, also one that is still being asked for. */
  close() {
    this.#state = "closed";
    this.#giveUp(new CancelledError("the microphone is not needed any more"));
    if (this.#stream) stop(this.#stream);
    this.#stream = null;
  }

  /** @param {"asking" | "open" | "ended"} state */
  #to(state) {
    this.#state = state;
    this.#changed(state);
  }
}

/** @param {MediaStream} stream */
function stop(stream) {
  for (const track of stream.getTracks()) {
    track.onended = null;
    track.stop();
  }
}
