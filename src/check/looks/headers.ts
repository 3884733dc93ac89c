import { fieldsOf } from "../answer.ts";
import type { Asked } from "../ask.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";
import { firstOf, joinedOf, type SiteView } from "../view.ts";

/** Directives of a policy: lower-case names to their values. The first of a name counts (CSP3 §2.2.1). */
export function readCsp(text: string): ReadonlyMap<string, string> {
  const found = new Map<string, string>();
  for (const part of text.split(";")) {
    const [name = "", ...values] = part.trim().split(/\s+/);
    if (name !== "" && !found.has(name.toLowerCase())) found.set(name.toLowerCase(), values.join(" "));
  }
  return found;
}

/** Every policy of an answer: each line, and each part of a line between commas, is one of its own (CSP3 §2.2.2). All of them hold. */
function policiesOf(asked: Asked, name: string): readonly ReadonlyMap<string, string>[] {
  const lines = asked.ok ? fieldsOf(asked.value.fields, name) : [];
  return lines
    .flatMap((line) => line.split(","))
    .filter((text) => text.trim() !== "")
    .map(readCsp);
}

/** A source list that names everybody: `*`, or a bare scheme of the web. */
const everybody = /(?:^|\s)(?:\*(?::\*)?|https?:(?:\/\/\*)?)(?:\s|$)/i;

const framing: Check = {
  id: "header-framing",
  title: "Foreign pages may not frame the site",
  why: "A page that frames Odoo invisibly makes people click in it (clickjacking).",
  fix: "Send X-Frame-Options: SAMEORIGIN or Content-Security-Policy: frame-ancestors 'self'; keep what Odoo sends itself.",
  async look(view) {
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    const ancestors = policiesOf(login, "content-security-policy")
      .map((policy) => policy.get("frame-ancestors"))
      .filter((value) => value !== undefined);
    const option = joinedOf(login, "x-frame-options");
    const named = ancestors.length === 0 ? "not named" : ancestors.join(" | ");
    const seen = `X-Frame-Options: ${option ?? "none"}; frame-ancestors: ${named}`;
    // Browsers that know frame-ancestors ignore the older field (CSP3 §6.4.2).
    if (ancestors.length > 0)
      return ancestors.every((value) => everybody.test(value))
        ? fail(`${seen}; every site may frame it.`)
        : pass(`${seen}.`);
    if (option === null) return fail(`${seen}.`);
    const values = new Set(option.split(",").map((value) => value.trim().toLowerCase()));
    // Said twice is said once; two different words shut everybody out (HTML, "check a navigation response's adherence").
    if (values.size > 1 && (values.has("sameorigin") || values.has("deny")))
      return warn(`${seen}; the values contradict each other.`);
    return values.has("sameorigin") || values.has("deny")
      ? pass(`${seen}.`)
      : fail(`${seen}; browsers do not know this value.`);
  },
};

const sniffing: Check = {
  id: "header-content-type-options",
  title: "Browsers do not guess content types",
  why: "An uploaded picture that is a script in truth is run when the browser guesses.",
  fix: "Send X-Content-Type-Options: nosniff on every answer.",
  async look(view) {
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    const value = joinedOf(login, "x-content-type-options");
    if (value === null) return fail("GET /web/login carries no X-Content-Type-Options.");
    // The first of several counts (Fetch, "determine nosniff").
    return /^\s*nosniff\s*(?:,|$)/i.test(value)
      ? pass(`X-Content-Type-Options: ${value}`)
      : fail(`X-Content-Type-Options: ${value}`);
  },
};

const loosePolicies = ["unsafe-url", "no-referrer-when-downgrade", "origin-when-cross-origin", "origin"];
const tightPolicies = ["strict-origin-when-cross-origin", "strict-origin", "same-origin", "no-referrer"];

const referrer: Check = {
  id: "header-referrer-policy",
  title: "Addresses of internal pages are not told to other sites",
  why: "Odoo's links carry record numbers and access tokens; a full referrer hands them to every site that is linked to.",
  fix: "Send Referrer-Policy: strict-origin-when-cross-origin.",
  async look(view) {
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    const value = joinedOf(login, "referrer-policy");
    if (value === null) return warn("GET /web/login carries no Referrer-Policy.");
    // Several values: the last one a browser knows counts.
    const words = value.split(",").map((word) => word.trim().toLowerCase());
    const last = words.findLast((word) => loosePolicies.includes(word) || tightPolicies.includes(word)) ?? "";
    if (loosePolicies.includes(last))
      return warn(`Referrer-Policy: ${value}; it tells more than it should, or tells it over plain HTTP.`);
    if (tightPolicies.includes(last)) return pass(`Referrer-Policy: ${value}`);
    return warn(`Referrer-Policy: ${value}; browsers do not know this value.`);
  },
};

const permissions: Check = {
  id: "header-permissions-policy",
  title: "Browser features are limited, without breaking Odoo",
  why: "A page that is taken over should not reach camera, microphone and place through frames; but Discuss, the barcode scanner, attendance and payments need them for the site itself.",
  fix: "Send Permissions-Policy with (self) for camera, microphone and geolocation, such as camera=(self), microphone=(self), geolocation=(self).",
  async look(view) {
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    const value = joinedOf(login, "permissions-policy");
    if (value === null) return warn("GET /web/login carries no Permissions-Policy.");
    // A structured field (RFC 9651): one member that is none, and browsers drop all of it.
    if (!value.split(",").every((member) => /^\s*(?:[a-z*][a-z0-9_.*-]*\s*(?:[=;]|$)|$)/.test(member)))
      return warn(
        `Permissions-Policy: ${value}; browsers cannot read it and drop all of it: write camera=(self).`,
      );
    const off = ["camera", "microphone", "geolocation", "payment"].filter((feature) =>
      new RegExp(`(?:^|[,\\s])${feature}=\\(\\s*\\)`).test(value),
    );
    if (off.length > 0)
      return warn(
        `Permissions-Policy: ${value}; ${off.join(", ")} is off for Odoo itself, which breaks calls, scanning, attendance or payment.`,
      );
    return pass(`Permissions-Policy: ${value}`);
  },
};

const csp: Check = {
  id: "header-csp",
  title: "A Content-Security-Policy limits where scripts come from, or is being tried out",
  why: "It is the last line when a script gets into a page: it says from where scripts may be loaded.",
  fix: "Begin with Content-Security-Policy-Report-Only and a script-src that names your own site and the providers you use; Odoo needs 'unsafe-inline' and 'unsafe-eval'. Enforce it when the reports are quiet.",
  async look(view) {
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    if (login.value.status >= 400)
      return skipped(
        `GET /web/login: ${login.value.status}; what Odoo's pages carry cannot be told from it.`,
      );
    const enforced = fieldsOf(login.value.fields, "content-security-policy");
    const scripts = (name: string) =>
      policiesOf(login, name)
        .map((policy) => policy.get("script-src") ?? policy.get("default-src"))
        .filter((one) => one !== undefined);
    const now = scripts("content-security-policy");
    if (now.length > 0) {
      const seen = now.join(" | ");
      if (now.every((one) => everybody.test(one)))
        return warn(`Enforced, but scripts may come from anywhere: ${seen}`);
      // The web client compiles its templates in the browser.
      if (!now.every((one) => one.includes("'unsafe-eval'")))
        return warn(`Enforced without 'unsafe-eval', which breaks Odoo's web client: ${seen}`);
      return pass(`Enforced, scripts from: ${seen}`);
    }
    const later = scripts("content-security-policy-report-only");
    if (later.length > 0) {
      const seen = later.join(" | ");
      return later.every((one) => everybody.test(one))
        ? warn(`Tried out by report only, but scripts may come from anywhere: ${seen}`)
        : pass(`Tried out by report only, scripts from: ${seen}`);
    }
    if (enforced.length > 0) return warn(`Only ${enforced.join(" | ")}; scripts are not limited.`);
    return warn("GET /web/login carries no Content-Security-Policy.");
  },
};

/** Fields that must stand once in an answer; two are read in different ways by different readers. */
const single = [
  "strict-transport-security",
  "x-frame-options",
  "x-content-type-options",
  "referrer-policy",
  "permissions-policy",
  "content-security-policy",
  "x-xss-protection",
  "cache-control",
  "content-type",
  "server",
];

/** Do two lines of a field say different things. */
function contradict(name: string, values: readonly string[]): boolean {
  switch (name) {
    case "content-security-policy":
      // Two policies both hold (CSP3 §4.2): strict, but not contradictory.
      return false;
    case "cache-control": {
      // A list (RFC 9111 §5.2): lines that say different directives are one longer list.
      const said = new Map<string, string>();
      for (const part of values.flatMap((value) => value.toLowerCase().split(","))) {
        const [directive = "", argument = ""] = part.trim().split("=", 2);
        if ((said.get(directive) ?? argument) !== argument) return true;
        said.set(directive, argument);
      }
      return said.has("public") && (said.has("private") || said.has("no-store"));
    }
    default:
      return new Set(values.map((value) => value.toLowerCase())).size > 1;
  }
}

const doubled: Check = {
  id: "headers-doubled",
  title: "No header is sent twice",
  why: "A proxy that adds its headers to Odoo's own sends two; with different values browsers ignore both or take the weaker one.",
  fix: "Replace Odoo's header or leave it, but do not add a second: nginx needs proxy_hide_header beside add_header.",
  async look(view) {
    const twice: string[] = [];
    let conflicts = false;
    const seen = await answersOf(view);
    if (seen.length === 0) return skipped("No answer came to look at.");
    for (const [what, asked] of seen) {
      if (!asked.ok) continue;
      for (const name of single) {
        const values = fieldsOf(asked.value.fields, name);
        if (values.length < 2) continue;
        conflicts ||= contradict(name, values);
        twice.push(`${name} on ${what}: ${values.join(" | ")}`);
      }
    }
    if (twice.length === 0) return pass(`Looked at ${seen.map(([what]) => what).join(", ")}.`);
    return conflicts
      ? fail(`${twice.join("; ")}; the values contradict each other.`)
      : warn(`${twice.join("; ")}.`);
  },
};

const onErrors: Check = {
  id: "headers-on-errors",
  title: "Security headers are on error pages too",
  why: "Error pages carry what was asked for back to the browser; nginx's add_header leaves them out without always.",
  fix: "Send the headers with every status (nginx: add_header … always).",
  async look(view) {
    const missing = await view.missing();
    if (!missing.ok) return untold(missing.error);
    const wanted = ["x-content-type-options", ...(view.target.secure ? ["strict-transport-security"] : [])];
    const lacking = wanted.filter((name) => firstOf(missing, name) === null);
    const seen = `GET of a page that is not there: ${missing.value.status}`;
    return lacking.length === 0
      ? pass(`${seen}, with ${wanted.join(", ")}.`)
      : warn(`${seen}, without ${lacking.join(", ")}.`);
  },
};

/** The answers that were asked anyway, by what they are. */
export async function answersOf(view: SiteView): Promise<readonly (readonly [string, Asked])[]> {
  const asset = await view.asset();
  const all: (readonly [string, Asked])[] = [
    ["the log-in page", await view.login()],
    ["an error page", await view.missing()],
    ...(asset === null ? [] : [["a static file", asset] as const]),
  ];
  return all.filter(([, asked]) => asked.ok);
}

export const headerChecks: readonly Check[] = [
  framing,
  sniffing,
  referrer,
  permissions,
  csp,
  doubled,
  onErrors,
];
