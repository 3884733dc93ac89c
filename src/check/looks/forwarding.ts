import { type Answer, fieldsOf } from "../answer.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";
import type { SiteView } from "../view.ts";

/** A target for which Odoo builds an absolute URL to itself (odoo-wire a: Werkzeug merges the slashes by redirect). */
const tellingTarget = "/web//health";

function foreignName(view: SiteView): string {
  return `odoo-gateway-check-${view.nonce}.invalid`;
}

/** Where a name came back in an answer; null: nowhere. */
function cameBack({ fields, body }: Answer, name: string): string | null {
  for (let i = 0; i + 1 < fields.length; i += 2)
    if (fields[i + 1]?.includes(name) === true) return `in ${fields[i]}`;
  return body.includes(name) ? "in the page" : null;
}

const forwardedHost: Check = {
  id: "forwarded-host",
  title: "Clients cannot choose the site's name by X-Forwarded-Host",
  why: "With a foreign name Odoo writes links to it: when an administrator logs in, web.base.url changes, and every later e-mail leads there.",
  fix: "Let the proxy set X-Forwarded-Host itself and drop the client's, in every spelling, X_Forwarded_Host included.",
  async look(view) {
    const name = foreignName(view);
    const tries = [
      [
        tellingTarget,
        ["X-Forwarded-Host", name, "X-Host", name, "Forwarded", `host=${name}`],
        "X-Forwarded-Host",
      ],
      [tellingTarget, ["X_Forwarded_Host", name], "X_Forwarded_Host"],
      ["/robots.txt", ["X-Forwarded-Host", name, "X_Forwarded_Host", name], "X-Forwarded-Host"],
      ["/web/login", ["X-Forwarded-Host", name, "X_Forwarded_Host", name], "X-Forwarded-Host"],
    ] as const;
    const answers: string[] = [];
    for (const [target, fields, what] of tries) {
      const asked = await view.ask({ method: "GET", target, fields, alone: true });
      if (!asked.ok) {
        if (asked.error.kind !== "closed") return untold(asked.error);
        answers.push("closed");
        continue;
      }
      const where = cameBack(asked.value, name);
      if (where !== null) return fail(`GET ${target} with ${what}: ${name} came back ${where}.`);
      answers.push(String(asked.value.status));
    }
    const silence = answers.every((one) => one === "closed") ? await view.silence() : null;
    if (silence !== null) return untold(silence);
    return pass(
      `A foreign name in X-Forwarded-Host, X_Forwarded_Host and Forwarded came back nowhere (${answers.join(", ")}).`,
    );
  },
};

const foreignHost: Check = {
  id: "foreign-host",
  title: "Only the site's own names are served",
  why: "A request for a foreign name that Odoo answers makes links with that name, and can choose another database (dbfilter with %h).",
  fix: "Serve known names only: nginx needs a default server that refuses, Traefik a Host rule, Caddy the site's name.",
  async look(view) {
    const name = foreignName(view);
    const answers: string[] = [];
    // Some proxies refuse or mend the first path, and serve any name all the same.
    for (const target of [tellingTarget, "/web/login"]) {
      const asked = await view.ask({ method: "GET", target, host: name, alone: true });
      if (!asked.ok) {
        const trouble = asked.error.kind === "closed" ? await view.silence() : asked.error;
        if (trouble !== null) return untold(trouble);
        answers.push(`GET ${target}: closed`);
        continue;
      }
      const { status, body } = asked.value;
      const where = cameBack(asked.value, name);
      // A page of refusal may name what it refuses.
      if (where !== null && status < 400)
        return fail(`GET ${target} for the host ${name}: ${status}, and the name came back ${where}.`);
      if (status === 200 && isOdoo(body.toString("latin1")))
        return warn(`GET ${target} for the host ${name}: ${status}, served by Odoo.`);
      answers.push(`GET ${target}: ${status}`);
    }
    return pass(`For a foreign name: ${answers.join(", ")}.`);
  },
};

/** A page of Odoo, or the answer of its /web/health. */
function isOdoo(body: string): boolean {
  return /odoo/i.test(body) || /^\s*\{"status": ?"pass"\}/.test(body);
}

/** An address of the site itself over plain HTTP in the log-in page; null: there is none. One over https may come from settings, and tells nothing. */
async function plainLinkOf(view: SiteView): Promise<string | null> {
  const login = await view.login();
  if (!login.ok) return null;
  for (const [, url = ""] of login.value.body
    .toString("latin1")
    .matchAll(/(?:href|src|action|content)="(http:\/\/[^"\s<>]{1,200})"/g))
    if (URL.canParse(url) && new URL(url).hostname === new URL(view.target.url).hostname) return url;
  return null;
}

const proxyMode: Check = {
  id: "proxy-mode",
  title: "Odoo knows its https address (proxy_mode)",
  why: "Without it Odoo writes http links, sees the proxy as every client, and bans or counts the proxy.",
  fix: "Set proxy_mode = True in odoo.conf and pass X-Forwarded-Host, X-Forwarded-Proto and X-Forwarded-For; without the first Odoo ignores the others.",
  async look(view) {
    if (!view.target.secure)
      return skipped("The site is looked at over plain HTTP; Odoo's address is what it is.");
    const asked = await view.ask({ method: "GET", target: tellingTarget, alone: true });
    if (!asked.ok) return untold(asked.error);
    const location = fieldsOf(asked.value.fields, "location")[0] ?? "";
    if (!/^https?:\/\//i.test(location) || !URL.canParse(location)) {
      const plain = await plainLinkOf(view);
      if (plain !== null)
        return fail(
          `GET /web/login: the page names ${plain}; Odoo takes itself for plain http.`,
          `${proxyMode.fix} With proxy_mode on it is the domain in the settings of Odoo's website, or web.base.url.`,
        );
      return skipped(`GET ${tellingTarget}: ${asked.value.status}; Odoo's address cannot be told from it.`);
    }
    const { protocol, host } = new URL(location);
    const seen = `GET ${tellingTarget}: redirected to ${location}`;
    if (protocol !== "https:") return fail(`${seen}; Odoo takes itself for plain http.`);
    return host === view.target.authority
      ? pass(`${seen}.`)
      : warn(`${seen}; Odoo takes itself for ${host}.`);
  },
};

export const forwardingChecks: readonly Check[] = [forwardedHost, foreignHost, proxyMode];
