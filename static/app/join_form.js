/** The form that leads into a room. Fires `join` with name, world and room. */
import { html, nothing } from "lit";
import { PageElement } from "./element.js";

/**
 * @import { ServerConfig } from "../lib/rest.js"
 *
 * @typedef {object} JoinDetail
 * @property {string} username
 * @property {string} world
 * @property {string} roomId
 */

export class JoinForm extends PageElement {
  static properties = {
    config: { attribute: false },
    busy: { type: Boolean },
    guest: { type: Boolean },
    username: {},
    world: {},
    room: {},
    missing: { state: true },
  };

  constructor() {
    super();
    /** @type {ServerConfig | null} */
    this.config = null;
    this.busy = false;
    /** Whether the name is up to the person, and not to a login. */
    this.guest = true;
    this.username = "";
    this.world = "";
    /** Empty: a room of the world's own name is proposed. */
    this.room = "";
    /** @type {"username" | "room" | null} the field that has to be filled in */
    this.missing = null;
  }

  /** @override */
  render() {
    const { translator: texts, config } = this;
    if (config === null) return nothing;
    if (this.guest && !config.guests) return html`<p class="notice" data-testid="no-guests">${texts.t("join.no_guests")}</p>`;
    return html`<form class="card form" novalidate data-testid="join-form" aria-busy=${this.busy} @submit=${this.#submit}>
      ${this.#nameField()}
      <div class="row">
        <label>
          <span>${texts.t("join.world")}</span>
          <select data-testid="world" .value=${this.#chosenWorld} @change=${this.#worldChanged}>
            ${config.worlds.map(({ id }) => html`<option value=${id} ?selected=${id === this.#chosenWorld}>${worldName(id)}</option>`)}
          </select>
        </label>
        <label>
          <span>${texts.t("join.room")}</span>
          <input
            data-testid="room-name"
            name="room"
            maxlength="128"
            autocomplete="off"
            autocapitalize="none"
            spellcheck="false"
            aria-describedby="room-hint"
            aria-invalid=${this.missing === "room"}
            .value=${this.#proposedRoom}
            @input=${(/** @type {InputEvent} */ event) => (this.room = valueOf(event))}
          />
        </label>
      </div>
      <p class="hint" id="room-hint">${texts.t("join.room_hint")}</p>
      ${this.#missingNote("room", "join.missing_room")}
      <button class="primary" data-testid="join" ?disabled=${this.busy}>${texts.t(this.busy ? "join.busy" : "join.submit")}</button>
      <p class="hint">${texts.t("join.microphone_note")}</p>
    </form>`;
  }

  get #chosenWorld() {
    const worlds = this.config?.worlds.map(({ id }) => id) ?? [];
    return worlds.includes(this.world) ? this.world : (worlds[0] ?? "");
  }

  /** A room belongs to one world at a time, so each world gets a proposal of its own. */
  get #proposedRoom() {
    return this.room || `${this.#chosenWorld}_lobby`;
  }

  #nameField() {
    const { translator: texts } = this;
    return html`<label>
        <span>${texts.t("join.name")}</span>
        <input
          data-testid="name"
          name="name"
          maxlength="1024"
          autocomplete="nickname"
          dir="auto"
          ?readonly=${!this.guest && this.username !== ""}
          aria-describedby=${this.guest ? nothing : "name-hint"}
          aria-invalid=${this.missing === "username"}
          .value=${this.username}
          @input=${(/** @type {InputEvent} */ event) => (this.username = valueOf(event))}
        />
      </label>
      ${this.guest ? nothing : html`<p class="hint" id="name-hint">${texts.t("join.name_from_login")}</p>`}
      ${this.#missingNote("username", "join.missing_name")}`;
  }

  /**
   * @param {"username" | "room"} field
   * @param {"join.missing_name" | "join.missing_room"} key
   */
  #missingNote(field, key) {
    return this.missing === field ? html`<p class="problem" role="alert">${this.translator.t(key)}</p>` : nothing;
  }

  /** @param {Event} event */
  #worldChanged(event) {
    // A proposal of ours follows the world; what the person wrote stays.
    if (this.room === `${this.#chosenWorld}_lobby`) this.room = "";
    this.world = valueOf(event);
  }

  /** @param {SubmitEvent} event */
  #submit(event) {
    event.preventDefault();
    if (this.busy) return;
    const room = /** @type {HTMLInputElement} */ (this.querySelector('[name="room"]')).value.trim();
    const username = this.username.trim();
    this.missing = username === "" ? "username" : room === "" ? "room" : null;
    if (this.missing !== null) {
      void this.focusOn(this.missing === "username" ? '[name="name"]' : '[name="room"]');
      return;
    }
    /** @type {JoinDetail} */
    const detail = { username, world: this.#chosenWorld, roomId: room };
    this.dispatchEvent(new CustomEvent("join", { detail }));
  }
}

/** @param {Event} event */
function valueOf(event) {
  return /** @type {HTMLInputElement | HTMLSelectElement} */ (event.target).value;
}

/**
 * @param {string} id
 * @returns {string} as a person writes it
 */
export function worldName(id) {
  return id.charAt(0).toLocaleUpperCase() + id.slice(1);
}

customElements.define("welten-join", JoinForm);
