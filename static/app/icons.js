/** The icons of the pages, drawn for them: 24 × 24, strokes in the colour of the text, hidden from screen readers. */
import { svg, html } from "lit";

/** @param {import("lit").SVGTemplateResult} drawing */
const icon = (drawing) => html`<svg class="icon" viewBox="0 0 24 24" aria-hidden="true" focusable="false">${drawing}</svg>`;

const MICROPHONE = svg`
  <rect x="9" y="3" width="6" height="11" rx="3" />
  <path d="M5.5 11.5a6.5 6.5 0 0 0 13 0M12 18v3M9 21h6" />`;

export const microphone = icon(MICROPHONE);

export const microphoneOff = icon(svg`${MICROPHONE}<path class="gap" d="M4 3l17 18" /><path d="M4 3l17 18" />`);

/** Sound waves: somebody speaks. */
export const speaking = icon(svg`<path d="M4 10v4M8 7v10M12 4v16M16 7v10M20 10v4" />`);

/** A door with an arrow out of it. */
export const leave = icon(svg`<path d="M14 4H6v16h8M10 12h10M17 8.5l3.5 3.5-3.5 3.5" />`);

export const hand = icon(svg`
  <path d="M7 13V6.5a1.5 1.5 0 0 1 3 0V11M10 11V4.5a1.5 1.5 0 0 1 3 0V11M13 11V6a1.5 1.5 0 0 1 3 0v7" />
  <path d="M16 12a1.5 1.5 0 0 1 3 0c0 5-2 9-6.5 9C9 21 8 18.5 5 14.5a1.4 1.4 0 0 1 2-2" />`);

export const loudspeaker = icon(svg`<path d="M4 9.5v5h4l5 4v-13l-5 4zM16 9a4.2 4.2 0 0 1 0 6M18.5 6.5a8 8 0 0 1 0 11" />`);

export const people = icon(svg`
  <circle cx="9" cy="8" r="3.5" /><path d="M2.5 20a6.5 6.5 0 0 1 13 0M15.5 4.8a3.5 3.5 0 0 1 0 6.4M17.5 14a6.5 6.5 0 0 1 4 6" />`);

/** Something is wrong. */
export const warning = icon(svg`<path d="M12 3.5L2.5 20.5h19zM12 10v5M12 17.8v.2" />`);

/** The mark of the product: a voice, and the worlds around it. */
export const mark = html`<svg class="mark" viewBox="0 0 32 32" aria-hidden="true" focusable="false">
  <circle class="orbit" cx="16" cy="16" r="13.5" />
  <path class="voice" d="M10 13v6M14 9.5v13M18 11.5v9M22 14v4" />
  <circle class="world" cx="25.5" cy="6.5" r="3" />
</svg>`;
