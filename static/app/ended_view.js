/** What was, after a stay: how long, how much of it speaking, and why it ended where that was not by wish. */
import { html, nothing } from "lit";
import { errorNotice } from "./frame.js";

/**
 * @import { Outcome } from "../lib/events.js"
 * @import { Translator } from "./i18n.js"
 */

/** @type {Readonly<Record<Outcome["reason"], import("./i18n.js").Key>>} */
const TITLES = Object.freeze({ left: "ended.title", removed: "ended.title_removed", failed: "ended.title_failed" });

/**
 * @param {Outcome} outcome
 * @param {Translator} texts
 * @param {{busy: boolean, again: () => void, other: () => void}} actions
 */
export function endedView({ reason, error, summary }, texts, { busy, again, other }) {
  return html`<div class="lobby" data-testid="ended" data-reason=${reason}>
    <h1 tabindex="-1">${texts.t(TITLES[reason])}</h1>
    ${errorNotice(error, texts)}
    ${summary === null
      ? nothing
      : html`<dl
          class="card summary"
          data-testid="summary"
          data-duration-ms=${summary.durationMs}
          data-speaking-ms=${summary.speakingMs}
        >
          <div>
            <dt>${texts.t("ended.duration")}</dt>
            <dd data-testid="summary-duration">${texts.duration(summary.durationMs)}</dd>
          </div>
          <div>
            <dt>${texts.t("ended.speaking")}</dt>
            <dd data-testid="summary-speaking">${texts.duration(summary.speakingMs)}</dd>
          </div>
        </dl>`}
    <div class="actions">
      <button type="button" class="primary" data-testid="again" ?disabled=${busy} @click=${again}>${texts.t("ended.again")}</button>
      <button type="button" data-testid="other-room" @click=${other}>${texts.t("ended.other")}</button>
    </div>
  </div>`;
}
