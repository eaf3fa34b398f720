/**
 * Whom a user token was made for, as far as a page may know: the token is read, not verified. That is the server's part.
 *
 * @param {string} token a JWT (RFC 7519)
 * @returns {{userId: string, username: string | null} | null} null where it cannot be read or names nobody; `username` null where it has none
 */
export function identityFromToken(token) {
  const payload = token.split(".")[1];
  if (payload === undefined) return null;
  try {
    const binary = atob(payload.replace(/-/g, "+").replace(/_/g, "/"));
    const claims = JSON.parse(new TextDecoder().decode(Uint8Array.from(binary, (char) => char.charCodeAt(0))));
    if (typeof claims?.sub !== "string" || claims.sub === "") return null;
    return { userId: claims.sub, username: typeof claims.name === "string" && claims.name !== "" ? claims.name : null };
  } catch {
    return null;
  }
}
