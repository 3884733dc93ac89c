import type { Look } from "../../report/finding.ts";
import { type Answer, fieldsOf } from "../answer.ts";
import { type Check, fail, pass, skipped, untold, warn } from "../check.ts";
import { firstOf } from "../view.ts";

/** Signs that a cache shared by visitors answered. */
function cacheSign({ fields }: Answer): string | null {
  for (const name of ["x-cache", "x-cache-status", "cf-cache-status", "x-proxy-cache", "x-varnish-cache"])
    for (const value of fieldsOf(fields, name)) if (/hit/i.test(value)) return `${name}: ${value}`;
  const age = fieldsOf(fields, "age")[0];
  return age !== undefined && Number(age) > 0 ? `age: ${age}` : null;
}

/** May a shared cache keep it (RFC 9111 §3), by what the answer says; the words that say so. */
function sharedWords({ fields }: Answer): string | null {
  const control = fieldsOf(fields, "cache-control").join(", ");
  // RFC 9111 §3: no-store wins over whatever stands beside it.
  if (/\bno-store\b/i.test(control)) return null;
  if (/\bpublic\b|\bs-maxage=[1-9]/i.test(control)) return `Cache-Control: ${control}`;
  if (/\b(?:private|no-store|no-cache)\b/i.test(control)) return null;
  return /\bmax-age=[1-9]/i.test(control) ? `Cache-Control: ${control}` : null;
}

const privatePages: Check = {
  id: "cache-private",
  title: "Private pages and attachments may not be kept by caches",
  why: "Rules by file ending (css, jpg, …) also match /odoo/anything.css, which is the signed-in web client, and attachments such as /web/content/12/contract.jpg: a cache then gives them to others.",
  fix: "Mark only /web/assets/ and /<module>/static/ as public; leave Odoo's own Cache-Control everywhere else.",
  async look(view) {
    const tail = `odoo-gateway-check-${view.nonce}`;
    const targets = [
      `/odoo/${tail}.css`,
      `/my/${tail}.js`,
      `/web/image/0/${tail}.png`,
      `/web/content/1/${tail}.jpg`,
    ];
    const open: string[] = [];
    const closed: string[] = [];
    let trouble: Look | null = null;
    for (const target of targets) {
      const asked = await view.ask({ method: "GET", target, headOnly: true });
      if (!asked.ok) {
        if (asked.error.kind !== "closed") trouble ??= untold(asked.error);
        continue;
      }
      const words = sharedWords(asked.value) ?? cacheSign(asked.value);
      if (words === null) closed.push(`${target} ${asked.value.status}`);
      else open.push(`${target}: ${asked.value.status} with ${words}`);
    }
    if (open.length > 0) return fail(`${open.join("; ")}.`);
    if (trouble !== null) return trouble;
    return closed.length === 0
      ? skipped("No answer came to look at.")
      : pass(`Not for caches: ${closed.join(", ")}.`);
  },
};

const cookies: Check = {
  id: "cache-cookies",
  title: "No shared cache hands sessions out",
  why: "Odoo sets a session cookie on public files; a cache that keeps the cookie with the file gives one visitor's session to all.",
  fix: "Let the cache drop Set-Cookie from what it keeps, or not keep answers that carry one.",
  async look(view) {
    const first = await view.asset();
    if (first === null) return skipped("The log-in page names no static file.");
    if (!first.ok) return untold(first.error);
    const login = await view.login();
    const pages = login.ok ? [["the log-in page", login.value] as const] : [];
    for (const [what, answer] of [["a static file", first.value] as const, ...pages]) {
      const sign = cacheSign(answer);
      if (sign !== null && fieldsOf(answer.fields, "set-cookie").length > 0)
        return fail(`${what} came out of a cache (${sign}) with Set-Cookie.`);
    }
    const isBoth = sharedWords(first.value) !== null && fieldsOf(first.value.fields, "set-cookie").length > 0;
    return pass(
      isBoth
        ? "A public static file sets a cookie, but no cache answered. Should a CDN come in front, it must drop Set-Cookie."
        : "No cached answer carries Set-Cookie.",
    );
  },
};

const compression: Check = {
  id: "compression",
  title: "Scripts and style sheets are compressed",
  why: "A cold web client is 9 MB; compressed it is less than 2 MB, which on a phone is the difference between seconds and a minute.",
  fix: "Compress text types (nginx: gzip_types text/css application/javascript …; better brotli), with Vary: Accept-Encoding.",
  async look(view) {
    const asset = await view.asset();
    if (asset === null) return skipped("The log-in page names no static file.");
    if (!asset.ok) return untold(asset.error);
    if (asset.value.status !== 200)
      return skipped(`A static file of the log-in page: ${asset.value.status}.`);
    const coding = firstOf(asset, "content-encoding");
    if (coding === null) return warn("A script or style sheet of the log-in page came uncompressed.");
    const vary = fieldsOf(asset.value.fields, "vary").join(", ");
    return /accept-encoding|\*/i.test(vary)
      ? pass(`Content-Encoding: ${coding}, Vary: ${vary}`)
      : warn(
          `Content-Encoding: ${coding}, but no Vary: Accept-Encoding; a cache would send it to who cannot read it.`,
        );
  },
};

export const cachingChecks: readonly Check[] = [privatePages, cookies, compression];
