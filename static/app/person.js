/** How a person without a picture is drawn: initials, and a colour of their own. Pure. */

const graphemes = new Intl.Segmenter(undefined, { granularity: "grapheme" });

/**
 * @param {string} name
 * @returns {string} one or two characters as people count them; `?` where the name has none to show
 */
export function initials(name) {
  const words = name
    .split(/\s+/u)
    .map((word) => word.replace(/^[\p{P}\p{S}]+(?=[\p{L}\p{N}])/u, ""))
    .filter((word) => /[^\p{Cf}]/u.test(word));
  const shown = words.length > 1 ? [words[0], words.at(-1)] : words;
  const letters = shown.map((word) => firstGrapheme(word ?? ""));
  return letters.join("").toLocaleUpperCase() || "?";
}

/**
 * @param {string} id
 * @returns {number} 0 to 359, the same for the same id; FNV-1a
 */
export function hue(id) {
  let hash = 0x811c9dc5;
  for (const char of id) hash = Math.imul(hash ^ (char.codePointAt(0) ?? 0), 0x01000193);
  // FNV alone leaves ids that differ in their last character close together.
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) % 360;
}

/** @param {string} word */
function firstGrapheme(word) {
  return graphemes.segment(word)[Symbol.iterator]().next().value?.segment ?? "";
}
