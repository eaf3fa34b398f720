/**
 * What the address of the page says: `/?world=materie&room=lobby` names a room, `#token=…` is the login that an embedding page hands
 * over. A token comes in the fragment because browsers do not send that to any server.
 *
 * @param {string} href
 * @returns {{world: string | null, room: string | null, token: string | null, clean: string}} `clean`: the address without the token
 */
export function readAddress(href) {
  const url = new URL(href);
  const fragment = new URLSearchParams(url.hash.replace(/^#/, ""));
  const token = fragment.get("token") || null;
  fragment.delete("token");
  url.hash = fragment.toString();
  return { world: url.searchParams.get("world") || null, room: url.searchParams.get("room") || null, token, clean: url.href };
}

/**
 * @param {string} href of the page
 * @param {{world: string, room: string}} where
 * @returns {string} the link that leads others to this room
 */
export function roomLink(href, { world, room }) {
  const url = new URL(href);
  url.search = new URLSearchParams({ world, room }).toString();
  url.hash = "";
  return url.href;
}
