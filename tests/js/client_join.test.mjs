/** Backend first, and everything undone where something fails on the way in. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lib from "../../static/lib/index.js";
import { NOTHING_LEFT, SESSION, Stage, json, settle } from "./fakes.mjs";

const LEAVE = "POST /api/voice/leave";

/** The stay failed with that error, the backend was told once, and nothing is left. */
async function assertRolledBack(stage, ErrorClass, { leaves = 1 } = {}) {
  await assert.rejects(stage.joined, ErrorClass);
  assert.equal(stage.client.state, "ended");
  const [ended, ...more] = stage.of("ended");
  assert.deepEqual(more, []);
  assert.ok(ended.error instanceof ErrorClass, `${ended.error}`);
  assert.equal(stage.http.of(LEAVE).length, leaves);
  assert.deepEqual({ ...stage.leftovers, tracks: 0 }, NOTHING_LEFT);
}

test("the backend session comes before microphone, socket and connection", async () => {
  const stage = new Stage();
  await stage.join();
  stage.grant();
  await stage.signal();
  await stage.negotiate();
  await stage.joined;
  assert.deepEqual(stage.log, [
    "idle -> joining (join was called)",
    "POST /api/voice/join",
    "joining -> signalling (the backend made a session)",
    "socket",
    "microphone",
    "> voice_join",
    "signalling -> media (socket and microphone are open)",
    "connection",
    "> voice_offer",
    "media -> connected (audio flows)",
  ]);
});

test("nothing but REST is touched while the join is unanswered", async () => {
  const stage = new Stage({ answers: { "POST /api/voice/join": undefined } });
  await stage.join();
  assert.deepEqual(stage.log, ["idle -> joining (join was called)", "POST /api/voice/join"]);
  void stage.client.leave();
  await stage.clock.advance(10_000);
  assert.equal(stage.client.state, "ended");
});

test("the request carries what the contract names, and the token in a header only", async () => {
  const stage = new Stage({ options: { language: "en" } });
  await stage.join();
  const [call] = stage.http.of("POST /api/voice/join");
  assert.deepEqual(call.body, { room_id: "lobby", user_id: "ben", username: "Ben", world: "materie" });
  assert.equal(call.headers.Authorization, "Bearer user-token");
  assert.equal(call.headers["Accept-Language"], "en");
  assert.equal(call.url, "https://voice.test/api/voice/join");
  assert.equal(stage.socket.url, "wss://voice.test/api/ws");
  stage.socket.open();
  await settle();
  assert.deepEqual(stage.socket.last("voice_join"), { type: "voice_join", sessionId: SESSION, token: "session-token", requestId: "1" });
});

test("the participants of the REST answer are told before anything else happens", async () => {
  const stage = new Stage();
  stage.client.on("participants", () => stage.log.push("participants"));
  await stage.join();
  assert.ok(stage.log.indexOf("participants") < stage.log.indexOf("socket"));
  assert.ok(stage.log.indexOf("participants") < stage.log.indexOf("microphone"));
  assert.deepEqual(stage.of("participants")[0].participants.map(({ userId }) => userId), ["ada", "ben"]);
  assert.equal(stage.client.sessionId, SESSION);
});

test("a join that the backend refuses ends without a leave", async () => {
  const full = { success: false, error: "Room full", message: "…", current_participant_count: 10, max_participants: 10 };
  const stage = new Stage({ answers: { "POST /api/voice/join": () => json(full, 403) } });
  await stage.join();
  await assertRolledBack(stage, lib.RoomFullError, { leaves: 0 });
  assert.deepEqual(stage.of("ended")[0].error.details, { current_participant_count: 10, max_participants: 10 });
  assert.deepEqual(stage.sockets, []);
});

for (const [name, ErrorClass, code] of [
  ["NotAllowedError", lib.MicrophoneDeniedError, "microphone_denied"],
  ["NotFoundError", lib.MicrophoneNotFoundError, "microphone_not_found"],
  ["NotReadableError", lib.MicrophoneBusyError, "microphone_busy"],
  ["TypeError", lib.MicrophoneError, "microphone_failed"],
]) {
  test(`a microphone that fails with ${name} ends the backend session at once`, async () => {
    const stage = new Stage();
    await stage.join();
    await stage.signal();
    stage.refuse(name);
    await settle();
    await assertRolledBack(stage, ErrorClass);
    const [leave] = stage.http.of(LEAVE);
    assert.deepEqual(leave.body, { session_id: SESSION });
    assert.equal(leave.headers.Authorization, "Bearer session-token");
    assert.equal(leave.keepalive, true);
    assert.equal(stage.of("ended")[0].error.code, code);
    assert.deepEqual(stage.connections, []);
  });
}

test("the page knows why before the backend has answered the leave", async () => {
  const stage = new Stage({ answers: { [LEAVE]: undefined } });
  await stage.join();
  stage.refuse("NotAllowedError");
  await settle();
  const last = stage.of("state").at(-1);
  assert.equal(last.to, "leaving");
  assert.equal(last.error.code, "microphone_denied");
  await stage.clock.advance(60_000);
  assert.equal(stage.client.state, "ended");
});

test("a refused microphone works before the socket has opened, too", async () => {
  const stage = new Stage();
  await stage.join();
  stage.refuse("NotAllowedError");
  await settle();
  await assertRolledBack(stage, lib.MicrophoneDeniedError);
});

test("no getUserMedia at all means that the page is not a secure context", async () => {
  const stage = new Stage({ options: { getUserMedia: undefined } });
  await stage.join();
  await settle();
  await assertRolledBack(stage, lib.InsecureContextError);
});

test("a microphone granted after the stay was given up is switched off again", async () => {
  const stage = new Stage();
  await stage.join();
  stage.socket.drop(1006);
  await settle();
  await assertRolledBack(stage, lib.SocketClosedError);
  stage.grant();
  await settle();
  assert.deepEqual(stage.leftovers, NOTHING_LEFT);
});

test("a socket that does not open, or closes on the way in, rolls back", async () => {
  for (const [happens, ErrorClass] of [
    [async (stage) => stage.socket.drop(1006), lib.SocketClosedError],
    [async (stage) => stage.clock.advance(10_000), lib.TimeoutError],
    [async (stage) => (await stage.signal(), stage.socket.drop(1011)), lib.SocketClosedError],
    [async (stage) => (stage.socket.open(), await stage.clock.advance(10_000)), lib.TimeoutError],
    [async (stage) => (stage.socket.open(), stage.socket.drop(4401, "no")), lib.SessionRefusedError],
  ]) {
    const stage = new Stage();
    await stage.join();
    await happens(stage);
    await settle();
    await assertRolledBack(stage, ErrorClass);
    stage.grant();
    await settle();
    assert.deepEqual(stage.leftovers, NOTHING_LEFT);
  }
});

test("an answer that is an error, or is none, rolls back", async () => {
  for (const [message, ErrorClass] of [
    [{ type: "voice_error", code: 400, error: "Bad message", message: "…", field: "sdp", reason: "no fingerprint" }, lib.BadMessageError],
    [{ type: "voice_answer", sdp: { type: "nonsense", sdp: "" } }, lib.NegotiationError],
  ]) {
    const stage = new Stage();
    await stage.join();
    stage.grant();
    await stage.signal();
    stage.socket.answer("voice_offer", message);
    await settle();
    await assertRolledBack(stage, ErrorClass);
    assert.deepEqual(stage.leftovers, NOTHING_LEFT);
  }
});

test("an audio path that fails, or is not found in time, rolls back", async () => {
  for (const happens of [(stage) => stage.connection.become("failed"), (stage) => stage.clock.advance(15_000)]) {
    const stage = new Stage();
    await stage.join();
    stage.grant();
    await stage.signal();
    stage.socket.answer("voice_offer", { type: "voice_answer", sdp: { type: "answer", sdp: "answer" } });
    await settle();
    await happens(stage);
    await settle();
    await assertRolledBack(stage, lib.ConnectionFailedError);
    assert.deepEqual(stage.leftovers, NOTHING_LEFT);
  }
});

test("a server that gives up on the audio path need not be waited for", async () => {
  const stage = new Stage();
  await stage.join();
  stage.grant();
  await stage.signal();
  stage.socket.answer("voice_offer", { type: "voice_answer", sdp: { type: "answer", sdp: "answer" } });
  stage.socket.receive({ type: "voice_media", sessionId: SESSION, connected: false, reason: "fingerprint" });
  await settle();
  await assertRolledBack(stage, lib.ConnectionFailedError);
  assert.deepEqual(stage.of("ended")[0].error.details, { reason: "fingerprint" });
  assert.deepEqual(stage.leftovers, NOTHING_LEFT);
});

test("a browser without WebRTC rolls back", async () => {
  const stage = new Stage({ options: { RTCPeerConnection: undefined } });
  await stage.join();
  stage.grant();
  await stage.signal();
  await settle();
  await assertRolledBack(stage, lib.MediaUnsupportedError);
});

test("a leave that does not reach the backend is sent again, and no error of the roll-back hides the first one", async () => {
  let tries = 0;
  const stage = new Stage({ answers: { [LEAVE]: () => (tries++, new TypeError("failed to fetch")) } });
  await stage.join();
  stage.refuse("NotAllowedError");
  await stage.clock.advance(5_000);
  await assertRolledBack(stage, lib.MicrophoneDeniedError, { leaves: 3 });
  assert.equal(tries, 3);
  assert.ok(stage.of("error")[0].error instanceof lib.NetworkError);
});

test("leave while joining waits for the answer and ends the session that it made", async () => {
  let answer = () => {};
  const pending = new Promise((resolve) => {
    answer = resolve;
  });
  const stage = new Stage();
  const joined = stage.http.answers["POST /api/voice/join"]();
  stage.http.answers["POST /api/voice/join"] = () => pending;
  await stage.join();
  const left = stage.client.leave();
  answer(joined);
  assert.equal((await left).reason, "left");
  await assert.rejects(stage.joined, lib.CancelledError);
  assert.deepEqual(stage.http.of(LEAVE).map(({ body }) => body), [{ session_id: SESSION }]);
  assert.deepEqual(stage.sockets, []);
});

test("muted before the socket was open is told as soon as it is", async () => {
  const stage = new Stage();
  stage.client.setMuted(true);
  await stage.join();
  stage.grant();
  await stage.signal();
  assert.equal(stage.socket.last("voice_mute").muted, true);
  assert.equal(stage.stream.tracks[0].enabled, false);
  assert.equal(stage.client.participants.at(-1).isMuted, true);
});

test("who comes while the microphone is still being asked for stays in the list", async () => {
  const stage = new Stage();
  await stage.join();
  await stage.signal();
  stage.socket.receive({ type: "voice_join", sessionId: "s-cy", userId: "cy", username: "Cy", isMuted: false });
  stage.grant();
  await settle();
  await stage.negotiate();
  assert.deepEqual(stage.client.participants.map(({ userId }) => userId), ["ada", "ben", "cy"]);
});
