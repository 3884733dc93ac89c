import { parseIp } from "../../base/ip.ts";
import { type Check, fail, notOverTls, pass, skipped, untold, warn } from "../check.ts";
import { firstOf, type SiteView } from "../view.ts";

const yearSeconds = 31_536_000;

interface Hsts {
  readonly text: string;
  /** Null: missing, no number, or said twice. */
  readonly maxAgeSeconds: number | null;
  readonly subdomains: boolean;
  readonly preload: boolean;
}

/** Reads the field as browsers do (RFC 6797 §6.1): directives without regard to case and order. */
export function readHsts(text: string): Hsts {
  const parts = text.split(";").map((part) => part.trim().toLowerCase());
  const ages = parts.filter((part) => /^max-age\s*(?:=|$)/.test(part));
  const age = /^max-age\s*=\s*(?:"([0-9]+)"|([0-9]+))$/.exec(ages[0] ?? "");
  return {
    text,
    // A directive that stands twice makes the whole field void.
    maxAgeSeconds: age === null || ages.length > 1 ? null : Number(age[1] ?? age[2]),
    subdomains: parts.includes("includesubdomains"),
    preload: parts.includes("preload"),
  };
}

/** Browsers ignore HSTS for addresses, and a local name should not be locked to https. */
function isLocal({ target }: SiteView): boolean {
  return parseIp(target.host) !== null || /(?:^|\.)localhost$/.test(target.host);
}

const hsts: Check = {
  id: "hsts",
  title: "Browsers are told to insist on HTTPS for a year (HSTS)",
  why: "Without it the first request of each visit can be caught over plain HTTP, redirect or not.",
  fix: "Send Strict-Transport-Security: max-age=31536000; includeSubDomains on every HTTPS answer.",
  async look(view) {
    if (!view.target.secure) return notOverTls;
    if (isLocal(view))
      return skipped("The site is an address or a local name, for which HSTS means nothing.");
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    const text = firstOf(login, "strict-transport-security");
    if (text === null) return fail("GET /web/login carries no Strict-Transport-Security.");
    const { maxAgeSeconds } = readHsts(text);
    const seen = `Strict-Transport-Security: ${text}`;
    if (maxAgeSeconds === null) return fail(`${seen}; no readable max-age, so browsers ignore it.`);
    if (maxAgeSeconds === 0) return fail(`${seen}; max-age=0 tells browsers to forget it.`);
    if (maxAgeSeconds < yearSeconds) return warn(`${seen}; less than a year.`);
    return pass(seen);
  },
};

const preload: Check = {
  id: "hsts-preload",
  title: "HSTS preloading is asked for only by a site that is fit for it",
  why: "The browsers' list binds every subdomain for years; asking for it without being ready cuts services off, or is in vain.",
  fix: "For the list (hstspreload.org): max-age of a year, includeSubDomains, preload, a trusted certificate, and a redirect on this name. If you do not want it, leave preload out.",
  async look(view) {
    if (!view.target.secure) return notOverTls;
    if (isLocal(view)) return skipped("The site is an address or a local name, for which there is no list.");
    const login = await view.login();
    if (!login.ok) return untold(login.error);
    const text = firstOf(login, "strict-transport-security");
    if (text === null) return pass("Not asked for: there is no HSTS at all (see hsts).");
    const read = readHsts(text);
    const missing = [
      ...((read.maxAgeSeconds ?? 0) < yearSeconds ? ["max-age of a year"] : []),
      ...(read.subdomains ? [] : ["includeSubDomains"]),
    ];
    if (!read.preload)
      return pass(
        `Not asked for${missing.length === 0 ? "; it would be fit for it" : `; lacking: ${missing.join(", ")}`}.`,
      );
    if (missing.length > 0) return warn(`Asked for, but not fit: lacking ${missing.join(", ")}.`);
    const isRegistrable = view.target.host.split(".").length <= 2;
    return isRegistrable
      ? pass("Asked for, and fit for it.")
      : pass("Asked for, and fit; the list takes the registered domain, not this name below it.");
  },
};

export const hstsChecks: readonly Check[] = [hsts, preload];
