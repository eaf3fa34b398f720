/** The room while one is in it. Fires `leave`; everything else it asks of the client by itself. */
import { html, nothing } from "lit";
import { repeat } from "lit/directives/repeat.js";
import { SlotAudio } from "./audio.js";
import { PageElement } from "./element.js";
import { clockText } from "./i18n.js";
import { leave, loudspeaker, microphone, microphoneOff, warning } from "./icons.js";
import { worldName } from "./join_form.js";
import { tile } from "./tile.js";

/**
 * @import { VoiceClient } from "../lib/client.js"
 * @import { Participant } from "../lib/types.js"
 * @import { Key } from "./i18n.js"
 * @import { JoinDetail } from "./join_form.js"
 */

/** Ways to be gone that deserve a word of their own. @type {Readonly<Record<string, Key>>} */
const LEFT_TEXTS = Object.freeze({ kicked: "event.kicked", banned: "event.kicked", timeout: "event.lost" });

export class RoomView extends PageElement {
  static properties = {
    client: { attribute: false },
    where: { attribute: false },
    participants: { state: true },
    blocked: { state: true },
    news: { state: true },
    warned: { state: true },
  };

  /** @type {(() => void)[]} take our listeners off */
  #off = [];
  /** @type {SlotAudio | null} null before the first rendering */
  #audio = null;
  /** @type {number | null} `performance.now()` when audio first flowed; null before */
  #connectedAtMs = null;

  constructor() {
    super();
    /** @type {VoiceClient | null} */
    this.client = null;
    /** @type {JoinDetail | null} */
    this.where = null;
    /** @type {readonly Participant[]} */
    this.participants = [];
    /** Whether the browser waits for a click before it plays sound. */
    this.blocked = false;
    /** What happened last, for eyes and screen readers. */
    this.news = "";
    /** @type {{reason: string | null, actionId: string} | null} a moderator's words; null where no warning is unread */
    this.warned = null;
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    const client = this.client;
    if (client === null) return;
    const changed = () => this.requestUpdate();
    const ticking = setInterval(changed, 1_000);
    this.participants = client.participants;
    this.#off = [
      () => clearInterval(ticking),
      client.on("state", ({ to }) => {
        if (to === "connected") this.#connectedAtMs ??= performance.now();
        changed();
      }),
      client.on("participants", ({ participants }) => (this.participants = participants)),
      client.on("slots", ({ slots }) => this.#audio?.update(slots)),
      client.on("negotiated", changed),
      client.on("microphone", changed),
      client.on("joined", ({ participant }) => this.#tell("event.joined", participant)),
      client.on("left", ({ participant, reason }) => this.#tell(LEFT_TEXTS[reason] ?? "event.left", participant)),
      client.on("mute", ({ muted, by }) => {
        const suffix = by === "moderator" ? "_by_moderator" : "";
        this.#tell(muted ? `event.muted${suffix}` : `event.unmuted${suffix}`);
      }),
      client.on("warned", ({ reason, actionId }) => (this.warned = { reason, actionId })),
    ];
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    for (const off of this.#off) off();
    this.#off = [];
    this.#audio?.close();
    this.#audio = null;
  }

  /** @override */
  firstUpdated() {
    const container = /** @type {Element} */ (this.querySelector(".slots"));
    this.#audio = new SlotAudio(container, (blocked) => (this.blocked = blocked));
    this.#audio.update(this.client?.slots ?? []);
    void this.focusOn("h1");
  }

  /** @override */
  render() {
    const { client, where, translator: texts } = this;
    if (client === null || where === null) return nothing;
    const { state, muted } = client;
    return html`<section
      class="room"
      data-testid="room"
      data-state=${state}
      data-session-id=${client.sessionId ?? ""}
      data-muted=${muted}
      data-offers=${client.offers}
      aria-labelledby="room-name"
    >
      <div class="room-head">
        <div>
          <p class="world-name">${worldName(where.world)}</p>
          <h1 id="room-name" tabindex="-1"><bdi>${where.roomId}</bdi></h1>
        </div>
        <dl class="facts">
          <div>
            <dt>${texts.t("room.count_label")}</dt>
            <dd data-testid="count">${texts.t("room.count", { count: this.participants.length, max: client.maxParticipants ?? "?" })}</dd>
          </div>
          <div>
            <dt>${texts.t("room.duration")}</dt>
            <dd class="clock" data-testid="duration">${clockText(this.#durationMs)}</dd>
          </div>
        </dl>
      </div>
      <div class="strip">
        <p class="status" role="status" aria-live="polite" data-testid="status" data-state=${state}>
          <span class="lamp" aria-hidden="true"></span>${texts.t(this.#statusKey)}
        </p>
        <p class="news" role="status" aria-live="polite" data-testid="news">${this.news}</p>
      </div>
      ${this.#notes()}
      <ul class="tiles" aria-label=${texts.t("room.people")}>
        ${repeat(
          this.participants,
          ({ sessionId }) => sessionId,
          (participant) => tile(participant, participant.sessionId === client.sessionId, texts),
        )}
      </ul>
      <div class="slots" hidden></div>
      ${this.#controls(client)}
    </section>`;
  }

  /** @param {VoiceClient} client */
  #controls(client) {
    const { translator: texts } = this;
    const { muted, state } = client;
    return html`<div class="controls" role="group" aria-label=${texts.t("room.controls")}>
      <button
        type="button"
        class="control"
        data-testid="mute"
        aria-pressed=${muted}
        ?disabled=${state === "leaving" || state === "ended"}
        @click=${() => client.setMuted(!client.muted)}
      >
        ${muted ? microphoneOff : microphone}<span>${texts.t("room.mute")}</span>
      </button>
      <button type="button" class="control danger" data-testid="leave" ?disabled=${state === "leaving"} @click=${this.#leave}>
        ${leave}<span>${texts.t("room.leave")}</span>
      </button>
    </div>`;
  }

  #notes() {
    const { client, translator: texts } = this;
    return html`
      ${this.blocked
        ? html`<div class="notice" role="alert" data-testid="audio-blocked">
            ${loudspeaker}
            <div>
              <p>${texts.t("room.audio_blocked")}</p>
              <button type="button" class="primary" data-testid="enable-audio" @click=${() => this.#audio?.enable()}>
                ${texts.t("room.enable_audio")}
              </button>
            </div>
          </div>`
        : nothing}
      ${client?.mutedByModerator ? note("moderator-mute", texts.t("room.moderator_mute_note")) : nothing}
      ${client?.microphone === "ended" ? note("microphone-ended", texts.t("room.microphone_ended")) : nothing}
      ${this.warned === null ? nothing : this.#warning(this.warned)}
    `;
  }

  /** @param {{reason: string | null, actionId: string}} warned */
  #warning({ reason, actionId }) {
    const { translator: texts } = this;
    const read = () => {
      this.client?.acknowledgeWarning(actionId);
      this.warned = null;
    };
    return html`<div class="notice" role="alert" data-testid="warned">
      ${warning}
      <div>
        <p>${reason ? texts.t("room.warned", { reason }) : texts.t("room.warned_without_reason")}</p>
        <button type="button" data-testid="acknowledge-warning" @click=${read}>${texts.t("room.acknowledge")}</button>
      </div>
    </div>`;
  }

  /** @returns {Key} */
  get #statusKey() {
    const { state, microphone: asked } = /** @type {VoiceClient} */ (this.client);
    return state === "signalling" && asked === "asking" ? "status.microphone" : `status.${state}`;
  }

  get #durationMs() {
    return this.#connectedAtMs === null ? 0 : performance.now() - this.#connectedAtMs;
  }

  #leave() {
    this.dispatchEvent(new CustomEvent("leave"));
  }

  /**
   * @param {Key} key
   * @param {Participant} [participant]
   */
  #tell(key, participant) {
    this.news = this.translator.t(key, participant ? { name: participant.username } : {});
    this.requestUpdate();
  }
}

/**
 * @param {string} testid
 * @param {string} text
 */
function note(testid, text) {
  return html`<div class="notice" role="alert" data-testid=${testid}>${warning}<p>${text}</p></div>`;
}

customElements.define("welten-room", RoomView);
