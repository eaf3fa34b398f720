// Sees what happens in a page without taking part: connections and their offers, violations of the page's security policy,
// what is heard, and how attributes change. Runs before the page's own scripts; everything is under `witness`.
(() => {
  const connections = [];
  let offers = 0;
  const violations = [];

  const Original = window.RTCPeerConnection;
  window.RTCPeerConnection = class extends Original {
    constructor(...args) {
      super(...args);
      connections.push(this);
    }

    setLocalDescription(...args) {
      offers += 1;
      return super.setLocalDescription(...args);
    }
  };
  document.addEventListener("securitypolicyviolation", ({ violatedDirective, blockedURI, sourceFile, lineNumber }) => {
    violations.push(`${violatedDirective} blocked ${blockedURI} (${sourceFile}:${lineNumber})`);
  });

  // What was heard in each section, from the decoder's own account of it: {mid, from, to, rms}, times of Date.now().
  const HISTORY = 4_000;
  const heard = [];
  const before = new Map();
  async function listen() {
    for (const connection of connections) {
      if (connection.connectionState !== "connected") continue;
      const report = await connection.getStats();
      const now = Date.now();
      for (const entry of report.values()) {
        if (entry.type !== "inbound-rtp" || entry.kind !== "audio") continue;
        const last = before.get(entry.id);
        const next = { at: now, energy: entry.totalAudioEnergy ?? 0, seconds: entry.totalSamplesDuration ?? 0 };
        before.set(entry.id, next);
        const seconds = last ? next.seconds - last.seconds : 0;
        if (seconds <= 0) continue;
        heard.push({ mid: entry.mid, from: last.at, to: now, rms: Math.sqrt(Math.max(0, next.energy - last.energy) / seconds) });
        if (heard.length > HISTORY) heard.shift();
      }
    }
  }
  setInterval(() => void listen().catch(() => {}), 100);

  // The strength of each frequency (Hz) in what an audio element plays: the amplitude of a sine of that frequency.
  const ears = new Map();
  let context = null;
  function tones(element, frequencies) {
    const [track] = element?.srcObject?.getAudioTracks?.() ?? [];
    if (!track) return frequencies.map(() => 0);
    context ??= new AudioContext({ sampleRate: 48_000 });
    let ear = ears.get(track);
    if (!ear) {
      ear = new AnalyserNode(context, { fftSize: 8192 });
      new MediaStreamAudioSourceNode(context, { mediaStream: new MediaStream([track]) }).connect(ear);
      ears.set(track, ear);
    }
    const samples = new Float32Array(ear.fftSize);
    ear.getFloatTimeDomainData(samples);
    return frequencies.map((frequency) => goertzel(samples, frequency / context.sampleRate));
  }

  function goertzel(samples, cyclesPerSample) {
    const coefficient = 2 * Math.cos(2 * Math.PI * cyclesPerSample);
    let [last, beforeLast] = [0, 0];
    for (let index = 0; index < samples.length; index += 1) {
      // A Hann window: without it a loud tone leaks into the frequencies of the others.
      const weight = 0.5 - 0.5 * Math.cos((2 * Math.PI * index) / samples.length);
      [last, beforeLast] = [coefficient * last - beforeLast + weight * samples[index], last];
    }
    const power = last * last + beforeLast * beforeLast - coefficient * last * beforeLast;
    return (4 * Math.sqrt(Math.max(0, power))) / samples.length;
  }

  // Every value that an attribute of the elements below a selector takes: {at, key, value}, in order, the first one too.
  const changes = {};
  function watch(name, selector, keyAttribute, attribute) {
    const log = (changes[name] = []);
    const last = new Map();
    const look = () => {
      for (const element of document.querySelectorAll(selector)) {
        const key = element.getAttribute(keyAttribute) ?? "";
        const value = element.getAttribute(attribute);
        if (last.has(key) && last.get(key) === value) continue;
        last.set(key, value);
        log.push({ at: Date.now(), key, value });
      }
    };
    const observer = new MutationObserver(look);
    observer.observe(document, { subtree: true, childList: true, attributes: true, attributeFilter: [attribute, keyAttribute] });
    look();
  }

  Object.defineProperty(window, "witness", {
    value: { connections, violations, heard, changes, tones, watch, offers: () => offers },
  });
})();
