import { fieldsOf } from "../answer.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";

/** Cookies that are a key to somebody's account; the language and the like are not. */
const keyCookie = /session|^td_id$|token|auth/i;

const flags: Check = {
  id: "cookie-flags",
  title: "The session cookie is Secure, HttpOnly and SameSite",
  why: "Odoo sets neither Secure nor SameSite: the session then also travels over plain HTTP and with requests of foreign pages.",
  fix: "Add Secure and SameSite=Lax to session_id in the proxy (nginx: proxy_cookie_flags session_id secure samesite=lax).",
  async look(view) {
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    const lines = fieldsOf(login.value.fields, "set-cookie").filter((line) =>
      keyCookie.test(line.split("=", 1)[0] ?? ""),
    );
    if (lines.length === 0)
      return skipped(`GET /web/login: ${login.value.status}, and no session cookie was set.`);
    const told: string[] = [];
    let grave = false;
    for (const line of lines) {
      const [pair = "", ...rest] = line.split(";").map((part) => part.trim());
      const attributes = rest.map((part) => part.toLowerCase());
      const site = attributes.find((part) => part.startsWith("samesite="))?.slice("samesite=".length);
      const lacking = [
        ...(view.target.secure && !attributes.includes("secure") ? ["Secure"] : []),
        ...(attributes.includes("httponly") ? [] : ["HttpOnly"]),
        // A word browsers do not know is no SameSite to them.
        ...(site === "lax" || site === "strict" || site === "none" ? [] : ["SameSite"]),
      ];
      const name = pair.split("=", 1)[0] ?? "";
      if (lacking.length > 0) {
        grave = true;
        told.push(`${name} lacks ${lacking.join(", ")}`);
      } else if (site === "none") {
        grave = true;
        told.push(`${name} has SameSite=None, so foreign pages send it along`);
      } else if (site === "strict")
        told.push(`${name} has SameSite=Strict, which loses the session on the way back from payment`);
    }
    if (told.length === 0)
      return pass(
        `${lines.map((line) => line.split("=", 1)[0]).join(", ")}: ${view.target.secure ? "Secure, " : ""}HttpOnly, SameSite=Lax.`,
      );
    return grave ? fail(`${told.join("; ")}.`) : warn(`${told.join("; ")}.`);
  },
};

export const cookieChecks: readonly Check[] = [flags];
