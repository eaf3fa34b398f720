/** Life in the room: people, slots, mute, leave. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lib from "../../static/lib/index.js";
import { NOTHING_LEFT, SESSION, Stage, participant, settle } from "./fakes.mjs";

const LEAVE = "POST /api/voice/leave";

test("one connection: the microphone in one sendonly section, a recvonly one for each slot", async () => {
  const { connection, stream } = await new Stage().enter();
  assert.equal(connection.configuration.bundlePolicy, "max-bundle");
  assert.deepEqual(connection.transceivers.map(({ direction }) => direction), ["sendonly", "recvonly", "recvonly", "recvonly"]);
  assert.equal(connection.transceivers[0].sender.track, stream.tracks[0]);
});

test("slots say which track is whose", async () => {
  const stage = await new Stage().enter();
  const slots = [
    { mid: "1", sessionId: "s-ada", userId: "ada" },
    { mid: "2", sessionId: null, userId: null },
    { mid: "3", sessionId: "s-cy", userId: "cy" },
  ];
  stage.socket.receive({ type: "voice_slots", sessionId: SESSION, slots });
  const tracks = stage.connection.transceivers.map(({ receiver }) => receiver.track);
  const told = stage.of("slots").at(-1).slots;
  assert.deepEqual(told.map(({ mid, sessionId, userId }) => ({ mid, sessionId, userId })), slots);
  assert.deepEqual(told.map(({ track }) => tracks.indexOf(track)), [1, 2, 3]);
  assert.deepEqual(stage.client.slots, told);
});

test("slots that are told before the answer was taken are told again with their tracks", async () => {
  const stage = new Stage();
  await stage.join();
  await stage.signal();
  stage.socket.receive({ type: "voice_slots", slots: [{ mid: "1", sessionId: "s-ada", userId: "ada" }] });
  assert.equal(stage.of("slots")[0].slots[0].track, null);
  stage.grant();
  await settle();
  await stage.negotiate();
  assert.equal(stage.of("slots").at(-1).slots[0].track, stage.connection.transceivers[1].receiver.track);
});

test("people come and go, slots change hands, and one offer is all there ever was", async () => {
  const stage = await new Stage().enter();
  for (let round = 0; round < 20; round += 1) {
    const sessionId = `s-${round}`;
    stage.socket.receive({ type: "voice_join", sessionId, userId: `u${round}`, username: `U ${round}`, avatarEmoji: null });
    stage.socket.receive({ type: "voice_slots", slots: [{ mid: String(1 + (round % 3)), sessionId, userId: `u${round}` }] });
    stage.socket.receive({ type: "voice_leave", sessionId, userId: `u${round}`, reason: "left" });
  }
  await settle();
  assert.equal(stage.client.offers, 1);
  assert.deepEqual(stage.of("negotiated").map(({ offers }) => offers), [1]);
  assert.equal(stage.socket.sent.filter(({ type }) => type === "voice_offer").length, 1);
  assert.equal(stage.connections.length, 1);
  assert.equal(stage.of("joined").length, 20);
  assert.equal(stage.of("left").length, 20);
  assert.equal(stage.of("left")[7].participant.username, "U 7");
});

test("the order of joining is kept while people change", async () => {
  const stage = await new Stage().enter();
  stage.socket.receive({ type: "voice_join", sessionId: "s-cy", userId: "cy", username: "Cy" });
  stage.socket.receive({ type: "voice_mute", sessionId: "s-ada", userId: "ada", muted: true, by: "self" });
  stage.socket.receive({ type: "voice_speaking", speakers: [{ sessionId: "s-cy", userId: "cy", speaking: true, level: 0.5 }] });
  assert.deepEqual(stage.client.participants.map(({ userId }) => userId), ["ada", "ben", "cy"]);
});

test("who speaks is what the server says", async () => {
  const stage = await new Stage().enter();
  const before = stage.client.participants[0];
  stage.socket.receive({ type: "voice_speaking", speakers: [{ sessionId: "s-ada", userId: "ada", speaking: true, level: 0.4 }] });
  const [speaking, self] = stage.client.participants;
  assert.deepEqual([speaking.isSpeaking, speaking.level, self.isSpeaking], [true, 0.4, false]);
  assert.notEqual(speaking, before, "replaced, so that a page can compare by identity");
  stage.socket.receive({ type: "voice_speaking", speakers: [{ sessionId: "s-ada", userId: "ada", speaking: false, level: 0 }] });
  assert.equal(stage.client.participants[0].isSpeaking, false);
  assert.equal(stage.of("speaking").length, 2);
});

test("mute: the track at once, the server too, and back", async () => {
  const stage = await new Stage().enter();
  stage.client.setMuted(true);
  assert.equal(stage.stream.tracks[0].enabled, false);
  assert.deepEqual(stage.socket.last("voice_mute"), { type: "voice_mute", sessionId: SESSION, muted: true });
  assert.deepEqual(stage.of("mute").at(-1), { name: "mute", muted: true, by: "self" });
  assert.equal(stage.client.participants[1].mutedBy, "self");
  stage.client.setMuted(true);
  assert.equal(stage.of("mute").length, 1, "no event without a change");
  stage.client.setMuted(false);
  assert.equal(stage.stream.tracks[0].enabled, true);
  assert.equal(stage.client.participants[1].isMuted, false);
});

test("a moderator's mute, and its end, which opens no microphone that its owner closed", async () => {
  const stage = await new Stage().enter();
  const byModerator = (muted) => stage.socket.receive({ type: "voice_mute", sessionId: SESSION, userId: "ben", muted, by: "moderator" });
  byModerator(true);
  assert.equal(stage.stream.tracks[0].enabled, false);
  assert.equal(stage.client.mutedByModerator, true);
  assert.equal(stage.client.participants[1].mutedBy, "moderator");
  stage.client.setMuted(true);
  byModerator(false);
  assert.equal(stage.stream.tracks[0].enabled, false);
  assert.equal(stage.client.participants[1].mutedBy, "self");
  stage.client.setMuted(false);
  assert.equal(stage.stream.tracks[0].enabled, true);
});

test("leave gives the account, frees everything, and tells the backend once", async () => {
  const stage = await new Stage().enter();
  const [outcome, again] = await Promise.all([stage.client.leave(), stage.client.leave()]);
  assert.equal(outcome, again);
  assert.deepEqual(outcome, {
    reason: "left",
    error: null,
    summary: { durationMs: 12_345, speakingMs: 3_210, leftAt: "2026-02-13T17:30:12.345Z" },
  });
  assert.equal(stage.http.of(LEAVE).length, 1);
  assert.equal(stage.socket.closedWith, 1000);
  assert.deepEqual(stage.leftovers, NOTHING_LEFT);
  assert.deepEqual(stage.of("state").map(({ to }) => to).slice(-2), ["leaving", "ended"]);
});

test("leave called by a listener of the state does not end it twice", async () => {
  const stage = new Stage();
  stage.client.on("state", ({ to }) => to === "leaving" && void stage.client.leave());
  await stage.enter();
  await stage.client.leave();
  assert.equal(stage.of("ended").length, 1);
  assert.equal(stage.http.of(LEAVE).length, 1);
});

test("an idle client can be left, and joined no more", async () => {
  const stage = new Stage();
  assert.equal((await stage.client.leave()).reason, "left");
  assert.deepEqual(stage.http.calls, []);
  await assert.rejects(stage.client.join({}), /no way from ended to joining/);
});

test("a page that goes away leaves by beacon, with the token in the body and not in the address", async () => {
  const stage = await new Stage().enter();
  stage.client.leaveByBeacon();
  assert.equal(stage.beacons.length, 1);
  const [{ url, body }] = stage.beacons;
  assert.equal(url, "https://voice.test/api/voice/leave");
  assert.equal(typeof body, "string", "a string is sent as text/plain");
  assert.deepEqual(JSON.parse(body), { session_id: SESSION, session_token: "session-token" });
  assert.deepEqual(stage.leftovers, NOTHING_LEFT, "at once, before any promise settles");
  await settle();
  assert.equal(stage.client.state, "ended");
  assert.equal(stage.http.of(LEAVE).length, 0);
});

test("a beacon that the browser does not take is replaced by a request that outlives the page", async () => {
  const stage = new Stage({ options: { sendBeacon: () => false } });
  await stage.enter();
  stage.client.leaveByBeacon();
  await settle();
  assert.equal(stage.http.of(LEAVE)[0].keepalive, true);
});

test("no beacon for a stay that is ending already, or never began", async () => {
  const stage = await new Stage().enter();
  void stage.client.leave();
  stage.client.leaveByBeacon();
  new Stage().client.leaveByBeacon();
  await settle();
  assert.deepEqual(stage.beacons, []);
});

test("a kick is told with its reason, and nothing is left to leave", async () => {
  const stage = await new Stage().enter();
  const expiresAt = "2026-02-13T17:40:00.000Z";
  stage.socket.receive({ type: "voice_kick", reason: "noise", by: "mod", banned: false, expiresAt });
  stage.socket.drop(4403);
  await settle();
  const [ended] = stage.of("ended");
  assert.equal(ended.reason, "removed");
  assert.ok(ended.error instanceof lib.KickedError);
  assert.deepEqual(ended.error.details, { reason: "noise", by: "mod", expires_at: expiresAt });
  assert.equal(stage.http.of(LEAVE).length, 0);
  assert.deepEqual(stage.leftovers, NOTHING_LEFT);
});

test("a ban is told as one, with its end, and nothing is left to leave", async () => {
  const stage = await new Stage().enter();
  stage.socket.receive({ type: "voice_kick", reason: null, by: "mod", banned: true, expiresAt: null });
  stage.socket.drop(4403);
  await settle();
  const [ended] = stage.of("ended");
  assert.equal(ended.reason, "removed");
  assert.ok(ended.error instanceof lib.BannedError);
  assert.deepEqual(ended.error.details, { reason: null, by: "mod", expires_at: null });
  assert.equal(stage.http.of(LEAVE).length, 0);
});

test("close codes that end the stay do so with their error; what lives on elsewhere is not left", async () => {
  for (const [closeCode, ErrorClass, leaves] of [
    [4400, lib.ProtocolError, 1],
    [1009, lib.ProtocolError, 1],
    [4401, lib.SessionRefusedError, 1],
    [4403, lib.KickedError, 0],
    [4404, lib.SessionGoneError, 0],
    [4409, lib.ReplacedError, 0],
  ]) {
    const stage = await new Stage().enter();
    stage.socket.drop(closeCode);
    await settle();
    assert.ok(stage.of("ended")[0].error instanceof ErrorClass, `${closeCode}`);
    assert.equal(stage.http.of(LEAVE).length, leaves, `${closeCode}`);
    assert.equal(stage.sockets.length, 1, "nobody fights back");
    assert.deepEqual(stage.leftovers, NOTHING_LEFT);
  }
});

test("the server ends the session: told as removed, with its reason", async () => {
  const stage = await new Stage().enter();
  stage.socket.receive({ type: "voice_leave", sessionId: SESSION, userId: "ben", reason: "server_stop" });
  await settle();
  const [{ reason, error }] = stage.of("ended");
  assert.equal(reason, "removed");
  assert.ok(error instanceof lib.SessionGoneError);
  assert.deepEqual(error.details, { end_reason: "server_stop" });
});

test("what is not understood is passed over; errors that answer nothing are told", async () => {
  const stage = await new Stage().enter();
  for (const frame of ["{", "[]", "null", "7", '{"type": 7}', '{"type": "constructor"}', '{"type": "voice_hologram"}']) {
    stage.socket.receive(frame);
  }
  stage.socket.receive({ type: "voice_answer", requestId: "999", sdp: {} });
  stage.socket.receive({ type: "voice_error", error: "Draining", message: "…" });
  assert.equal(stage.client.state, "connected");
  assert.ok(stage.of("error")[0].error instanceof lib.DrainingError);
  stage.socket.receive({ type: "voice_leave", sessionId: "unknown", userId: "x", reason: "left" });
  assert.deepEqual(stage.of("left"), []);
});

test("warnings, hands and quality are told", async () => {
  const stage = await new Stage().enter();
  stage.socket.receive({ type: "voice_warn", actionId: "a1", reason: "calm down", by: "mod" });
  stage.socket.receive({ type: "voice_hand", sessionId: "s-ada", userId: "ada", raised: true });
  const quality = { sessionId: "s-ada", quality: "poor", mos: 2.1, rttMs: 300, jitterMs: 40, lossPct: 9 };
  stage.socket.receive({ type: "voice_quality", ...quality });
  assert.deepEqual(stage.of("warned")[0], { name: "warned", reason: "calm down", by: "mod", actionId: "a1" });
  assert.equal(stage.client.participants[0].handRaised, true);
  assert.deepEqual(stage.of("quality")[0], { name: "quality", ...quality });
  stage.client.setHand(true);
  assert.equal(stage.socket.last("voice_hand").raised, true);
  stage.client.acknowledgeWarning("a1");
  assert.equal(stage.socket.last("voice_warn_ack").actionId, "a1");
});

test("a microphone that goes away is told", async () => {
  const stage = await new Stage().enter();
  stage.stream.tracks[0].onended();
  assert.deepEqual(stage.of("microphone").map(({ state }) => state), ["asking", "open", "ended"]);
});

test("the name of a participant stays the text that it was", async () => {
  const stage = await new Stage().enter();
  const username = "<img src=x onerror=alert(1)> ‮abc";
  stage.socket.receive({ type: "voice_join", ...participant("s-x", "x", { username }) });
  assert.equal(stage.client.participants.at(-1).username, username);
});
