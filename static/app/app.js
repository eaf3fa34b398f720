/** The room page: join form, room, and what was afterwards. Owns the one `VoiceClient` there is. */
import { html, nothing } from "lit";
import { InsecureContextError, RestClient, UnauthorizedError, VoiceClient, asVoiceClientError } from "../lib/index.js";
import { readAddress, roomLink } from "./address.js";
import { PageElement } from "./element.js";
import { endedView } from "./ended_view.js";
import { errorNotice, header, speak } from "./frame.js";
import "./join_form.js";
import { Login } from "./login.js";
import { Memory } from "./memory.js";
import { hue } from "./person.js";
import "./room_view.js";

/**
 * @import { VoiceClientError } from "../lib/errors.js"
 * @import { Outcome } from "../lib/events.js"
 * @import { ServerConfig } from "../lib/rest.js"
 * @import { JoinDetail } from "./join_form.js"
 */

export class WeltenApp extends PageElement {
  static properties = {
    screen: { state: true },
    config: { state: true },
    busy: { state: true },
    error: { state: true },
  };

  #memory = new Memory();
  #address = readAddress(location.href);
  #login = new Login(this.#address.token);
  /** @type {VoiceClient | null} null outside of a stay */
  #client = null;
  /** @type {JoinDetail | null} of the last join */
  #where = null;
  /** @type {Outcome | null} of the last stay */
  #outcome = null;
  #pageHides = () => this.#client?.leaveByBeacon();

  constructor() {
    super();
    /** @type {"join" | "room" | "ended"} */
    this.screen = "join";
    /** @type {ServerConfig | null} null until the server told it */
    this.config = null;
    this.busy = false;
    /** @type {VoiceClientError | null} */
    this.error = null;
  }

  /** @override */
  connectedCallback() {
    super.connectedCallback();
    // The token is ours now; it shall not be bookmarked, nor stay on a shared screen.
    if (this.#address.token !== null) history.replaceState(null, "", this.#address.clean);
    addEventListener("pagehide", this.#pageHides);
    void this.#loadConfig();
  }

  /** @override */
  disconnectedCallback() {
    super.disconnectedCallback();
    removeEventListener("pagehide", this.#pageHides);
  }

  /** @override */
  render() {
    const { translator: texts } = this;
    const world = this.#where?.world ?? this.#address.world ?? "";
    return html`${header(texts, (language) => void speak(this, language, this.#memory))}
      <main data-testid="app" data-screen=${this.screen} .style=${`--world-hue:${hue(world)}`}>${this.#screen()}</main>`;
  }

  #screen() {
    const { translator: texts } = this;
    if (this.screen === "room") {
      return html`<welten-room
        .translator=${texts}
        .client=${this.#client}
        .where=${this.#where}
        @leave=${() => void this.#client?.leave()}
      ></welten-room>`;
    }
    if (this.screen === "ended" && this.#outcome !== null) {
      return endedView(this.#outcome, texts, {
        busy: this.busy,
        again: () => this.#where && void this.#join(this.#where),
        other: () => this.#show("join", null),
      });
    }
    return html`<div class="lobby">
      <h1 tabindex="-1">${texts.t("join.title")}</h1>
      <p class="tagline">${texts.t("app.tagline")}</p>
      ${errorNotice(this.error ?? (isSecureContext ? null : new InsecureContextError()), texts)}
      ${this.config === null ? this.#waiting() : nothing}
      <welten-join
        .translator=${texts}
        .config=${this.config}
        .busy=${this.busy}
        .guest=${this.#login.isGuest}
        .username=${this.#where?.username ?? this.#login.username ?? this.#memory.get("name") ?? ""}
        .world=${this.#where?.world ?? this.#address.world ?? this.#memory.get("world") ?? ""}
        .room=${this.#where?.roomId ?? this.#address.room ?? ""}
        @join=${(/** @type {CustomEvent<JoinDetail>} */ event) => void this.#join(event.detail)}
      ></welten-join>
    </div>`;
  }

  #waiting() {
    const { translator: texts } = this;
    if (this.error === null) return html`<p role="status">${texts.t("app.loading")}</p>`;
    return html`<button type="button" class="primary" data-testid="retry" @click=${() => void this.#loadConfig()}>
      ${texts.t("app.retry")}
    </button>`;
  }

  get #rest() {
    return new RestClient({ baseUrl: location.origin, language: this.translator.language });
  }

  async #loadConfig() {
    this.error = null;
    try {
      this.config = await this.#rest.config();
    } catch (error) {
      this.error = asVoiceClientError(error);
    }
  }

  /** @param {JoinDetail} where */
  async #join(where) {
    if (this.busy) return;
    this.busy = true;
    this.error = null;
    this.#where = where;
    if (this.#login.isGuest) this.#memory.set("name", where.username);
    this.#memory.set("world", where.world);
    try {
      const error = await this.#stay(where);
      if (error instanceof UnauthorizedError && this.#login.renew()) await this.#stay(where);
    } finally {
      this.busy = false;
    }
  }

  /**
   * @param {JoinDetail} where
   * @returns {Promise<VoiceClientError | null>} what kept us out, told already; null after having been in
   */
  async #stay(where) {
    const { language } = this.translator;
    let credentials;
    try {
      credentials = await this.#login.credentials(this.#rest, where.username);
    } catch (cause) {
      const error = asVoiceClientError(cause);
      this.#show("join", error);
      return error;
    }
    const client = new VoiceClient({ baseUrl: location.origin, language, log: (line) => console.debug(line) });
    this.#follow(client, where);
    try {
      await client.join({ ...credentials, ...where });
      return null;
    } catch (cause) {
      // Its events have told it.
      return asVoiceClientError(cause);
    }
  }

  /**
   * @param {VoiceClient} client
   * @param {JoinDetail} where
   */
  #follow(client, where) {
    let wasConnected = false;
    this.#client = client;
    client.on("state", ({ to, error }) => {
      if (to === "signalling") this.#entered(where);
      if (to === "connected") wasConnected = true;
      // What failed on the way in is told at once, not only when the backend has answered.
      if (to === "leaving" && error !== null && !wasConnected) this.#show("join", error);
    });
    client.on("ended", (outcome) => {
      this.#client = null;
      this.#outcome = outcome;
      if (wasConnected) this.#show("ended", null);
      else this.#show("join", outcome.error);
    });
  }

  /** @param {JoinDetail} where */
  #entered(where) {
    history.replaceState(null, "", roomLink(location.href, { world: where.world, room: where.roomId }));
    document.title = `${where.roomId} · Weltenstimme`;
    this.screen = "room";
  }

  /**
   * @param {"join" | "ended"} screen
   * @param {VoiceClientError | null} error
   */
  #show(screen, error) {
    document.title = "Weltenstimme";
    this.screen = screen;
    this.error = error;
    this.requestUpdate();
    void this.focusOn(error !== null ? '[role="alert"]' : "h1[tabindex]");
  }
}

customElements.define("welten-app", WeltenApp);
