import { cleanText } from "../base/clean.ts";
import { redactTarget } from "../message/redact.ts";

/** Reports of one request that are looked at; the rest are ignored. Chromium sends up to a hundred together. */
export const cspReportsPerRequestMax = 50;
/** So much of an address is read; its query is not. */
const addressCharsMax = 2_048;
/** `https://`, the longest name (RFC 1035 §2.3.4) and a port. */
const sourceCharsMax = 300;
const pageCharsMax = 200;

/** One violation without anything of the person: what was blocked by what, and on which kind of page. */
export interface CspFinding {
  /** One of `directives`. */
  readonly directive: string;
  /** An origin, or one of `inline`, `eval`, `wasm-eval`, `data`, `blob`, `filesystem`. */
  readonly source: string;
  /** Host and path as access lines show them: no query, no tokens. */
  readonly page: string;
}

export interface CspReading {
  readonly findings: readonly CspFinding[];
  /** Reports that say nothing about the site: browsers' extensions, the site itself, other sites' pages, other kinds. */
  readonly ignored: number;
}

/** Directives that are told apart; further ones are none a policy of ours can be broken by. */
const directives: ReadonlySet<string> = new Set([
  ...["default-src", "script-src", "style-src", "img-src", "media-src", "font-src", "connect-src"],
  ...["worker-src", "frame-src", "child-src", "manifest-src", "object-src", "base-uri", "form-action"],
  ...["frame-ancestors"],
]);

/** What browsers say in place of an address (CSP 3 §2.4); the empty text and `self` are older ones' for inline. */
const keywords: ReadonlyMap<string, string> = new Map([
  ...["inline", "eval", "wasm-eval", "data", "blob", "filesystem"].map((word) => [word, word] as const),
  ["", "inline"],
  ["self", "inline"],
]);
const network: ReadonlySet<string> = new Set(["http:", "https:", "ws:", "wss:"]);
const local: ReadonlySet<string> = new Set(["data:", "blob:", "filesystem:"]);
const originShape = /^(?:https?|wss?):\/\/[a-z0-9._[\]:-]+$/;
/** `chrome-extension:`, and what Firefox and Safari call theirs; also as a bare word. */
const extension = /^(?:chrome|moz|safari|safari-web|ms-browser|webkit)-(?:extension|masked-url)/i;

/**
 * Reads the body of a report: `application/csp-report` (CSP 2) is one object, `application/reports+json` (Reporting API) a list of
 * them. null: it is neither. Whoever sends them is believed nothing: what is kept of it is a word of a fixed set, an origin, and a path of a host for
 * which `isOurs` is true.
 */
export function readCspReports(
  contentType: string,
  text: string,
  isOurs: (host: string) => boolean,
): CspReading | null {
  const reports = reportsIn(contentType, text);
  if (reports === null) return null;
  const findings: CspFinding[] = [];
  for (const report of reports.slice(0, cspReportsPerRequestMax)) {
    const found = findingIn(report, isOurs);
    if (found !== null) findings.push(found);
  }
  return { findings, ignored: reports.length - findings.length };
}

function reportsIn(contentType: string, text: string): readonly unknown[] | null {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return null;
  }
  if (contentType === "application/reports+json") {
    if (!Array.isArray(value)) return null;
    return value.map((one: unknown) =>
      member(one, "type") === "csp-violation" ? member(one, "body") : null,
    );
  }
  const report = member(value, "csp-report");
  return isObject(report) ? [report] : null;
}

/** null: it is noise. */
function findingIn(report: unknown, isOurs: (host: string) => boolean): CspFinding | null {
  const page = addressOf(textOf(report, "documentURL", "document-uri"));
  if (page === null || !isOurs(page.hostname)) return null;
  if (page.protocol !== "https:" && page.protocol !== "http:") return null;
  // What an extension put into the page is loaded by the extension.
  if (extension.test(textOf(report, "sourceFile", "source-file") ?? "")) return null;
  const directive = directiveOf(report);
  const source = sourceOf(textOf(report, "blockedURL", "blocked-uri"), page);
  if (directive === null || source === null) return null;
  return { directive, source, page: cleanText(`${page.host}${redactTarget(page.pathname)}`, pageCharsMax) };
}

/** `script-src-elem` and `script-src-attr` stand for the one that our policy names. */
function directiveOf(report: unknown): string | null {
  const said =
    textOf(report, "effectiveDirective", "effective-directive") ?? textOf(report, "violated-directive") ?? "";
  const [name = ""] = said.slice(0, 64).trim().toLowerCase().split(" ", 1);
  const folded = name.replace(/-(?:elem|attr)$/, "");
  return directives.has(folded) ? folded : null;
}

/** The origin or keyword; null for the page's own origin, and for what is no page's doing. */
function sourceOf(blocked: string | null, page: URL): string | null {
  if (blocked === null) return null;
  const keyword = keywords.get(blocked);
  if (keyword !== undefined) return keyword;
  const address = addressOf(blocked);
  if (address === null) return null;
  if (local.has(address.protocol)) return address.protocol.slice(0, -1);
  if (!network.has(address.protocol) || address.host === page.host) return null;
  const { origin } = address;
  return origin.length <= sourceCharsMax && originShape.test(origin) ? origin : null;
}

function addressOf(text: string | null): URL | null {
  if (text === null) return null;
  const [address = ""] = text.slice(0, addressCharsMax).split(/[?#]/, 1);
  return URL.canParse(address) ? new URL(address) : null;
}

/** The first of these members that is a text. */
function textOf(report: unknown, ...names: readonly string[]): string | null {
  for (const name of names) {
    const value = member(report, name);
    if (typeof value === "string") return value;
  }
  return null;
}

function member(value: unknown, name: string): unknown {
  return isObject(value) && Object.hasOwn(value, name) ? Reflect.get(value, name) : undefined;
}

function isObject(value: unknown): value is object {
  return typeof value === "object" && value !== null;
}
