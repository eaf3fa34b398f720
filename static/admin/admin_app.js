/** The operator's page: a login that stays in memory, and the rooms in use, asked for again every few seconds. */
import { html, nothing } from "lit";
import { RestClient, UnauthorizedError, ForbiddenError, asVoiceClientError } from "../lib/index.js";
import { PageElement } from "../app/element.js";
import { errorNotice, header, speak } from "../app/frame.js";
import { people } from "../app/icons.js";
import { worldName } from "../app/join_form.js";
import { Memory } from "../app/memory.js";
import { hue, initials } from "../app/person.js";
import { takePicture } from "./rooms.js";

/**
 * @import { VoiceClientError } from "../lib/errors.js"
 * @import { Picture, RoomView } from "./rooms.js"
 */

const REFRESH_SECONDS = 5;

export class AdminApp extends PageElement {
  static properties = {
    picture: { state: true },
    error: { state: true },
    busy: { state: true },
    auto: { state: true },
  };

  #memory = new Memory();
  /** @type {string | null} null while logged out; nowhere else than here */
  #token = null;
  /** @type {ReturnType<typeof setTimeout> | undefined} */
  #next = undefined;
  #visible = () => document.visibilityState === "visible" && this.#schedule(0);

  constructor() {
    super();
    /** @type {Picture | null} null while logged out */
    this.picture = null;
    /** @type {VoiceClientError | null} */
    this.error = null;
    this.busy = false;
    this.auto = true;
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    document.addEventListener("visibilitychange", this.#visible);
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    document.removeEventListener("visibilitychange", this.#visible);
    clearTimeout(this.#next);
  }

  /** @override */
  render() {
    const { translator: texts } = this;
    return html`${header(texts, (language) => void speak(this, language, this.#memory))}
      <main class="wide" data-testid="admin" data-screen=${this.picture === null ? "login" : "rooms"}>
        <h1 tabindex="-1">${texts.t("admin.title")}</h1>
        ${errorNotice(this.error, texts)} ${this.picture === null ? this.#loginForm() : this.#view(this.picture)}
        <p class="hint"><a href="/">${texts.t("admin.to_rooms")}</a></p>
      </main>`;
  }

  #loginForm() {
    const { translator: texts } = this;
    return html`<form class="card form narrow" data-testid="login-form" @submit=${this.#logIn}>
      <label>
        <span>${texts.t("admin.token")}</span>
        <input type="password" name="token" data-testid="token" autocomplete="off" required aria-describedby="token-hint" />
      </label>
      <p class="hint" id="token-hint">${texts.t("admin.token_hint")}</p>
      <button class="primary" data-testid="login" ?disabled=${this.busy}>${texts.t("admin.login")}</button>
    </form>`;
  }

  /** @param {Picture} picture */
  #view({ takenAt, health, worlds }) {
    const { translator: texts } = this;
    const rooms = worlds.flatMap((world) => world.rooms);
    const count = rooms.reduce((sum, room) => sum + room.participant_count, 0);
    return html`<div class="toolbar">
        <button type="button" data-testid="refresh" ?disabled=${this.busy} @click=${() => this.#schedule(0)}>${texts.t("admin.refresh")}</button>
        <label class="check">
          <input type="checkbox" data-testid="auto" .checked=${this.auto} @change=${this.#toggleAuto} />
          <span>${texts.t("admin.auto", { seconds: REFRESH_SECONDS })}</span>
        </label>
        <span class="hint" data-testid="updated">${texts.t("admin.updated", { time: texts.date(takenAt, { timeStyle: "medium" }) })}</span>
        <button type="button" class="plain" data-testid="logout" @click=${() => this.#logOut(null)}>${texts.t("admin.logout")}</button>
      </div>
      <dl class="card summary">
        ${fact(texts.t("admin.people"), count, "people")} ${fact(texts.t("admin.rooms"), rooms.length, "rooms")}
        ${fact(texts.t("admin.state"), this.#word(health.status), "state")} ${fact(texts.t("admin.database"), this.#word(health.database), "database")}
        ${fact(texts.t("admin.version"), health.version, "version")}
      </dl>
      ${worlds.map(
        ({ world, rooms }) => html`<section class="world" data-testid="world" data-world=${world} .style=${`--world-hue:${hue(world)}`}>
          <h2>${texts.t("admin.rooms_of", { world: worldName(world) })}</h2>
          ${rooms.length === 0 ? html`<p class="hint">${texts.t("admin.no_rooms")}</p>` : rooms.map((room) => this.#room(room))}
        </section>`,
      )}`;
  }

  /** @param {string} value a word of the server's; shown as it is where we have no other */
  #word(value) {
    return this.translator.find(`admin.value_${value}`) ?? value;
  }

  /** @param {RoomView} room */
  #room({ room_id, participant_count, max_participants, is_full, first_joined_at, participants }) {
    const { translator: texts } = this;
    return html`<article class="card room-card" data-testid="room" data-room-id=${room_id} data-count=${participant_count}>
      <h3><bdi>${room_id}</bdi></h3>
      <dl class="facts">
        <div>
          <dt>${texts.t("admin.occupancy")}</dt>
          <dd>
            ${people} ${texts.t("room.count", { count: participant_count, max: max_participants })}
            ${is_full ? html`<span class="badge">${texts.t("admin.full")}</span>` : nothing}
          </dd>
        </div>
        <div>
          <dt>${texts.t("admin.since")}</dt>
          <dd>${texts.date(new Date(first_joined_at), { dateStyle: "medium", timeStyle: "short" })}</dd>
        </div>
      </dl>
      <ul class="names" aria-label=${texts.t("admin.participants")}>
        ${participants.map(
          ({ sessionId, userId, username, isSpeaking, isMuted }) => html`<li
            data-testid="participant"
            data-session-id=${sessionId}
            data-user-id=${userId}
            data-speaking=${isSpeaking ?? false}
            data-muted=${isMuted ?? false}
            .style=${`--hue:${hue(userId)}`}
          >
            <span class="avatar small" aria-hidden="true"><span>${initials(username)}</span></span>
            <bdi title=${userId}>${username}</bdi>
            ${isSpeaking ? html`<span class="badge">${texts.t("room.speaking")}</span>` : nothing}
            ${isMuted ? html`<span class="badge">${texts.t("room.muted")}</span>` : nothing}
          </li>`,
        )}
      </ul>
    </article>`;
  }

  /** @param {SubmitEvent} event */
  #logIn(event) {
    event.preventDefault();
    const form = /** @type {HTMLFormElement} */ (event.target);
    this.#token = String(new FormData(form).get("token") ?? "").trim();
    this.#schedule(0);
  }

  /** @param {VoiceClientError | null} error why, where it is not by wish */
  #logOut(error) {
    clearTimeout(this.#next);
    this.#token = null;
    this.picture = null;
    this.error = error;
    void this.focusOn(error === null ? "input" : '[role="alert"]');
  }

  /** @param {Event} event */
  #toggleAuto(event) {
    this.auto = /** @type {HTMLInputElement} */ (event.target).checked;
    if (this.auto) this.#schedule(0);
    else clearTimeout(this.#next);
  }

  /** @param {number} delayMs */
  #schedule(delayMs) {
    clearTimeout(this.#next);
    this.#next = setTimeout(() => void this.#refresh(), delayMs);
  }

  async #refresh() {
    const token = this.#token;
    if (token === null || this.busy) return;
    this.busy = true;
    try {
      const picture = await takePicture(new RestClient({ baseUrl: location.origin, language: this.translator.language }), token);
      if (this.#token !== token) return;
      this.picture = picture;
      this.error = null;
    } catch (cause) {
      const error = asVoiceClientError(cause);
      if (error instanceof UnauthorizedError || error instanceof ForbiddenError || this.picture === null) this.#logOut(error);
      else this.error = error;
    } finally {
      this.busy = false;
      if (this.#token !== null && this.auto && document.visibilityState === "visible") this.#schedule(REFRESH_SECONDS * 1_000);
    }
  }
}

/**
 * @param {string} name
 * @param {string | number} value
 * @param {string} testid
 */
function fact(name, value, testid) {
  return html`<div>
    <dt>${name}</dt>
    <dd data-testid="fact-${testid}">${value}</dd>
  </div>`;
}

customElements.define("welten-admin", AdminApp);
