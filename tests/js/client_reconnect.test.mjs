/** Lost and found again: the socket by backoff, the audio path by itself or by an ICE restart. */
import assert from "node:assert/strict";
import { test } from "node:test";
import * as lib from "../../static/lib/index.js";
import { Backoff } from "../../static/lib/backoff.js";
import { NOTHING_LEFT, SESSION, Stage, participant, settle } from "./fakes.mjs";

const LEAVE = "POST /api/voice/leave";

test("a lost socket comes back with the session token, and the audio is not touched", async () => {
  const stage = await new Stage().enter();
  stage.socket.drop(1006);
  assert.equal(stage.client.state, "reconnecting");
  await stage.clock.advance(1_000);
  assert.equal(stage.sockets.length, 2);
  await stage.signal({ participants: [participant("s-ada", "ada"), participant(SESSION, "ben"), participant("s-cy", "cy")], resumed: true });
  assert.deepEqual(stage.socket.last("voice_join"), { type: "voice_join", sessionId: SESSION, token: "session-token", requestId: "1" });
  assert.equal(stage.client.state, "connected");
  assert.deepEqual(stage.client.participants.map(({ userId }) => userId), ["ada", "ben", "cy"], "a full snapshot");
  assert.equal(stage.connections.length, 1);
  assert.equal(stage.connection.closed, false);
  assert.equal(stage.client.offers, 1);
  assert.equal(stage.stream.tracks[0].readyState, "live");
  assert.equal(stage.http.of(LEAVE).length, 0);
  assert.equal(stage.clock.pending, 0);
});

test("attempts are spaced by capped exponential backoff with jitter, until 60 s are over", async () => {
  const stage = await new Stage().enter();
  stage.socket.drop(1006);
  await settle();
  const waits = [];
  while (stage.client.state === "reconnecting") {
    const [waitMs] = stage.clock.delays;
    waits.push(waitMs);
    await stage.clock.advance(waitMs);
    stage.socket.drop(1006);
    await settle();
  }
  assert.deepEqual(waits, [187.5, 375, 750, 1_500, 3_000, 6_000, 6_000, 6_000, 6_000, 6_000, 6_000, 6_000, 6_000, 6_000]);
  assert.ok(stage.clock.now() <= 60_000);
  const [{ reason, error }] = stage.of("ended");
  assert.equal(reason, "failed");
  assert.ok(error instanceof lib.SignallingLostError);
  assert.equal(stage.http.of(LEAVE).length, 1, "the session is ended, not forgotten");
  assert.deepEqual(stage.leftovers, NOTHING_LEFT);
});

test("jitter spreads the delays over half of each", () => {
  for (const [random, first, tenth] of [[() => 0, 125, 4_000], [() => 0.999_999, 250, 8_000]]) {
    const backoff = new Backoff({ random });
    const delays = Array.from({ length: 10 }, () => Math.round(backoff.next(0)));
    assert.equal(delays[0], first);
    assert.equal(delays[9], tenth);
  }
});

test("a wait that the server asks for is kept", async () => {
  const backoff = new Backoff({ random: () => 0 });
  assert.equal(backoff.next(0, 5_000), 5_000);
  assert.equal(backoff.next(5_000, 60_000), null);
});

test("a session that is gone at the server is not asked for again", async () => {
  for (const refuse of [
    (stage) => stage.socket.drop(4404),
    (stage) => stage.socket.answer("voice_join", { type: "voice_error", error: "Session not found", message: "…" }),
    (stage) => stage.socket.answer("voice_join", { type: "voice_error", error: "Session already ended", message: "…" }),
  ]) {
    const stage = await new Stage().enter();
    stage.socket.drop(1012);
    await stage.clock.advance(1_000);
    stage.socket.open();
    await settle();
    refuse(stage);
    await settle();
    assert.equal(stage.client.state, "ended");
    assert.equal(stage.of("ended")[0].reason, "removed");
    assert.equal(stage.http.of(LEAVE).length, 0);
    assert.equal(stage.sockets.length, 2);
    assert.deepEqual(stage.leftovers, NOTHING_LEFT);
  }
});

test("a server that is draining is asked again", async () => {
  const stage = await new Stage().enter();
  stage.socket.drop(1012);
  await stage.clock.advance(1_000);
  stage.socket.open();
  await settle();
  stage.socket.answer("voice_join", { type: "voice_error", error: "Draining", message: "…" });
  await stage.clock.advance(2_000);
  assert.equal(stage.sockets.length, 3);
  await stage.signal({ resumed: true });
  assert.equal(stage.client.state, "connected");
});

test("muted while the socket was away is told when it is back", async () => {
  const stage = await new Stage().enter();
  stage.socket.drop(1006);
  stage.client.setMuted(true);
  await stage.clock.advance(1_000);
  await stage.signal({ resumed: true });
  assert.equal(stage.socket.last("voice_mute").muted, true);
  assert.equal(stage.client.participants[1].isMuted, true);
});

test("leave while reconnecting stops the attempts", async () => {
  const stage = await new Stage().enter();
  stage.socket.drop(1006);
  await stage.client.leave();
  assert.deepEqual(stage.leftovers, NOTHING_LEFT);
  await stage.clock.advance(120_000);
  assert.equal(stage.sockets.length, 1);
});

test("a path that comes back by itself needs no offer", async () => {
  const stage = await new Stage().enter();
  stage.connection.become("disconnected");
  assert.equal(stage.client.state, "reconnecting");
  await stage.clock.advance(8_000);
  stage.connection.become("connected");
  assert.equal(stage.client.state, "connected");
  assert.equal(stage.client.offers, 1);
  assert.equal(stage.clock.pending, 0);
});

test("a failed path is found again by an ICE restart on the same connection", async () => {
  const stage = await new Stage().enter();
  stage.connection.become("disconnected");
  stage.connection.become("failed");
  await settle();
  assert.deepEqual(stage.connection.offerOptions, [{}, { iceRestart: true }]);
  await stage.negotiate();
  assert.equal(stage.client.state, "connected");
  assert.equal(stage.client.offers, 2);
  assert.deepEqual(stage.of("negotiated").map(({ offers }) => offers), [1, 2]);
  assert.equal(stage.connections.length, 1);
});

test("with the socket away, too, the restart waits for it", async () => {
  const stage = await new Stage().enter();
  stage.socket.drop(1006);
  stage.connection.become("failed");
  await settle();
  assert.equal(stage.client.offers, 1);
  await stage.clock.advance(1_000);
  await stage.signal({ resumed: true });
  assert.equal(stage.client.state, "reconnecting", "one of two links is back");
  await stage.negotiate();
  assert.equal(stage.client.state, "connected");
  assert.equal(stage.client.offers, 2);
});

test("a restart that the server cannot serve now is tried again", async () => {
  const stage = await new Stage().enter();
  stage.connection.become("failed");
  await settle();
  stage.socket.answer("voice_offer", { type: "voice_error", error: "Internal error", message: "…" });
  await stage.clock.advance(2_000);
  assert.equal(stage.client.offers, 3);
  await stage.negotiate();
  assert.equal(stage.client.state, "connected");
});

test("a restart that the server refuses ends the stay", async () => {
  const stage = await new Stage().enter();
  stage.connection.become("failed");
  await settle();
  stage.socket.answer("voice_offer", { type: "voice_error", error: "Bad message", message: "…", field: "sdp", reason: "…" });
  await settle();
  assert.ok(stage.of("ended")[0].error instanceof lib.BadMessageError);
  assert.equal(stage.http.of(LEAVE).length, 1);
});

test("a path that stays away ends the stay after a minute", async () => {
  const stage = await new Stage().enter();
  stage.connection.become("disconnected");
  await stage.clock.advance(59_999);
  assert.equal(stage.client.state, "reconnecting");
  await stage.clock.advance(1);
  assert.ok(stage.of("ended")[0].error instanceof lib.ConnectionFailedError);
  assert.equal(stage.http.of(LEAVE).length, 1);
  assert.deepEqual(stage.leftovers, NOTHING_LEFT);
});

test("a socket that leaves a request without an answer is a dead one", async () => {
  const stage = await new Stage().enter();
  stage.connection.become("failed");
  await stage.clock.advance(10_000);
  assert.notEqual(stage.sockets[0].closedWith, null);
  await stage.clock.advance(1_000);
  assert.equal(stage.sockets.length, 2);
  await stage.signal({ resumed: true });
  await stage.negotiate();
  assert.equal(stage.client.state, "connected");
});
