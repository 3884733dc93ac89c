import { endOfSeriesMs, seriesOf } from "../../base/odoo-series.ts";
import type { Look } from "../../report/finding.ts";
import { fieldsOf } from "../answer.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";
import { answersOf } from "./headers.ts";

const bannerFields = ["server", "x-powered-by", "via", "x-generator", "x-aspnet-version", "x-runtime"];

const banner: Check = {
  id: "banner",
  title: "Answers do not name software and version",
  why: "Odoo's own banner names the exact Werkzeug and Python; whoever scans for a known hole finds it by that.",
  fix: "Take the Server field of Odoo and of the proxy out (nginx: server_tokens off and proxy_hide_header; Caddy: header -Server).",
  async look(view) {
    const answers = [...(await answersOf(view))];
    if (view.plainPort !== null) {
      const plain = await view.plain();
      if (plain.ok) answers.push(["plain HTTP", plain]);
    }
    if (answers.length === 0) return skipped("No answer came to look at.");
    const found = new Map<string, string>();
    for (const [what, asked] of answers) {
      if (!asked.ok) continue;
      for (const name of bannerFields)
        for (const value of fieldsOf(asked.value.fields, name)) found.set(`${name}: ${value}`, what);
    }
    const said = (text: string) => {
      const value = text.slice(text.indexOf(":") + 1);
      // RFC 9110 §7.6.3: Via begins with the version of HTTP, which is nobody's secret.
      return text.startsWith("via:") ? value.replaceAll(/(^|,)\s*(?:http\/)?[0-9.]+\s/gi, "$1 ") : value;
    };
    if (found.size === 0) return pass("No Server, X-Powered-By or Via in any answer.");
    const seen = [...found].map(([text, what]) => `${text} (${what})`).join("; ");
    return [...found.keys()].some((text) => /\/\d|\d\.\d|python|werkzeug/i.test(said(text)))
      ? fail(`${seen}.`)
      : warn(`${seen}; no version, but the product is named.`);
  },
};

const rpc = (service: string, method: string) =>
  `{"jsonrpc":"2.0","method":"call","id":1,"params":{"service":"${service}","method":"${method}","args":[]}}`;

/** Who tells Odoo's exact version to strangers (odoo-wire e), and how it looks when it does. */
const tellers = [
  {
    question: {
      method: "POST",
      target: "/web/webclient/version_info",
      fields: ["Content-Type", "application/json"],
      body: '{"jsonrpc":"2.0","method":"call","params":{}}',
    },
    tells: /"server_version"\s*:\s*"([^"]{1,40})"/,
  },
  { question: { method: "GET", target: "/web/version" }, tells: /"version"\s*:\s*"([^"]{1,40})"/ },
  { question: { method: "GET", target: "/json/version" }, tells: /"version"\s*:\s*"([^"]{1,40})"/ },
  {
    question: {
      method: "POST",
      target: "/xmlrpc/2/common",
      fields: ["Content-Type", "text/xml"],
      body: '<?xml version="1.0"?><methodCall><methodName>version</methodName><params></params></methodCall>',
    },
    tells: /server_version<\/name>\s*<value><string>([^<]{1,40})/,
  },
  {
    question: {
      method: "POST",
      target: "/jsonrpc",
      fields: ["Content-Type", "application/json"],
      body: rpc("common", "version"),
    },
    tells: /"server_version"\s*:\s*"([^"]{1,40})"/,
  },
  { question: { method: "GET", target: "/website/info" }, tells: /(Installed Applications|Odoo Version)/i },
] as const;

/** A build older than this misses half a year of fixes. */
const buildDaysMax = 180;

/** That a build is old, by the day its version names (`17.0-20240401`); null: it is not, or does not say. */
function buildWords(version: string, wallMs: number): string | null {
  const [, year, month, day] = /-([0-9]{4})([0-9]{2})([0-9]{2})$/.exec(version) ?? [];
  const days = Math.floor((wallMs - Date.parse(`${year}-${month}-${day}T00:00:00Z`)) / 86_400_000);
  return days > buildDaysMax ? `this build is ${days} days old: update` : null;
}

/** That a series gets no fixes any more; null: it does. */
function oldWords(series: number, wallMs: number): string | null {
  return wallMs < endOfSeriesMs(series)
    ? null
    : `Odoo ${series} gets no fixes any more, security fixes included: upgrade`;
}

const versions: Check = {
  id: "version-leaks",
  title: "Odoo's version and applications are not told to strangers",
  why: "The exact version chooses the exploit. The doors that tell it are also where programs log in: passwords can be guessed there.",
  fix: "Open these routes only to the networks that need them. Odoo's mobile app asks version_info before it logs in.",
  async look(view) {
    const told: string[] = [];
    const quiet: string[] = [];
    let series: number | null = null;
    let build: string | null = null;
    let trouble: Look | null = null;
    for (const { question, tells } of tellers) {
      const asked = await view.ask(question);
      if (!asked.ok) {
        if (asked.error.kind === "closed") quiet.push(`${question.target} closed`);
        else trouble ??= untold(asked.error);
        continue;
      }
      const what = tells.exec(asked.value.body.toString("latin1"))?.[1];
      if (asked.value.status === 200 && what !== undefined) {
        told.push(`${question.target} (${what})`);
        series ??= seriesOf(what);
        build ??= buildWords(what, view.wallMs());
      } else quiet.push(`${question.target} ${asked.value.status}`);
    }
    if (told.length === 0) {
      const silence = quiet.every((one) => one.endsWith(" closed")) ? await view.silence() : null;
      if (silence !== null) trouble ??= untold(silence);
      return trouble ?? pass(`Not told: ${quiet.join(", ")}.`);
    }
    const old = series === null ? null : oldWords(series, view.wallMs());
    const words = [`Told by ${told.join(", ")}`, old ?? build].filter((one) => one !== null);
    return warn(`${words.join("; ")}.`);
  },
};

export const leakChecks: readonly Check[] = [banner, versions];
