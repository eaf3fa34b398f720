/** The parts of the pages that need no browser. */
import assert from "node:assert/strict";
import { readFileSync, readdirSync } from "node:fs";
import { test } from "node:test";
import { readAddress, roomLink } from "../../static/app/address.js";
import { SlotAudio } from "../../static/app/audio.js";
import { Login } from "../../static/app/login.js";
import { Memory } from "../../static/app/memory.js";
import { hue, initials } from "../../static/app/person.js";
import { takePicture } from "../../static/admin/rooms.js";
import { UnauthorizedError } from "../../static/lib/index.js";
import { settle } from "./fakes.mjs";

const STATIC = new URL("../../static/", import.meta.url);
const read = (path) => readFileSync(new URL(path, STATIC), "utf8");
const scripts = (folder) => readdirSync(new URL(folder, STATIC)).filter((file) => file.endsWith(".js"));

test("the library names nothing of the DOM", () => {
  for (const file of scripts("lib/")) {
    const code = read(`lib/${file}`).replace(/\/\*[\s\S]*?\*\/|\/\/.*/g, "");
    assert.doesNotMatch(code, /\b(document|window|localStorage|sessionStorage|HTMLElement|customElements|querySelector|location)\b/, file);
    assert.doesNotMatch(code, /from "(?!\.\/)/, `${file} imports from its own folder only`);
  }
});

test("pages have no inline script, no inline handler, and a place for the import map before the first module", () => {
  for (const page of ["index.html", "admin.html", "example/index.html"]) {
    const html = read(page);
    assert.equal(html.match(/<!-- importmap -->/g).length, 1, page);
    assert.ok(html.indexOf("<!-- importmap -->") < html.indexOf("<script"), page);
    assert.ok(html.indexOf("<!-- importmap -->") < html.indexOf("</head>"), page);
    for (const [tag] of html.matchAll(/<script[^>]*>/g)) assert.match(tag, /src="\/static\//, page);
    assert.doesNotMatch(html, /\son\w+=|javascript:|https?:/, page);
  }
});

test("nothing is loaded from elsewhere, and no markup is made of text", () => {
  for (const folder of ["lib/", "app/", "admin/", "example/"]) {
    for (const file of scripts(folder)) {
      const code = read(folder + file);
      assert.doesNotMatch(code, /innerHTML|outerHTML|insertAdjacentHTML|unsafeHTML|unsafeSVG|document\.write|\beval\(/, file);
      assert.doesNotMatch(code.replace(/\/\*[\s\S]*?\*\/|\/\/ .*/g, ""), /https?:\/\//, file);
    }
  }
});

test("the smallest client is smaller than 120 lines", () => {
  const lines = ["example/index.html", "example/example.js"].map((file) => read(file).trimEnd().split("\n").length);
  assert.ok(lines[0] + lines[1] < 120, `${lines}`);
});

test("an address names a room, and hands a login over in its fragment only", () => {
  const { world, room, token, clean } = readAddress("https://v.test/?world=materie&room=a%20b#token=abc.def.ghi&x=1");
  assert.deepEqual({ world, room, token, clean }, { world: "materie", room: "a b", token: "abc.def.ghi", clean: "https://v.test/?world=materie&room=a%20b#x=1" });
  assert.equal(readAddress("https://v.test/?token=abc").token, null);
  assert.deepEqual(readAddress("https://v.test/"), { world: null, room: null, token: null, clean: "https://v.test/" });
});

test("the link to a room has no token and leads back to it", () => {
  const link = roomLink("https://v.test/?world=x#token=secret", { world: "energie", room: "Küche & Flur" });
  assert.ok(!link.includes("secret"));
  assert.deepEqual([readAddress(link).world, readAddress(link).room], ["energie", "Küche & Flur"]);
});

test("initials, of any name there may be", () => {
  const cases = { "Ada Lovelace": "AL", ada: "A", "  Jean Luc  Picard ": "JP", "👩‍🚀 Zoë": "👩‍🚀Z", "<script>": "S", "(Ada) Lovelace!": "AL", "<3": "3", "!!": "!", "علي": "ع", "": "?", "​": "?", "ß": "SS" };
  for (const [name, expected] of Object.entries(cases)) assert.equal(initials(name), expected, name);
});

test("colours are steady and differ for similar ids", () => {
  assert.equal(hue("user_1"), hue("user_1"));
  assert.ok(new Set(Array.from({ length: 30 }, (_, index) => hue(`user_${index}`))).size > 20);
  for (const id of ["", "x", "ü", "💥"]) assert.ok(hue(id) >= 0 && hue(id) < 360);
});

test("a memory that the browser refuses is an empty one", () => {
  const refused = new Memory(() => {
    throw new DOMException("no", "SecurityError");
  });
  refused.set("name", "Ada");
  assert.equal(refused.get("name"), null);
  const kept = new Map();
  const memory = new Memory(() => ({ getItem: (key) => kept.get(key) ?? null, setItem: (key, value) => kept.set(key, value) }));
  memory.set("name", "Ada");
  assert.equal(memory.get("name"), "Ada");
  assert.deepEqual([...kept.keys()], ["weltenstimme.name"]);
});

test("a guest stays the same one under the same name, and gets new credentials when old ones are refused", async () => {
  let made = 0;
  const rest = { guest: async () => ({ token: `t${++made}`, userId: `guest_${made}` }) };
  const login = new Login(null);
  assert.deepEqual(await login.credentials(rest, "Ada"), { token: "t1", userId: "guest_1" });
  assert.equal(login.renew(), false, "fresh ones that are refused will be refused again");
  assert.equal((await login.credentials(rest, "Ada")).userId, "guest_2");
  assert.equal((await login.credentials(rest, "Ada")).userId, "guest_2");
  assert.equal(login.renew(), true);
  assert.equal((await login.credentials(rest, "Ada")).userId, "guest_3");
  assert.equal((await login.credentials(rest, "Ben")).userId, "guest_4");
});

test("a login that was handed over names its person, or nobody", async () => {
  const token = `e30.${Buffer.from(JSON.stringify({ sub: "u7", name: "Ada" })).toString("base64url")}.s`;
  const login = new Login(token);
  assert.deepEqual(await login.credentials({}, "ignored"), { token, userId: "u7" });
  assert.deepEqual([login.isGuest, login.username, login.renew()], [false, "Ada", false]);
  await assert.rejects(new Login("opaque").credentials({}, "Ada"), UnauthorizedError);
});

class FakeAudio {
  dataset = {};
  srcObject = null;
  removed = false;
  allowed = true;

  play() {
    return this.allowed ? Promise.resolve() : Promise.reject(new DOMException("no", "NotAllowedError"));
  }

  remove() {
    this.removed = true;
  }
}

function audioStage({ allowed = true } = {}) {
  const elements = [];
  const container = {
    ownerDocument: { createElement: () => Object.assign(new FakeAudio(), { allowed }) },
    append: (element) => elements.push(element),
  };
  const blocked = [];
  return { elements, blocked, audio: new SlotAudio(container, (value) => blocked.push(value), (track) => ({ track })) };
}

test("one audio element for each slot, kept while people change", () => {
  const { audio, elements } = audioStage();
  audio.update([{ mid: "1", sessionId: "a", userId: "a", track: "t1" }, { mid: "2", sessionId: null, userId: null, track: "t2" }, { mid: "3", sessionId: "c", userId: "c", track: null }]);
  audio.update([{ mid: "1", sessionId: null, userId: null, track: "t1" }, { mid: "2", sessionId: "b", userId: "b", track: "t2" }]);
  assert.deepEqual(elements.map(({ dataset }) => dataset), [
    { testid: "slot-audio", mid: "1", sessionId: "" },
    { testid: "slot-audio", mid: "2", sessionId: "b" },
  ]);
  assert.deepEqual(elements.map(({ srcObject }) => srcObject.track), ["t1", "t2"]);
  audio.close();
  assert.ok(elements.every(({ removed, srcObject }) => removed && srcObject === null));
});

test("sound that the browser blocks is told once, and starts with a click", async () => {
  const { audio, elements, blocked } = audioStage({ allowed: false });
  audio.update([{ mid: "1", sessionId: "a", userId: "a", track: "t1" }, { mid: "2", sessionId: "b", userId: "b", track: "t2" }]);
  await settle();
  assert.deepEqual(blocked, [true]);
  for (const element of elements) element.allowed = true;
  audio.enable();
  await settle();
  assert.deepEqual(blocked, [true, false]);
});

test("the operator's picture asks for every world, and for the people of every room", async () => {
  const asked = [];
  const rest = {
    config: async () => ({ worlds: [{ id: "materie" }, { id: "energie" }] }),
    health: async () => ({ status: "ok" }),
    rooms: async (world, token) => (asked.push([world, token]), world === "materie" ? [{ room_id: "r1" }] : []),
    participants: async (room, token) => (asked.push([room, token]), [{ userId: "ada" }]),
  };
  const picture = await takePicture(rest, "secret");
  assert.deepEqual(asked, [["materie", "secret"], ["energie", "secret"], ["r1", "secret"]]);
  assert.deepEqual(picture.worlds, [{ world: "materie", rooms: [{ room_id: "r1", participants: [{ userId: "ada" }] }] }, { world: "energie", rooms: [] }]);
});

test("no style is set by attribute: the content security policy refuses it", () => {
  for (const folder of ["app/", "admin/"]) {
    for (const file of scripts(folder)) assert.doesNotMatch(read(folder + file), /[^.\w]style=/, file);
  }
});
