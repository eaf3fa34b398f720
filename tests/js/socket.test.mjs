/** One WebSocket: requests meet their answers, and nobody waits for ever. */
import assert from "node:assert/strict";
import { test } from "node:test";
import { BadMessageError, CancelledError, SocketClosedError, TimeoutError } from "../../static/lib/errors.js";
import { Socket } from "../../static/lib/socket.js";
import { FakeClock, fakeSockets, settle } from "./fakes.mjs";

function open() {
  const { FakeSocket, made } = fakeSockets([]);
  const clock = new FakeClock();
  const told = { messages: [], closed: [] };
  const socket = new Socket({
    WebSocket: FakeSocket,
    url: "ws://voice.test/api/ws",
    clock,
    timeoutMs: 10_000,
    listener: { onMessage: (message) => told.messages.push(message), onClose: (error) => told.closed.push(error) },
  });
  return { socket, raw: made[0], clock, told };
}

test("answers find their requests in any order", async () => {
  const { socket, raw, told } = open();
  raw.open();
  await socket.opened;
  const asked = [socket.request({ type: "a" }), socket.request({ type: "b" }), socket.request({ type: "c" })];
  const ids = raw.sent.map(({ requestId }) => requestId);
  assert.equal(new Set(ids).size, 3);
  raw.receive({ type: "answer", requestId: ids[2], value: "c" });
  raw.receive({ type: "event" });
  raw.receive({ type: "answer", requestId: ids[0], value: "a" });
  raw.receive({ type: "voice_error", requestId: ids[1], error: "Bad message", field: "x", reason: "y" });
  assert.equal((await asked[0]).value, "a");
  await assert.rejects(asked[1], BadMessageError);
  assert.equal((await asked[2]).value, "c");
  assert.deepEqual(told.messages, [{ type: "event" }]);
});

test("an answer counts once", async () => {
  const { socket, raw, told } = open();
  raw.open();
  const asked = socket.request({ type: "a" });
  raw.answer("a", { type: "answer", value: 1 });
  raw.answer("a", { type: "answer", value: 2 });
  assert.equal((await asked).value, 1);
  assert.equal(told.messages.length, 1, "the second one answers nothing");
});

test("a request without an answer gives the socket up", async () => {
  const { socket, raw, clock, told } = open();
  raw.open();
  const first = socket.request({ type: "a" });
  const second = socket.request({ type: "b" });
  await Promise.all([assert.rejects(first, TimeoutError), assert.rejects(second, TimeoutError), clock.advance(10_000)]);
  assert.equal(raw.closedWith, 4999);
  assert.equal(told.closed.length, 1);
  assert.equal(clock.pending, 0);
});

test("a close rejects those who wait, and those who come later, with its reason", async () => {
  const { socket, raw, told, clock } = open();
  raw.open();
  const asked = socket.request({ type: "a" });
  raw.drop(1006);
  await assert.rejects(asked, SocketClosedError);
  await assert.rejects(socket.request({ type: "b" }), SocketClosedError);
  assert.equal(socket.send({ type: "c" }), false);
  assert.deepEqual(told.closed.map(({ details }) => details), [{ closeCode: 1006 }]);
  assert.equal(clock.pending, 0);
});

test("closed by this side: no event, waiting ones cancelled, later frames passed over", async () => {
  const { socket, raw, told } = open();
  raw.open();
  const late = raw.onmessage;
  const asked = socket.request({ type: "a" });
  socket.close();
  await assert.rejects(asked, CancelledError);
  late({ data: '{"type": "event"}' });
  raw.drop(1000);
  await settle();
  assert.deepEqual(told, { messages: [], closed: [] });
  assert.equal(raw.closedWith, 1000);
});

test("what cannot be read is passed over", () => {
  const { raw, told } = open();
  raw.open();
  for (const data of ["", "{", "[]", "null", '"x"', '{"type": null}', new ArrayBuffer(3)]) raw.onmessage({ data });
  assert.deepEqual(told.messages, []);
});
