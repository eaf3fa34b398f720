/** The client library of Weltenstimme: what others build on. */
export { VoiceClient, TIMEOUTS } from "./client.js";
export { RestClient } from "./rest.js";
export { systemClock } from "./clock.js";
export { TRANSITIONS } from "./states.js";
export { identityFromToken } from "./token.js";
export * from "./errors.js";
