import { type Answer, fieldsOf } from "../answer.ts";
import { checkBounds } from "../bounds.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";
import { authorityOf, type Target } from "../target.ts";
import type { SiteView } from "../view.ts";

const odooAnswers: Check = {
  id: "odoo-answers",
  title: "Odoo's log-in page answers",
  why: "When something else than Odoo answers, most of what passes below only says that there is nothing to find.",
  fix: "Look whether the name is right, whether Odoo runs, and what stands in front of it.",
  async look(view) {
    const login = await view.login();
    if (!login.ok) return fail(`GET /web/login: ${login.error.detail}.`);
    const { status, fields, body, whole } = login.value;
    const location = fieldsOf(fields, "location")[0];
    const seen = `GET /web/login: ${status}${location === undefined ? "" : ` to ${location}`}`;
    if (status >= 500) return fail(`${seen}: what stands in front does not reach Odoo.`);
    if (status === 401) return warn(`${seen}: a password is asked for first, so this is what strangers see.`);
    if (status >= 300 && status < 400) {
      if (location?.includes("/web/database/selector") === true)
        return pass(`${seen}: Odoo, which wants a database chosen first.`);
      const loop = await loopOf(view, login.value);
      if (loop !== null && loop !== "plain")
        return fail(
          `${seen}: ${loop}.`,
          loop !== toItself
            ? "Look for two rules that send to each other: in what stands in front, and among the redirects, languages and domains of Odoo's website."
            : "Look for two redirects to https in a row: what stands in front (a CDN with “flexible” TLS, a load balancer) must ask over https, or say X-Forwarded-Proto: https to a proxy that believes it.",
        );
      if (loop === "plain")
        return fail(
          `${seen}: it leads to plain HTTP, which leads back or is not protected.`,
          "Set proxy_mode = True in odoo.conf and pass X-Forwarded-Host and X-Forwarded-Proto: https, so that Odoo knows its address.",
        );
      if (leadsInside(view.target, location ?? ""))
        return warn(`${seen}: the log-in page is elsewhere on this site, so it was not looked at.`);
      return warn(`${seen}: the site lives under another address; look at that one.`);
    }
    if (status === 200 && !whole && body.length < checkBounds.bodyBytesMax)
      return fail(`${seen}, but the page did not come whole.`, torn);
    const page = body.toString("latin1");
    const isOdoo = /odoo/i.test(page);
    if (status === 200 && (/oe_login_form/.test(page) || (isOdoo && /name="csrf_token"/.test(page))))
      return pass(`${seen}, Odoo's log-in page.`);
    return warn(isOdoo ? `${seen}, and no log-in form is in it.` : `${seen}, and nothing in it says Odoo.`);
  },
};

/** With and without www are taken for one name; an address with and without brackets is one address. */
function plainName(name: string): string {
  return name.replace(/^www\.|^\[|\]$/g, "");
}

const torn =
  "Look at what stands in front (buffers on a full disk, limits of size and time) and whether Odoo's workers are free.";

const toItself = "it redirects to itself without end";

/** More redirects in a row than any log-in page has; browsers give up at 20. */
const hopsMax = 10;

/**
 * Follows the redirects of the log-in page inside the site, with the cookies they set: a page that only wants its cookie back is
 * no loop. How it goes round, in words; `plain`: to itself over plain HTTP; null: it ends, or leads elsewhere.
 */
async function loopOf(view: SiteView, first: Answer): Promise<string | null> {
  const { url, host } = view.target;
  const cookies = new Map<string, string>();
  let at = new URL("/web/login", url);
  const way = [at.pathname];
  const met = new Set([at.href]);
  let answer = first;
  for (let hop = 1; hop <= hopsMax; hop += 1) {
    const location = fieldsOf(answer.fields, "location")[0];
    if (answer.status < 300 || answer.status > 399 || location === undefined) return null;
    if (!URL.canParse(location, at.href)) return null;
    const to = new URL(location, at);
    const isPlain = to.protocol === "http:" && url.startsWith("https:");
    if (isPlain && plainName(to.hostname) === plainName(host)) return "plain";
    if (!leadsInside(view.target, to.href)) return null;
    const isNewCookie = take(cookies, answer);
    at = to;
    way.push(to.pathname + to.search);
    if (met.has(to.href) && !isNewCookie)
      return way.length === 2 ? toItself : `it goes round without end (${way.join(", ")})`;
    met.add(to.href);
    const asked = await view.ask({
      method: "GET",
      target: to.pathname + to.search,
      ...(cookies.size === 0 ? {} : { fields: ["Cookie", [...cookies.values()].join("; ")] }),
      headOnly: true,
    });
    if (!asked.ok) return null;
    answer = asked.value;
  }
  return `${hopsMax} redirects in a row, and no page`;
}

/** Keeps the cookies of an answer; whether one was not known before, or had another value. */
function take(cookies: Map<string, string>, { fields }: Answer): boolean {
  let isNew = false;
  for (const line of fieldsOf(fields, "set-cookie").slice(0, 20)) {
    const [pair = ""] = line.split(";", 1);
    const [name = ""] = pair.split("=", 1);
    isNew ||= cookies.get(name) !== pair;
    cookies.set(name, pair);
  }
  return isNew;
}

function leadsInside({ url }: Target, location: string): boolean {
  return URL.canParse(location, url) && new URL(location, url).origin === new URL(url).origin;
}

const https: Check = {
  id: "https",
  title: "The site is served over HTTPS",
  why: "Passwords, sessions and everything else in Odoo travel in clear without it.",
  fix: "Put a TLS gateway in front of Odoo and let the port of Odoo itself be reached by that gateway only.",
  async look(view) {
    const { target } = view;
    if (target.secure) {
      const silence = await view.silence();
      if (silence?.kind === "tls")
        return fail(
          `${target.url} is an https address, but no TLS connection comes about (${silence.detail}).`,
        );
      return silence?.kind === "connect" || silence?.kind === "late" || silence?.kind === "spent"
        ? untold(silence)
        : pass(`${target.url} is an https address.`);
    }
    return fail(`${target.url} was given as plain http, and everything below was looked at without TLS.`);
  },
};

const plainRedirect: Check = {
  id: "plain-redirect",
  title: "Plain HTTP only redirects to HTTPS",
  why: "Who types the name without https starts on plain HTTP; whatever is served there can be read and changed on the way.",
  fix: "Answer every plain request with 301 to https on the same name and path, and with nothing else.",
  async look(view) {
    const { target, plainPort } = view;
    if (!target.secure)
      return fail("The site itself was given as plain http; there is nothing to redirect to.");
    if (plainPort === null)
      return skipped(
        `HTTPS is on port ${target.port}, so the plain port is not known; give it with --http-port.`,
      );
    const asked = await view.plain();
    if (!asked.ok) {
      if (asked.error.kind === "connect")
        return pass(
          `Nothing answers on port ${plainPort} (${asked.error.detail}); plain HTTP is not served at all.`,
        );
      return skipped(`${asked.error.detail}.`);
    }
    const { status, fields } = asked.value;
    const location = fieldsOf(fields, "location")[0] ?? "";
    const seen = `GET http://${authorityOf(target.host, plainPort, false)}/…?a=1: ${status}${location === "" ? "" : ` to ${location}`}`;
    if (status < 300 || status > 399) {
      return status >= 400
        ? warn(`${seen}; plain requests are refused, which locks out who types the name alone.`)
        : fail(`${seen}; content is served over plain HTTP.`);
    }
    if (!/^https:\/\//i.test(location)) return fail(`${seen}; that is no https address.`);
    const to = URL.canParse(location) ? new URL(location) : null;
    if (to === null || plainName(to.hostname) !== plainName(target.host))
      return warn(`${seen}; that leads to another name, so HSTS of this one is never learnt.`);
    if (plainPort !== target.port && (to.port === "" ? 443 : Number(to.port)) === plainPort)
      return fail(`${seen}; that is the plain port itself, where no TLS is spoken.`);
    if (!location.includes(view.nonce) || !location.endsWith("?a=1"))
      return warn(`${seen}; path and query are lost, so links over http lead to the start page.`);
    if (status !== 301 && status !== 308)
      return warn(`${seen}; the redirect is temporary, so browsers ask over plain HTTP again and again.`);
    return pass(`${seen}.`);
  },
};

export const siteChecks: readonly Check[] = [odooAnswers, https, plainRedirect];
