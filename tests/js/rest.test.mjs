/** REST: error classes by the contract's texts, `Retry-After`, and answers that are none. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lib from "../../static/lib/index.js";
import { FakeClock, FakeFetch, json, settle } from "./fakes.mjs";

function client(answers, options = {}) {
  const clock = new FakeClock();
  const http = new FakeFetch([], answers);
  return { clock, http, rest: new lib.RestClient({ baseUrl: "http://voice.test:1234/", fetch: http.fetch, clock, random: () => 0, ...options }) };
}

for (const [text, Class] of Object.entries(lib.API_ERRORS)) {
  test(`"${text}" is a ${Class.name}`, async () => {
    const body = { success: false, error: text, message: "for people", timestamp: "…", reason: "why" };
    const { rest } = client({ "POST /api/auth/guest": () => json(body, 418, { "Retry-After": "7" }) });
    const error = await rest.guest("Ada").catch((caught) => caught);
    assert.equal(error.constructor, Class);
    assert.equal(error.name, Class.name);
    assert.equal(error.error, text);
    assert.equal(error.status, 418);
    assert.equal(error.retryAfterSeconds, 7);
    assert.equal(error.serverMessage, "for people");
    assert.deepEqual(error.details, { reason: "why" });
  });
}

test("every class has a code of its own", () => {
  const classes = Object.values(lib).filter((value) => typeof value === "function" && value.prototype instanceof lib.VoiceClientError);
  const codes = classes.map((Class) => new Class().code);
  // ApiError and ServerError are one thing to a person.
  assert.equal(new Set(codes).size, classes.length - 1);
});

test("an error text that is unknown, or is none, is an error of the server", async () => {
  for (const body of [{ error: "Flux compensator" }, { error: 7 }, { error: "constructor" }, {}]) {
    const { rest } = client({ "POST /api/auth/guest": () => json({ success: false, ...body }, 500) });
    await assert.rejects(rest.guest("Ada"), lib.ServerError);
  }
});

test("details of the WebSocket have the names of REST, and its retryAfter counts", () => {
  const error = lib.apiError({ type: "voice_error", error: "Room full", message: "…", maxParticipants: 10, retryAfter: 3 });
  assert.deepEqual(error.details, { max_participants: 10 });
  assert.equal(error.retryAfterSeconds, 3);
  assert.equal(error.status, null);
});

test("answers that are no JSON object", async () => {
  for (const text of ["<html>Bad gateway</html>", "[]", "null", ""]) {
    const { rest } = client({ "GET /api/config": () => new Response(text, { status: 502 }) });
    await assert.rejects(rest.config(), lib.BadAnswerError);
  }
});

test("a join without a session in its answer is none", async () => {
  const { rest } = client({ "POST /api/voice/join": () => json({ success: true }) });
  await assert.rejects(rest.join({ token: "t", roomId: "r", userId: "u", username: "n", world: "w" }), lib.BadAnswerError);
});

test("a server that is not reached, and one that does not answer", async () => {
  const { rest } = client({ "GET /api/config": new TypeError("Failed to fetch") });
  await assert.rejects(rest.config(), lib.NetworkError);
  const silent = client({});
  const asked = silent.rest.config();
  asked.catch(() => {});
  await silent.clock.advance(10_000);
  await assert.rejects(asked, lib.TimeoutError);
  assert.equal(silent.clock.pending, 0);
});

test("an error never holds a token", async () => {
  const { rest } = client({ "GET /api/voice/rooms/materie": new TypeError("Failed to fetch") });
  const error = await rest.rooms("materie", "secret-token").catch((caught) => caught);
  assert.ok(!JSON.stringify([error.message, error.stack, error.details]).includes("secret-token"));
});

test("a degraded server's health is an answer", async () => {
  const { rest } = client({ "GET /api/health": () => json({ success: false, status: "degraded" }, 503) });
  assert.equal((await rest.health()).status, "degraded");
});

test("names in addresses are encoded", async () => {
  const { rest, http } = client({ "GET /api/voice/participants/a%2Fb%20%C3%A4%3F": () => json({ success: true, participants: [] }) });
  assert.deepEqual(await rest.participants("a/b ä?", "t"), []);
  assert.equal(http.calls.length, 1);
});

test("an optional avatar is sent where there is one", async () => {
  const { rest, http } = client({ "POST /api/voice/join": () => json({ success: true, session_id: "s", session_token: "t" }) });
  const request = { token: "t", roomId: "r", userId: "u", username: "n", world: "w" };
  await rest.join(request);
  await rest.join({ ...request, avatarEmoji: "★" });
  assert.deepEqual(http.calls.map(({ body }) => body.avatar_emoji), [undefined, "★"]);
});

test("a leave of what has ended already is none, and one that fails otherwise is not repeated", async () => {
  const session = { sessionId: "s", sessionToken: "t" };
  for (const [text, status] of [["Session already ended", 409], ["Session not found", 404]]) {
    const { rest } = client({ "POST /api/voice/leave": () => json({ success: false, error: text }, status) });
    assert.equal(await rest.leave(session), null);
  }
  const { rest, http } = client({ "POST /api/voice/leave": () => json({ success: false, error: "Unauthorized" }, 401) });
  await assert.rejects(rest.leave(session), lib.UnauthorizedError);
  assert.equal(http.calls.length, 1);
});

test("an account in whole seconds only is taken, too", async () => {
  const { rest } = client({
    "POST /api/voice/leave": () => json({ success: true, duration_seconds: 3, speaking_seconds: 1, left_at: "2026-01-01T00:00:00.000Z" }),
  });
  const summary = await rest.leave({ sessionId: "s", sessionToken: "t" });
  assert.deepEqual(summary, { durationMs: 3_000, speakingMs: 1_000, leftAt: "2026-01-01T00:00:00.000Z" });
});

test("whom a token was made for", () => {
  const token = (claims) => `e30.${Buffer.from(JSON.stringify(claims)).toString("base64url")}.x`;
  assert.deepEqual(lib.identityFromToken(token({ sub: "u1", name: "Zoë ☂" })), { userId: "u1", username: "Zoë ☂" });
  assert.deepEqual(lib.identityFromToken(token({ sub: "u1" })), { userId: "u1", username: null });
  for (const bad of ["", "opaque", "a.b.c", token({}), token({ sub: 7 }), token(null)]) assert.equal(lib.identityFromToken(bad), null);
});

test("the library runs where there is no DOM", async () => {
  await settle();
  assert.equal(globalThis.document, undefined);
  assert.equal(new lib.VoiceClient({ baseUrl: "http://voice.test/", fetch: async () => json({}) }).state, "idle");
});

test("worlds, however much the server tells about them", async () => {
  const { rest } = client({ "GET /api/config": () => json({ success: true, worlds: ["materie", { id: "energie", colour: "amber" }], guests: true }) });
  assert.deepEqual((await rest.config()).worlds, [{ id: "materie" }, { id: "energie", colour: "amber" }]);
});
