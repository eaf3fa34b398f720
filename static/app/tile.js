/** One person in the room. What a test, a style or a screen reader needs is in attributes and hidden text, never in colour alone. */
import { html, nothing } from "lit";
import { hand, microphoneOff, speaking } from "./icons.js";
import { hue, initials } from "./person.js";

/**
 * @import { Participant } from "../lib/types.js"
 * @import { Translator } from "./i18n.js"
 */

/**
 * Styles are set as a property: the content security policy refuses the attribute.
 *
 * @param {Participant} participant
 * @param {boolean} isSelf
 * @param {Translator} texts
 */
export function tile(participant, isSelf, texts) {
  const { sessionId, userId, username, avatarEmoji, isMuted, mutedBy, isSpeaking, level, handRaised, role } = participant;
  return html`<li
    class="tile"
    data-testid="tile"
    data-session-id=${sessionId}
    data-user-id=${userId}
    data-speaking=${isSpeaking}
    data-muted=${isMuted}
    data-self=${isSelf}
    .style=${`--hue:${hue(userId)};--level:${level.toFixed(2)}`}
  >
    <div class="avatar" aria-hidden="true"><span>${avatarEmoji ?? initials(username)}</span></div>
    <div class="who"><bdi class="name" title=${username}>${username}</bdi></div>
    <div class="badges">
      ${isSelf ? html`<span class="badge">${texts.t("room.you")}</span>` : nothing}
      ${role === "user" ? nothing : html`<span class="badge">${texts.t(`room.role_${role}`)}</span>`}
      ${isSpeaking ? state(speaking, texts.t("room.speaking"), "speaks") : nothing}
      ${isMuted ? state(microphoneOff, texts.t(mutedBy === "moderator" ? "room.muted_by_moderator" : "room.muted"), "is-muted") : nothing}
      ${handRaised ? state(hand, texts.t("room.hand_raised"), "raises") : nothing}
    </div>
  </li>`;
}

/**
 * @param {import("lit").TemplateResult} icon
 * @param {string} text
 * @param {string} kind
 */
function state(icon, text, kind) {
  return html`<span class="state ${kind}" title=${text}>${icon}<span class="unseen">${text}</span></span>`;
}
