/**
 * Makes the slots audible: one `<audio>` for each, made once and kept. Who is heard in it changes, its track does not.
 *
 * They play even while nobody is in the slot: Chromium decodes a remote track only where an element plays it.
 *
 * @import { Slot } from "../lib/types.js"
 */
export class SlotAudio {
  #container;
  #makeStream;
  #blockedChanged;
  /** @type {Map<string, HTMLAudioElement>} by mid */
  #elements = new Map();
  /** @type {Set<HTMLAudioElement>} those that the browser does not let play without a click */
  #blocked = new Set();

  /**
   * @param {Element} container gets the elements
   * @param {(blocked: boolean) => void} blockedChanged
   * @param {(track: MediaStreamTrack) => MediaStream} [makeStream]
   */
  constructor(container, blockedChanged, makeStream = (track) => new MediaStream([track])) {
    this.#container = container;
    this.#blockedChanged = blockedChanged;
    this.#makeStream = makeStream;
  }

  /** @param {readonly Slot[]} slots */
  update(slots) {
    for (const { mid, sessionId, track } of slots) {
      if (track === null) continue;
      const element = this.#elements.get(mid) ?? this.#make(mid, track);
      element.dataset["sessionId"] = sessionId ?? "";
    }
  }

  /** To be called from a click: browsers then let everything play. */
  enable() {
    for (const element of [...this.#blocked]) void this.#play(element);
  }

  /** Silences and removes everything. */
  close() {
    for (const element of this.#elements.values()) {
      element.srcObject = null;
      element.remove();
    }
    this.#elements.clear();
    this.#blocked.clear();
  }

  /**
   * @param {string} mid
   * @param {MediaStreamTrack} track
   */
  #make(mid, track) {
    const element = this.#container.ownerDocument.createElement("audio");
    element.dataset["testid"] = "slot-audio";
    element.dataset["mid"] = mid;
    element.srcObject = this.#makeStream(track);
    this.#elements.set(mid, element);
    this.#container.append(element);
    void this.#play(element);
    return element;
  }

  /** @param {HTMLAudioElement} element */
  async #play(element) {
    try {
      await element.play();
      this.#setBlocked(element, false);
    } catch (error) {
      // Anything else is a play() that was overtaken by the end of the stay.
      if (error instanceof Error && error.name === "NotAllowedError") this.#setBlocked(element, true);
    }
  }

  /**
   * @param {HTMLAudioElement} element
   * @param {boolean} blocked
   */
  #setBlocked(element, blocked) {
    const before = this.#blocked.size > 0;
    if (blocked) this.#blocked.add(element);
    else this.#blocked.delete(element);
    const after = this.#blocked.size > 0;
    if (before !== after) this.#blockedChanged(after);
  }
}
