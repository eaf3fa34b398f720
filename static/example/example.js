/** The smallest complete client: join as a guest, see who is here and who speaks, hear them, mute, leave. */
import { RestClient, VoiceClient } from "../lib/index.js";

const find = (/** @type {string} */ selector) => /** @type {any} */ (document.querySelector(selector));
const form = find("form");
const mute = find("[data-testid=mute]");
const leave = find("[data-testid=leave]");
const status = find("[role=status]");
const list = find("ul");

/** @param {SubmitEvent} event */
form.onsubmit = async (event) => {
  event.preventDefault();
  form.inert = true;
  const { username, world, roomId } = /** @type {any} */ (Object.fromEntries(new FormData(form)));
  const client = new VoiceClient({ baseUrl: location.origin });

  client.on("state", ({ to }) => {
    status.textContent = document.body.dataset["state"] = to;
    mute.disabled = leave.disabled = to !== "connected" && to !== "reconnecting";
  });
  client.on("participants", ({ participants }) => {
    list.replaceChildren(
      ...participants.map(({ sessionId, userId, username, isSpeaking, isMuted }) => {
        const item = document.createElement("li");
        Object.assign(item.dataset, { testid: "tile", sessionId, userId, speaking: isSpeaking, muted: isMuted });
        item.textContent = `${username}${isSpeaking ? " (speaking)" : ""}${isMuted ? " (muted)" : ""}`;
        return item;
      }),
    );
  });
  client.on("negotiated", ({ offers }) => (document.body.dataset["offers"] = String(offers)));
  client.on("slots", ({ slots }) => {
    for (const { mid, sessionId, track } of slots.filter((slot) => slot.track)) {
      const audio = find(`audio[data-mid="${mid}"]`) ?? document.body.appendChild(document.createElement("audio"));
      Object.assign(audio.dataset, { mid, sessionId: sessionId ?? "" });
      if (audio.srcObject === null) {
        audio.srcObject = new MediaStream([/** @type {MediaStreamTrack} */ (track)]);
        audio.autoplay = true;
      }
    }
  });
  client.on("mute", ({ muted }) => mute.setAttribute("aria-pressed", String(muted)));
  client.on("ended", ({ summary, error }) => {
    const seconds = summary ? ` after ${summary.durationMs / 1000} s, ${summary.speakingMs / 1000} s of it speaking` : "";
    status.textContent = `ended${seconds}${error ? `: ${error.code}` : ""}`;
    document.querySelectorAll("audio").forEach((audio) => audio.remove());
    list.replaceChildren();
    mute.setAttribute("aria-pressed", "false");
    form.inert = false;
  });

  mute.onclick = () => client.setMuted(!client.muted);
  leave.onclick = () => client.leave();
  addEventListener("pagehide", () => client.leaveByBeacon());

  try {
    const guest = await new RestClient({ baseUrl: location.origin }).guest(username);
    await client.join({ ...guest, username, world, roomId });
  } catch (error) {
    console.info(error);
    await client.leave();
    status.textContent = document.body.dataset["error"] = /** @type {any} */ (error).code;
  }
};
