/** Starts the room page. */
import { WeltenApp } from "./app.js";
import { speak } from "./frame.js";
import { chooseLanguage } from "./i18n.js";
import { Memory } from "./memory.js";

const app = new WeltenApp();
await speak(app, chooseLanguage(new Memory().get("language"), navigator.languages));
document.body.prepend(app);
