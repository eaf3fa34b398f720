/** Starts the operator's page. */
import { speak } from "../app/frame.js";
import { chooseLanguage } from "../app/i18n.js";
import { Memory } from "../app/memory.js";
import { AdminApp } from "./admin_app.js";

const app = new AdminApp();
await speak(app, chooseLanguage(new Memory().get("language"), navigator.languages));
document.body.prepend(app);
