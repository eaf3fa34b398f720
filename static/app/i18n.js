/**
 * Texts in the language of the person. A `Translator` is immutable: another language is another object, which makes elements render.
 *
 * @typedef {Exclude<keyof typeof import("../i18n/de.json"), symbol>} Key
 * @typedef {Record<string, string | number>} Parameters
 */

/** The languages there are texts in, with the name of each in itself. */
export const LANGUAGES = Object.freeze({ de: "Deutsch", en: "English" });

/** @typedef {keyof typeof LANGUAGES} Language */

export class Translator {
  /** @type {Language} */
  language;
  #messages;
  #locale;

  /**
   * @param {Language} language
   * @param {Record<string, string>} messages
   * @param {string} [locale] of that language, for times and numbers: `en-GB` writes them otherwise than `en-US`
   */
  constructor(language, messages, locale = language) {
    this.language = language;
    this.#messages = messages;
    this.#locale = locale;
  }

  /**
   * @param {Key} key
   * @param {Parameters} [parameters] for the `{names}` in the text
   * @returns {string}
   */
  t(key, parameters = {}) {
    return this.find(key, parameters) ?? key;
  }

  /**
   * @param {string} key one that is made at run time, such as by the code of an error
   * @param {Parameters} [parameters]
   * @returns {string | null} null where there is no such text
   */
  find(key, parameters = {}) {
    const text = Object.hasOwn(this.#messages, key) ? this.#messages[key] : undefined;
    return text?.replace(/\{(\w+)\}/g, (whole, name) => (Object.hasOwn(parameters, name) ? String(parameters[name]) : whole)) ?? null;
  }

  /**
   * @param {string} stem of keys that end with `_one`, `_other` and so on
   * @param {number} count
   * @returns {string}
   */
  plural(stem, count) {
    const form = new Intl.PluralRules(this.#locale).select(count);
    const parameters = { count: new Intl.NumberFormat(this.#locale).format(count) };
    return this.find(`${stem}_${form}`, parameters) ?? this.find(`${stem}_other`, parameters) ?? stem;
  }

  /**
   * @param {number} durationMs
   * @returns {string} in words, rounded to seconds as accounts are, such as "12 Minuten, 3 Sekunden"
   */
  duration(durationMs) {
    const { hours, minutes, seconds } = split(Math.round(durationMs / 1_000));
    const parts = [
      ...(hours > 0 ? [this.#unit(hours, "hour")] : []),
      ...(hours > 0 || minutes > 0 ? [this.#unit(minutes, "minute")] : []),
      this.#unit(seconds, "second"),
    ];
    return new Intl.ListFormat(this.#locale, { type: "unit", style: "long" }).format(parts);
  }

  /**
   * @param {Date} date
   * @param {Intl.DateTimeFormatOptions} options
   * @returns {string}
   */
  date(date, options) {
    return new Intl.DateTimeFormat(this.#locale, options).format(date);
  }

  /**
   * @param {number} value
   * @param {"hour" | "minute" | "second"} unit
   */
  #unit(value, unit) {
    return new Intl.NumberFormat(this.#locale, { style: "unit", unit, unitDisplay: "long" }).format(value);
  }
}

/**
 * @param {number} durationMs
 * @returns {string} as a clock shows it: `3:07`, `1:02:03`
 */
export function clockText(durationMs) {
  const { hours, minutes, seconds } = split(Math.floor(durationMs / 1_000));
  const two = (/** @type {number} */ value) => String(value).padStart(2, "0");
  return hours > 0 ? `${hours}:${two(minutes)}:${two(seconds)}` : `${minutes}:${two(seconds)}`;
}

/** @param {number} wholeSeconds */
function split(wholeSeconds) {
  const total = Math.max(0, wholeSeconds);
  return { hours: Math.floor(total / 3_600), minutes: Math.floor(total / 60) % 60, seconds: total % 60 };
}

/**
 * @param {string | null} remembered what the person chose before
 * @param {readonly string[]} preferred by the browser, the most wanted first
 * @returns {Language} English for those who prefer languages that we have no texts in
 */
export function chooseLanguage(remembered, preferred) {
  for (const tag of [remembered, ...preferred]) {
    const language = /** @type {Language | undefined} */ (tag?.toLowerCase().split("-")[0]);
    if (language !== undefined && Object.hasOwn(LANGUAGES, language)) return language;
  }
  return "en";
}

/**
 * @param {Language} language
 * @param {readonly string[]} [preferred] by the browser
 * @returns {Promise<Translator>}
 */
export async function loadTranslator(language, preferred = []) {
  const response = await fetch(new URL(`../i18n/${language}.json`, import.meta.url));
  if (!response.ok) throw new Error(`no texts in ${language}: status ${response.status}`);
  const locale = preferred.find((tag) => tag.toLowerCase().split("-")[0] === language);
  return new Translator(language, await response.json(), locale);
}
