/** The frame that all pages have: header with language switch, notices of what went wrong. */
import { html, nothing } from "lit";
import { inWords } from "./errors_in_words.js";
import { LANGUAGES, loadTranslator } from "./i18n.js";
import { mark, warning } from "./icons.js";

/**
 * @import { VoiceClientError } from "../lib/errors.js"
 * @import { PageElement } from "./element.js"
 * @import { Language, Translator } from "./i18n.js"
 * @import { Memory } from "./memory.js"
 */

/**
 * @param {PageElement} host gets its texts
 * @param {Language} language
 * @param {Memory} [memory] keeps the choice, where it is one
 * @returns {Promise<void>}
 */
export async function speak(host, language, memory) {
  host.translator = await loadTranslator(language, navigator.languages);
  document.documentElement.lang = language;
  memory?.set("language", language);
}

/**
 * @param {Translator} translator
 * @param {(language: Language) => void} chosen
 */
export function header(translator, chosen) {
  return html`<header class="top">
    <a class="brand" href="/">${mark}<span>Weltenstimme</span></a>
    <div class="languages" role="group" aria-label=${translator.t("app.language")}>
      ${Object.entries(LANGUAGES).map(
        ([language, name]) =>
          html`<button
            type="button"
            class="plain"
            lang=${language}
            data-testid="language-${language}"
            aria-pressed=${translator.language === language}
            @click=${() => chosen(/** @type {Language} */ (language))}
          >
            ${name}
          </button>`,
      )}
    </div>
  </header>`;
}

/**
 * @param {VoiceClientError | null} error
 * @param {Translator} translator
 */
export function errorNotice(error, translator) {
  if (error === null) return nothing;
  const { what, advice } = inWords(error, translator);
  return html`<div class="notice" role="alert" tabindex="-1" data-testid="error" data-code=${error.code}>
    ${warning}
    <div>
      <strong>${what}</strong>
      ${advice.map((sentence) => html`<p>${sentence}</p>`)}
    </div>
  </div>`;
}
