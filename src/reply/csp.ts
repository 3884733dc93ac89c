import { cspReportPath } from "../message/own-paths.ts";
import type { ServedName } from "../settings/settings.ts";

/** Directives by name, in the order they are written. */
export type CspDirectives = ReadonlyMap<string, readonly string[]>;

/** For our own pages and the operator's maintenance page: no script, nothing loaded but what stands in the page, framed by nobody. */
export const ownPagesCsp =
  "default-src 'none'; img-src data:; font-src data:; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

/** The nginx guide's policy, letter by letter. */
export const guideCsp =
  "default-src 'self'; script-src 'self' 'unsafe-inline' 'unsafe-eval'; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; font-src 'self' data:; connect-src 'self'; frame-ancestors 'self';";

/**
 * What Odoo 16–19 need to work, and little more. The web client evaluates its templates (`unsafe-eval`) and prints its session into
 * the page (`unsafe-inline`); bundles and workers are blobs; payment providers, YouTube, Vimeo and
 * Jitsi live in frames; payment forms are posted to the provider. Providers' scripts bring style sheets and fonts of their own and talk to hosts that
 * nobody lists: those are held to https alone, as pictures, frames and forms are. `scripts`: sources of the operator's besides.
 */
export function odooCspDirectives(
  names: readonly ServedName[],
  scripts: readonly string[] = [],
): CspDirectives {
  // 'self' covers wss: in today's browsers, not in Safari before 15.4 (CSP 3 §6.7.2.8). IPv6 literals are no host-source.
  const sockets = names.filter(({ host }) => !host.startsWith("[")).map(({ host }) => `wss://${host}:*`);
  return new Map<string, readonly string[]>([
    ["default-src", ["'self'"]],
    ["script-src", ["'self'", "'unsafe-inline'", "'unsafe-eval'", "blob:", ...scriptSources, ...scripts]],
    ["style-src", ["'self'", "'unsafe-inline'", "https:"]],
    ["img-src", ["'self'", "data:", "blob:", "https:"]],
    ["media-src", ["'self'", "data:", "blob:", "https:"]],
    ["font-src", ["'self'", "data:", "https:"]],
    ["connect-src", ["'self'", "data:", "blob:", ...sockets, "https:"]],
    ["worker-src", ["'self'", "blob:"]],
    ["frame-src", ["'self'", "blob:", "data:", "https:"]],
    ["object-src", ["'self'"]],
    ["base-uri", ["'self'"]],
    ["form-action", ["'self'", "https:"]],
    ["frame-ancestors", ["'self'"]],
  ]);
}

/** The name of the place for reports in `Reporting-Endpoints`; not `default`, which would bring reports of other kinds. */
export const reportGroup = "csp-report";

/**
 * The same, with the address for reports. Chromium follows `report-to` where it knows it, others `report-uri` (CSP 3 §6.5).
 * Relative, so that each name's reports come to that name.
 */
export function withReports(directives: CspDirectives): CspDirectives {
  return new Map([...directives, ["report-uri", [cspReportPath]], ["report-to", [reportGroup]]]);
}

/** Does this directive (or `default-src` in its place) let a source as in reports pass: an origin, or a keyword like `inline`. */
export function allowsSource(directives: CspDirectives, directive: string, source: string): boolean {
  const allowed = directives.get(directive) ?? directives.get("default-src") ?? [];
  const word = reportedWords.get(source);
  if (word !== undefined) return allowed.includes(word);
  const origin = URL.canParse(source) ? new URL(source) : null;
  if (origin === null) return false;
  return allowed.some((one) => one === origin.protocol || one === source || isBelow(origin, one));
}

/** What lets pass what reports call by these words. */
const reportedWords: ReadonlyMap<string, string> = new Map([
  ["inline", "'unsafe-inline'"],
  ["eval", "'unsafe-eval'"],
  ["wasm-eval", "'unsafe-eval'"],
  ["data", "data:"],
  ["blob", "blob:"],
  ["filesystem", "filesystem:"],
]);

/** `https://*.example.com`: all names below that one (CSP 3 §6.7.2.8). */
function isBelow({ protocol, host }: URL, pattern: string): boolean {
  const at = pattern.indexOf("//*.");
  return at > 0 && pattern.slice(0, at) === protocol && host.endsWith(pattern.slice(at + 3));
}

/**
 * Scripts that modules of Odoo's own (community, 16–19) load from elsewhere, and what those load in turn: payment, video, maps and delivery points,
 * captchas, figures of visitors, meetings.
 */
const scriptSources = [
  "https://js.stripe.com",
  "https://*.js.stripe.com",
  "https://*.adyen.com",
  "https://*.paypal.com",
  "https://*.paypalobjects.com",
  "https://*.razorpay.com",
  "https://*.mercadopago.com",
  "https://*.mlstatic.com",
  "https://*.authorize.net",
  "https://js.xendit.co",
  "https://*.tosspayments.com",
  "https://www.youtube.com",
  "https://player.vimeo.com",
  "https://maps.googleapis.com",
  "https://unpkg.com/leaflet@1.9.4/",
  "https://widget.mondialrelay.com",
  "https://www.google.com",
  "https://www.gstatic.com",
  "https://www.recaptcha.net",
  "https://challenges.cloudflare.com",
  "https://www.googletagmanager.com",
  "https://*.google-analytics.com",
  "https://plausible.io",
  "https://meet.jit.si",
];

/** Longest policy of Odoo's that is merged; a longer one stands alone. */
const upstreamCharsMax = 4_096;

/**
 * One policy out of Odoo's and ours: Odoo's directives win, ours fill in what it does not name. A policy
 * with `default-src` is complete and stands alone, and so do two policies at once (`,`): what both
 * allow cannot be written as one. Reports go where Odoo wants them, if it does.
 */
export function mergeCsp(upstream: string, ours: CspDirectives): string {
  if (upstream.length > upstreamCharsMax || upstream.includes(",")) return upstream;
  const theirs = new Set<string>();
  const kept: string[] = [];
  for (const part of upstream.split(";")) {
    const directive = part.trim();
    if (directive === "") continue;
    const [name = ""] = directive.split(/[ \t]/, 1);
    theirs.add(name.toLowerCase());
    kept.push(directive);
  }
  if (theirs.has("default-src")) return upstream;
  const isReported = theirs.has("report-uri") || theirs.has("report-to");
  for (const [name, values] of ours)
    if (!theirs.has(name) && !(isReported && name.startsWith("report-")))
      kept.push(`${name} ${values.join(" ")}`);
  return kept.join("; ");
}

/** Reads a policy text into directives; for texts of our own. */
export function parseCsp(text: string): CspDirectives {
  const directives = new Map<string, readonly string[]>();
  for (const part of text.split(";")) {
    const [name, ...values] = part.trim().split(" ");
    if (name !== undefined && name !== "") directives.set(name, values);
  }
  return directives;
}
