/** What all elements of the pages share: texts, and rendering into the page itself, as there is one style sheet for everything. */
import { LitElement } from "lit";
import { Translator } from "./i18n.js";

export class PageElement extends LitElement {
  /** @type {import("lit").PropertyDeclarations} */
  static properties = { translator: { attribute: false } };

  constructor() {
    super();
    /** @type {Translator} */
    this.translator = new Translator("en", {});
  }

  /** @override */
  createRenderRoot() {
    return this;
  }

  /**
   * @param {string} selector of what gets the focus, once it is rendered
   * @returns {Promise<void>}
   */
  async focusOn(selector) {
    await this.updateComplete;
    /** @type {HTMLElement | null} */ (this.querySelector(selector))?.focus();
  }
}
