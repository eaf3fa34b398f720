/**
 * The operator's picture of now: which rooms are in use and who is in them.
 *
 * @import { Health, RestClient, RoomInfo } from "../lib/rest.js"
 * @import { WireParticipant } from "../lib/types.js"
 *
 * @typedef {RoomInfo & {participants: WireParticipant[]}} RoomView
 *
 * @typedef {object} Picture
 * @property {Date} takenAt
 * @property {Health} health
 * @property {{world: string, rooms: RoomView[]}[]} worlds in the order of the server's settings
 */

/**
 * @param {RestClient} rest
 * @param {string} token admin or API token
 * @returns {Promise<Picture>}
 * @throws {VoiceClientError}
 */
export async function takePicture(rest, token) {
  const [config, health] = await Promise.all([rest.config(), rest.health()]);
  const worlds = await Promise.all(config.worlds.map(({ id }) => worldView(rest, token, id)));
  return { takenAt: new Date(), health, worlds };
}

/**
 * @param {RestClient} rest
 * @param {string} token
 * @param {string} world
 */
async function worldView(rest, token, world) {
  const rooms = await rest.rooms(world, token);
  const views = rooms.map(async (room) => ({ ...room, participants: await rest.participants(room.room_id, token) }));
  return { world, rooms: await Promise.all(views) };
}
