import { Socket } from "node:net";
import helmet, { type HelmetOptions } from "helmet";
import { BoundedMap } from "../base/bounded-map.ts";
import { parseIp } from "../base/ip.ts";
import { http } from "../base/node-http.ts";
import type { RawFields } from "../message/facts.ts";
import { lowerName } from "../message/field-names.ts";
import { cspReportPath } from "../message/own-paths.ts";
import type { Preset, Settings } from "../settings/settings.ts";
import {
  type CspDirectives,
  guideCsp,
  mergeCsp,
  odooCspDirectives,
  ownPagesCsp,
  parseCsp,
  reportGroup,
  withReports,
} from "./csp.ts";

/** The finished lists for one kind of host; names and values alternate. */
export interface SecurityClass {
  /** Ours, whatever Odoo says. */
  readonly always: readonly string[];
  /** Ours when Odoo is silent. */
  readonly ifSilent: readonly string[];
  /** The policy that is enforced and merged with Odoo's; null when it is only reported. */
  readonly enforced: EnforcedCsp | null;
  /** All of them, for answers the gateway makes itself, with a policy that allows its pages nothing. */
  readonly own: readonly string[];
  /** Lower-case names of `ifSilent`, each with a bit of its own. */
  readonly silentBits: ReadonlyMap<string, number>;
  /** Lower-case names of those of `always` that Odoo has no say in. */
  readonly replaced: ReadonlySet<string>;
}

interface EnforcedCsp {
  readonly text: string;
  readonly directives: CspDirectives;
  /** Odoo sends a handful of policies; what they merge to is made once each. */
  readonly merged: BoundedMap<string, string>;
}

export interface SecurityHeaders {
  /** `host` as in facts, null when none is known; `secure`: the answer travels over TLS. */
  classFor(host: string | null, secure: boolean): SecurityClass;
}

/** Who may show a page in a frame where Odoo is silent. */
export type FrameAncestors = "self" | "any";

/** On localhost and IP literals: a year would lock every other server of the laptop out of plain HTTP. */
const localHstsSeconds = 300;

/**
 * Evaluates helmet once and makes the finished lists: public names, local names (short HSTS), and plain HTTP
 * (no HSTS, RFC 6797 §7.2). Nothing is computed for an exchange but a merge with what Odoo sends. With `any` we say nothing of
 * frames; Odoo's own word stays.
 */
export function securityHeaders(
  settings: Pick<
    Settings,
    | "preset"
    | "domains"
    | "hstsMaxAgeSeconds"
    | "hstsSubdomains"
    | "hstsPreload"
    | "cspScriptSources"
    | "cspReports"
    | "upgradeInsecure"
  >,
  frameAncestors: FrameAncestors = "self",
): SecurityHeaders {
  const guide = settings.preset === "nginx-guide";
  const publicHsts: Hsts = guide
    ? { maxAge: 31_536_000, includeSubDomains: true, preload: true }
    : {
        maxAge: settings.hstsMaxAgeSeconds,
        includeSubDomains: settings.hstsSubdomains,
        preload: settings.hstsPreload,
      };
  const localHsts: Hsts = {
    maxAge: Math.min(localHstsSeconds, publicHsts.maxAge),
    includeSubDomains: false,
    preload: false,
  };
  const sources = odooCspDirectives(settings.domains, settings.cspScriptSources);
  const directives = asksForReports(settings) ? withReports(sources) : sources;
  const build = (hsts: Hsts | null) =>
    buildClass(settings.preset, directives, hsts, frameAncestors, settings.upgradeInsecure);
  const named = build(publicHsts);
  const local = build(localHsts);
  const plain = build(null);
  /** By name: a site has a few, and each answer asks. */
  const classes = new BoundedMap<string, SecurityClass>(64);
  return {
    classFor(host, secure) {
      if (!secure) return plain;
      if (host === null) return local;
      const known = classes.get(host);
      if (known !== undefined) return known;
      const found = isLocalName(host) ? local : named;
      classes.set(host, found);
      return found;
    },
  };
}

/** Is the address for reports named. The guide's headers stay as the guide has them. */
export function asksForReports({ preset, cspReports }: Pick<Settings, "preset" | "cspReports">): boolean {
  return cspReports && preset !== "nginx-guide";
}

/**
 * Adds the security fields to an answer. `upstream` are Odoo's fields after `inboundFields`; `out` receives them
 * and ours, none twice: Odoo's `DENY`, frame policy and sandboxing are kept.
 */
export function mergeSecurity(headers: SecurityClass, upstream: RawFields, out: string[]): void {
  let seen = 0;
  let policy: string | null = null;
  let framed = false;
  for (let i = 0; i + 1 < upstream.length; i += 2) {
    const name = upstream[i] ?? "";
    const value = upstream[i + 1] ?? "";
    const lower = lowerName(name);
    if (headers.replaced.has(lower)) continue;
    if (lower === "content-security-policy") {
      framed ||= /(?:^|[;,])\s*frame-ancestors\s/i.test(value);
      if (headers.enforced !== null) {
        policy = policy === null ? value : `${policy}, ${value}`;
        continue;
      }
    }
    seen |= headers.silentBits.get(lower) ?? 0;
    out.push(name, value);
  }
  if (headers.enforced !== null) out.push("Content-Security-Policy", enforce(headers.enforced, policy));
  for (const text of headers.always) out.push(text);
  for (let i = 0; i + 1 < headers.ifSilent.length; i += 2) {
    const name = headers.ifSilent[i] ?? "";
    if ((seen & (1 << (i / 2))) !== 0) continue;
    // frame-ancestors says who may frame, and browsers that know it ignore the older field: adding ours would only contradict.
    if (framed && name === "X-Frame-Options") continue;
    out.push(name, headers.ifSilent[i + 1] ?? "");
  }
}

function enforce(csp: EnforcedCsp, upstream: string | null): string {
  if (upstream === null) return csp.text;
  const before = csp.merged.get(upstream);
  if (before !== undefined) return before;
  const merged = mergeCsp(upstream, csp.directives);
  csp.merged.set(upstream, merged);
  return merged;
}

interface Hsts {
  readonly maxAge: number;
  readonly includeSubDomains: boolean;
  readonly preload: boolean;
}

function buildClass(
  preset: Preset,
  odoo: CspDirectives,
  hsts: Hsts | null,
  frameAncestors: FrameAncestors,
  upgradesInsecure: boolean,
): SecurityClass {
  const guide = preset === "nginx-guide";
  const enforcing = guide || preset === "strict";
  const isFramed = frameAncestors === "any";
  const all = guide ? parseCsp(guideCsp) : odoo;
  const directives: CspDirectives = isFramed
    ? new Map([...all].filter(([name]) => name !== "frame-ancestors"))
    : all;
  const base = helmetFields({
    contentSecurityPolicy: enforcing
      ? false
      : {
          useDefaults: false,
          reportOnly: true,
          directives: Object.fromEntries([...directives].map(([k, v]) => [k, [...v]])),
        },
    crossOriginEmbedderPolicy: false,
    // Any value cuts a window that went to another site and came back off from its opener (HTML, cross-origin opener policies):
    // Odoo's Peppol registration then stays open, and Outlook's add-in never hears that it was let in.
    crossOriginOpenerPolicy: preset === "strict" ? { policy: "same-origin-allow-popups" } : false,
    // same-origin would break pictures of /web/image in mails and embedding sites.
    crossOriginResourcePolicy: false,
    originAgentCluster: false,
    referrerPolicy: { policy: "strict-origin-when-cross-origin" },
    strictTransportSecurity: hsts === null ? false : { ...hsts },
    xContentTypeOptions: true,
    xDnsPrefetchControl: false,
    xDownloadOptions: false,
    xFrameOptions: isFramed ? false : { action: "sameorigin" },
    xPermittedCrossDomainPolicies: guide ? false : { permittedPolicies: "none" },
    xPoweredBy: false,
    xXssProtection: false,
  });
  const always: string[] = [];
  const ifSilent: string[] = [];
  for (let i = 0; i + 1 < base.length; i += 2) {
    const name = base[i] ?? "";
    (alwaysOurs.has(name) ? always : ifSilent).push(name, base[i + 1] ?? "");
  }
  ifSilent.push("Permissions-Policy", guide ? guidePermissions : permissionsPolicy);
  if (guide) ifSilent.push("X-XSS-Protection", "1; mode=block");
  if (preset === "staging") always.push("X-Robots-Tag", "noindex, nofollow");
  const text =
    guide && !isFramed
      ? guideCsp
      : [...directives].map(([name, values]) => `${name} ${values.join(" ")}`).join("; ");
  const own = [...always];
  for (let i = 0; i + 1 < ifSilent.length; i += 2) {
    if (ifSilent[i] !== "Content-Security-Policy-Report-Only")
      own.push(ifSilent[i] ?? "", ifSilent[i + 1] ?? "");
  }
  own.push("Content-Security-Policy", ownPagesCsp);
  const replaced = new Set(always.filter((_, i) => i % 2 === 0).map((name) => name.toLowerCase()));
  // A list of names (RFC 9651 §3.2): Odoo's own stands beside it. Answers of ours have no policy that reports.
  if (directives.has("report-to")) always.push("Reporting-Endpoints", `${reportGroup}="${cspReportPath}"`);
  // A policy beside Odoo's own and ours (CSP 3 §8.1): it blocks nothing. Where plain HTTP was opened on purpose it would close that again.
  if (upgradesInsecure && hsts !== null) always.push("Content-Security-Policy", "upgrade-insecure-requests");
  return Object.freeze({
    always: Object.freeze(always),
    ifSilent: Object.freeze(ifSilent),
    enforced: enforcing ? { text, directives, merged: new BoundedMap<string, string>(64) } : null,
    own: Object.freeze(own),
    silentBits: new Map(
      ifSilent.filter((_, i) => i % 2 === 0).map((name, i) => [name.toLowerCase(), 1 << i]),
    ),
    replaced,
  });
}

const alwaysOurs: ReadonlySet<string> = new Set(["Strict-Transport-Security", "X-Content-Type-Options"]);

/** The guide's, letter by letter; it turns calls and the barcode camera off, which is why it is no default. */
const guidePermissions = "camera=(), microphone=(), geolocation=(), payment=()";

/**
 * What a page of ours, and the frames Odoo opens on purpose, may ask the browser for. A feature that is not named keeps
 * the browser's default, so autoplay, fullscreen, picture-in-picture and the sensors of embedded
 * videos stay as the frame's `allow` says, and so do passkeys: a bank asks for one in its frame inside the payment provider's. Jitsi's frame carries
 * calls, those of Stripe, Google, PayPal, Adyen and Razorpay the payment sheet.
 */
const permissionsPolicy = [
  'camera=(self "https://meet.jit.si")',
  'microphone=(self "https://meet.jit.si")',
  'display-capture=(self "https://meet.jit.si")',
  "geolocation=(self)",
  'payment=(self "https://js.stripe.com" "https://hooks.stripe.com" "https://pay.google.com" "https://www.paypal.com" "https://checkoutshopper-live.adyen.com" "https://api.razorpay.com")',
  "usb=(self)",
  "serial=(self)",
  "hid=(self)",
  "midi=()",
  "browsing-topics=()",
].join(", ");

/** An answer that goes nowhere and keeps what is set on it, in order and in helmet's spelling. */
class Recorder extends http.ServerResponse {
  readonly recorded: string[] = [];

  override setHeader(name: string, value: number | string | readonly string[]): this {
    this.recorded.push(name, String(value));
    return this;
  }
}

/** helmet's fields for these options. Synchronous, since no directive is a function. */
function helmetFields(options: HelmetOptions): string[] {
  const response = new Recorder(new http.IncomingMessage(new Socket()));
  let failure: unknown = null;
  helmet(options)(response.req, response, (error?: unknown) => {
    failure = error ?? null;
  });
  if (failure !== null) throw new Error("helmet refused its options", { cause: failure });
  return response.recorded;
}

/** `localhost`, names below it, and IP literals: HSTS is ignored or harmful there (RFC 6797 §8.3). */
function isLocalName(host: string): boolean {
  return (
    host === "localhost" || host.endsWith(".localhost") || host.startsWith("[") || parseIp(host) !== null
  );
}
