// A microphone that a test plays: `mic.hum(440)` until `mic.stop()`, sample-exact. Runs before the page's own scripts.
//
// It stands in front of the browser's own microphone: a refusal stays a refusal. Only for browsers whose AudioContext runs
// without sound hardware, which is Chromium.
(() => {
  const real = navigator.mediaDevices?.getUserMedia?.bind(navigator.mediaDevices);
  if (!real) return;
  let context = null;
  let output = null;
  let voice = null;

  async function open() {
    if (context) return;
    context = new AudioContext({ sampleRate: 48_000 });
    output = context.createMediaStreamDestination();
    // With nothing connected Chromium sends no packet at all.
    const nothing = new ConstantSourceNode(context, { offset: 0 });
    nothing.connect(output);
    nothing.start();
    await context.resume();
  }

  const mic = {
    async hum(frequency, gain = 0.3) {
      await open();
      mic.stop();
      const oscillator = new OscillatorNode(context, { frequency });
      oscillator.connect(new GainNode(context, { gain })).connect(output);
      oscillator.start();
      voice = oscillator;
    },
    stop() {
      voice?.stop();
      voice = null;
    },
  };
  Object.defineProperty(window, "mic", { value: mic });

  navigator.mediaDevices.getUserMedia = async (constraints) => {
    const granted = await real(constraints);
    for (const track of granted.getTracks()) track.stop();
    await open();
    return new MediaStream([output.stream.getAudioTracks()[0].clone()]);
  };
})();
