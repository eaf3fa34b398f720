/**
 * What happened, in the words of the person, and what can be done about it.
 *
 * @import { VoiceClientError } from "../lib/errors.js"
 * @import { Translator } from "./i18n.js"
 */

/**
 * @param {VoiceClientError} error
 * @param {Translator} translator
 * @returns {{what: string, advice: string[]}} texts; `advice` one sentence or paragraph each
 */
export function inWords(error, translator) {
  const { details, retryAfterSeconds } = error;
  // Who was put out a moment ago should read that, and not that the room is not for them.
  const code = error.code === "forbidden" && details["reason"] === "kicked" ? "kicked_before" : error.code;
  const what = translator.find(`error.${code}`, details) ?? translator.t("error.failed");
  const advice = [moreSpecific({ code, details }, translator) ?? translator.find(`advice.${code}`, details) ?? translator.t("advice.failed")];
  if (typeof details["reason"] === "string" && details["reason"] !== "" && MODERATED.has(code)) {
    advice.unshift(translator.t("error.reason", { reason: details["reason"] }));
  }
  if (retryAfterSeconds !== null && retryAfterSeconds > 0) advice.push(translator.plural("error.wait_seconds", retryAfterSeconds));
  return { what, advice };
}

/** Errors whose `reason` a person wrote for a person; those of others are for developers. */
const MODERATED = new Set(["banned", "kicked"]);

/**
 * @param {Pick<VoiceClientError, "code" | "details">} error
 * @param {Translator} translator
 * @returns {string | null} null where the code says all
 */
function moreSpecific({ code, details }, translator) {
  if (code === "invalid_request") return translator.find(`advice.invalid_request.${details["field"]}`);
  if (code === "banned" && typeof details["expires_at"] === "string") {
    const until = translator.date(new Date(details["expires_at"]), { dateStyle: "long", timeStyle: "short" });
    return translator.t("advice.banned.until", { until });
  }
  return null;
}
