/** German and English say the same things, and everything that can go wrong has words. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { inWords } from "../../static/app/errors_in_words.js";
import { LANGUAGES, Translator, chooseLanguage, clockText } from "../../static/app/i18n.js";
import * as lib from "../../static/lib/index.js";

const STATIC = new URL("../../static/", import.meta.url);
const messages = (language) => JSON.parse(readFileSync(new URL(`i18n/${language}.json`, STATIC), "utf8"));
const texts = Object.fromEntries(Object.keys(LANGUAGES).map((language) => [language, messages(language)]));
const names = (text) => [...text.matchAll(/\{(\w+)\}/g)].map(([, name]) => name).sort();
const errorClasses = Object.values(lib).filter((value) => value === lib.VoiceClientError || value?.prototype instanceof lib.VoiceClientError);

test("there is one file for each language, and no other", () => {
  const files = readdirSync(new URL("i18n/", STATIC)).sort();
  assert.deepEqual(files, Object.keys(LANGUAGES).map((language) => `${language}.json`).sort());
});

test("all languages have the same keys in the same order", () => {
  for (const language of Object.keys(LANGUAGES)) assert.deepEqual(Object.keys(texts[language]), Object.keys(texts.de), language);
});

test("texts of one key take the same parameters, and none is empty", () => {
  for (const key of Object.keys(texts.de)) {
    assert.deepEqual(names(texts.en[key]), names(texts.de[key]), key);
    for (const language of Object.keys(LANGUAGES)) assert.notEqual(texts[language][key].trim(), "", `${language} ${key}`);
  }
});

test("every key is used", () => {
  const sources = ["app", "admin"].flatMap((folder) => readdirSync(new URL(folder, STATIC)).map((file) => new URL(`${folder}/${file}`, STATIC)));
  const code = sources.map((source) => readFileSync(source, "utf8")).join("\n");
  const madeAtRunTime = /^(error|advice)\.|^status\.|^admin\.value_|^room\.role_|^event\.(un)?muted_by_moderator$/;
  const unused = Object.keys(texts.de).filter((key) => !madeAtRunTime.test(key) && !code.includes(`"${key}"`) && !code.includes(`\`${key}`));
  assert.deepEqual(unused, []);
});

test("every error has words and advice in every language", () => {
  for (const Class of errorClasses) {
    const { code } = new Class();
    for (const language of Object.keys(LANGUAGES)) {
      for (const key of [`error.${code}`, `advice.${code}`]) assert.ok(texts[language][key], `${language} ${key}`);
    }
  }
});

test("every state has words", () => {
  for (const state of Object.keys(lib.TRANSITIONS)) assert.ok(texts.de[`status.${state}`], state);
});

test("details of an error are in its words", () => {
  const de = new Translator("de", texts.de);
  const words = (body, options) => inWords(lib.apiError(body, options), de);
  assert.match(words({ error: "Room full", current_participant_count: 10, max_participants: 10 }).what, /10 von 10 Plätzen/);
  const ban = words({ error: "Banned", reason: "Lärm", expires_at: "2026-03-01T12:00:00.000Z" });
  assert.equal(ban.advice[0], "Grund: Lärm");
  assert.match(ban.advice[1], /Die Sperre endet am 1\. März 2026/);
  assert.deepEqual(words({ error: "Banned", reason: null, expires_at: null }).advice, ["Die Sperre gilt auf Dauer."]);
  assert.equal(words({ error: "Rate limited" }, { retryAfterSeconds: 1 }).advice[1], "Noch 1 Sekunde warten.");
  assert.equal(words({ error: "Rate limited" }, { retryAfterSeconds: 20 }).advice[1], "Noch 20 Sekunden warten.");
  assert.match(words({ error: "Invalid request", field: "world", reason: "unknown" }).advice[0], /andere Welt/);
  assert.deepEqual(words({ error: "Invalid request", field: "nonsense", reason: "x" }).advice, [texts.de["advice.invalid_request"]]);
  assert.equal(words({ error: "No such text" }).what, texts.de["error.server_error"]);
});

test("parameters are put in as they are, and nothing else is", () => {
  const translator = new Translator("en", { a: "{name} and {other}" });
  assert.equal(translator.t("a", { name: "$& <b>{other}</b>" }), "$& <b>{other}</b> and {other}");
  assert.equal(translator.t("toString"), "toString");
});

test("the language is what the person chose, else the first one of the browser's that we have", () => {
  assert.equal(chooseLanguage("en", ["de-DE"]), "en");
  assert.equal(chooseLanguage(null, ["de-AT", "en"]), "de");
  assert.equal(chooseLanguage(null, ["fr-FR", "EN-gb", "de"]), "en");
  assert.equal(chooseLanguage("constructor", ["fr"]), "en");
});

test("durations in words and on a clock", () => {
  const [de, en] = [new Translator("de", {}), new Translator("en", {})];
  assert.equal(de.duration(61_000), "1 Minute, 1 Sekunde");
  assert.equal(de.duration(3_723_400), "1 Stunde, 2 Minuten und 3 Sekunden");
  assert.equal(en.duration(499), "0 seconds");
  assert.equal(en.duration(1_500), "2 seconds");
  assert.deepEqual([0, 59_999, 60_000, 3_600_000, 36_061_000, -5].map(clockText), ["0:00", "0:59", "1:00", "1:00:00", "10:01:01", "0:00"]);
});
