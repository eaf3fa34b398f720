/** What the client library takes from its surroundings, driven by hand. Nothing here waits for real time. */
import { VoiceClient } from "../../static/lib/index.js";

/** Lets everything run that is ready to run, however many promises deep. */
export const settle = () => new Promise((resolve) => setImmediate(resolve));

export class FakeClock {
  #now = 0;
  #next = 1;
  #timers = new Map();

  now = () => this.#now;

  setTimeout = (callback, delayMs) => {
    const handle = this.#next++;
    this.#timers.set(handle, { callback, at: this.#now + delayMs });
    return handle;
  };

  clearTimeout = (handle) => {
    this.#timers.delete(handle);
  };

  /** Number of timers that still run. */
  get pending() {
    return this.#timers.size;
  }

  /** Delays until the timers that run, shortest first. */
  get delays() {
    return [...this.#timers.values()].map(({ at }) => at - this.#now).sort((a, b) => a - b);
  }

  /** Turns the clock on, timer by timer, with everything settled in between. */
  async advance(delayMs) {
    const end = this.#now + delayMs;
    for (;;) {
      await settle();
      const due = [...this.#timers].filter(([, { at }]) => at <= end).sort(([, a], [, b]) => a.at - b.at)[0];
      if (due === undefined) break;
      this.#timers.delete(due[0]);
      this.#now = due[1].at;
      due[1].callback();
    }
    this.#now = end;
    await settle();
  }
}

export const json = (body, status = 200, headers = {}) =>
  new Response(JSON.stringify(body), { status, headers: { "Content-Type": "application/json", ...headers } });

/** A `fetch` that answers by `"METHOD /path"`; a function as an answer is called, an error is thrown, no answer hangs until aborted. */
export class FakeFetch {
  calls = [];

  constructor(log, answers) {
    this.log = log;
    this.answers = answers;
  }

  fetch = async (url, init = {}) => {
    const { pathname } = new URL(url);
    const key = `${init.method} ${pathname}`;
    this.log.push(key);
    this.calls.push({ key, url, ...init, body: init.body === undefined ? undefined : JSON.parse(init.body) });
    const answer = typeof this.answers[key] === "function" ? this.answers[key]() : this.answers[key];
    if (answer instanceof Error) throw answer;
    if (answer !== undefined) return answer;
    return new Promise((_, reject) => init.signal.addEventListener("abort", () => reject(init.signal.reason)));
  };

  of(key) {
    return this.calls.filter((call) => call.key === key);
  }
}

/** A class of sockets; `made` holds all that were made. */
export function fakeSockets(log) {
  const made = [];
  class FakeSocket {
    sent = [];
    closedWith = null;
    onopen = null;
    onmessage = null;
    onclose = null;
    onerror = null;

    constructor(url) {
      this.url = url;
      log.push("socket");
      made.push(this);
    }

    send(text) {
      const message = JSON.parse(text);
      this.sent.push(message);
      log.push(`> ${message.type}`);
    }

    close(code) {
      this.closedWith ??= code;
    }

    // What the server does:
    open() {
      this.onopen?.({});
    }

    receive(message) {
      this.onmessage?.({ data: typeof message === "string" ? message : JSON.stringify(message) });
    }

    drop(code = 1006, reason = "") {
      this.onclose?.({ code, reason });
    }

    last(type) {
      return this.sent.filter((message) => message.type === type).at(-1);
    }

    answer(type, message) {
      this.receive({ requestId: this.last(type).requestId, ...message });
    }
  }
  return { FakeSocket, made };
}

export class FakeTrack {
  kind = "audio";
  enabled = true;
  readyState = "live";
  onended = null;

  stop() {
    this.readyState = "ended";
  }
}

export class FakeStream {
  constructor(tracks = [new FakeTrack()]) {
    this.tracks = tracks;
  }

  getTracks() {
    return this.tracks;
  }

  getAudioTracks() {
    return this.tracks;
  }
}

/** A class of connections; `made` holds all that were made. */
export function fakeConnections(log) {
  const made = [];
  class FakeConnection {
    connectionState = "new";
    localDescription = null;
    remoteDescription = null;
    onconnectionstatechange = null;
    transceivers = [];
    offerOptions = [];
    closed = false;

    constructor(configuration) {
      this.configuration = configuration;
      made.push(this);
      log.push("connection");
    }

    addTransceiver(trackOrKind, { direction, streams = [] }) {
      const track = typeof trackOrKind === "string" ? null : trackOrKind;
      this.transceivers.push({ mid: null, direction, sender: { track }, receiver: { track: new FakeTrack() }, streams });
    }

    getTransceivers() {
      return this.transceivers;
    }

    async createOffer(options) {
      this.offerOptions.push(options);
      return { type: "offer", sdp: `offer ${this.offerOptions.length}` };
    }

    async setLocalDescription(description) {
      this.localDescription = description;
      this.transceivers.forEach((transceiver, index) => {
        transceiver.mid = String(index);
      });
    }

    async setRemoteDescription(description) {
      if (description?.type !== "answer") throw new TypeError("not an answer");
      this.remoteDescription = description;
    }

    close() {
      this.closed = true;
    }

    // What the network does:
    become(connectionState) {
      this.connectionState = connectionState;
      this.onconnectionstatechange?.({});
    }
  }
  return { FakeConnection, made };
}

export const SESSION = "e8b175c9-0352-46db-95d1-68dd4aac0110";

export const participant = (sessionId, userId, more = {}) => ({
  sessionId,
  userId,
  username: userId.toUpperCase(),
  avatarEmoji: null,
  isMuted: false,
  isSpeaking: false,
  role: "user",
  ...more,
});

const JOINED = {
  success: true,
  session_id: SESSION,
  session_token: "session-token",
  room_id: "lobby",
  world: "materie",
  max_participants: 10,
  current_participant_count: 2,
  participants: [participant("s-ada", "ada"), participant(SESSION, "ben")],
  joined_at: "2026-02-13T17:30:00.000Z",
  signalling_url: "/api/ws",
  ice_servers: [],
};

const LEFT = {
  success: true,
  session_id: SESSION,
  duration_seconds: 12,
  speaking_seconds: 3,
  duration_ms: 12_345,
  speaking_ms: 3_210,
  left_at: "2026-02-13T17:30:12.345Z",
};

/** A client among fakes, with everything that happened in `log`. */
export class Stage {
  log = [];
  events = [];
  clock = new FakeClock();
  beacons = [];

  constructor({ answers = {}, options = {} } = {}) {
    this.http = new FakeFetch(this.log, {
      "POST /api/voice/join": () => json(JOINED),
      "POST /api/voice/leave": () => json(LEFT),
      ...answers,
    });
    const { FakeSocket, made: sockets } = fakeSockets(this.log);
    const { FakeConnection, made: connections } = fakeConnections(this.log);
    this.sockets = sockets;
    this.connections = connections;
    this.stream = new FakeStream();
    this.microphone = new Promise((resolve, reject) => {
      this.grant = () => resolve(this.stream);
      this.refuse = (name) => reject(new DOMException("no", name));
    });
    this.client = new VoiceClient({
      baseUrl: "https://voice.test/",
      fetch: this.http.fetch,
      WebSocket: FakeSocket,
      RTCPeerConnection: FakeConnection,
      getUserMedia: () => {
        this.log.push("microphone");
        return this.microphone;
      },
      sendBeacon: (url, body) => {
        this.log.push("beacon");
        this.beacons.push({ url, body });
        return true;
      },
      clock: this.clock,
      random: () => 0.5,
      log: (line) => this.log.push(line),
      ...options,
    });
    const names = "state participants joined left speaking slots negotiated mute microphone quality warned error ended";
    for (const name of names.split(" ")) this.client.on(name, (payload) => this.events.push({ name, ...payload }));
  }

  get socket() {
    return this.sockets.at(-1);
  }

  get connection() {
    return this.connections.at(-1);
  }

  of(name) {
    return this.events.filter((event) => event.name === name);
  }

  /** Starts to join; the promise is kept and its rejection seen. */
  join() {
    this.joined = this.client.join({ token: "user-token", roomId: "lobby", userId: "ben", username: "Ben", world: "materie" });
    this.joined.catch(() => {});
    return settle();
  }

  /** The socket opens, `voice_join` is answered. */
  async signal({ participants = JOINED.participants, slots = 3, resumed = false } = {}) {
    this.socket.open();
    await settle();
    this.socket.answer("voice_join", { type: "voice_joined", sessionId: SESSION, participants, slots, iceServers: [], resumed, moderator: false });
    await settle();
  }

  /** The offer is answered and the path found. */
  async negotiate() {
    this.socket.answer("voice_offer", { type: "voice_answer", sdp: { type: "answer", sdp: "answer" } });
    await settle();
    this.connection.become("connected");
    await settle();
  }

  /** All the way in. */
  async enter() {
    await this.join();
    this.grant();
    await this.signal();
    await this.negotiate();
    await this.joined;
    return this;
  }

  /** Nothing of a stay is left on this side. */
  get leftovers() {
    return {
      timers: this.clock.pending,
      sockets: this.sockets.filter(({ closedWith }) => closedWith === null).length,
      connections: this.connections.filter(({ closed }) => !closed).length,
      tracks: this.stream.tracks.filter(({ readyState, }) => readyState === "live").length,
    };
  }
}

export const NOTHING_LEFT = { timers: 0, sockets: 0, connections: 0, tracks: 0 };
