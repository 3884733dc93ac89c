import type { PageFile } from "../cache/hints.ts";
import { readCookie } from "../message/cookies.ts";
import type { RequestFacts } from "../message/facts.ts";
import { fieldValues, firstField } from "../message/fields.ts";
import { PageHead } from "../reply/page-files.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import type { Files } from "./files.ts";
import type { GatewayParts } from "./parts.ts";

/** Cookies by which Odoo chooses between bundles: language of the website, light or dark. */
const choosingCookies = ["frontend_lang", "color_scheme"] as const;
const plainWord = /^[A-Za-z_@-]{1,16}$/;

/**
 * While Odoo makes a page, its visitor's browser is told which bundles the page will need (103, RFC 8297), so that they are under way before the page is. They are learnt from the
 * pages that pass, and what such a page names is fetched before its browser can have read that; only what is in memory is told. Told are browsers that open a page over HTTP/2 and are connected to us themselves: what stands between may not know interim answers.
 */
export class EarlyHints {
  readonly #parts: GatewayParts;
  readonly #files: Files;

  constructor(parts: GatewayParts, files: Files) {
    this.#parts = parts;
    this.#files = files;
  }

  /** In front of an answer that Odoo is asked for now. */
  tell(x: RunningExchange, facts: RequestFacts): void {
    if (facts.protocol !== "HTTP/2" || !isOpening(x, facts) || facts.client !== facts.peer) return;
    const { cache } = this.#parts;
    const origin = `https://${facts.authority}`;
    const files = cache.hints.of(pageOf(x, facts)).filter(({ path }) => cache.isFresh(`${origin}${path}`));
    if (files.length > 0) x.down.sendHints(files.flatMap(linkField));
  }

  /** Looks at a page that passes; null: it is none to learn from. */
  watch(x: RunningExchange, facts: RequestFacts, head: AnswerHead): PageHead | null {
    if (head.status !== 200 || !isOpening(x, facts)) return null;
    return firstField(head.fields, "content-type")?.startsWith("text/html") === true ? new PageHead() : null;
  }

  /** A page has passed: what it names is known from now on, and on its way into memory where it is not there. */
  learn(x: RunningExchange, facts: RequestFacts, page: PageHead): void {
    const { files } = page;
    this.#parts.cache.hints.learn(pageOf(x, facts), files);
    this.#files.ahead(
      x,
      facts,
      files.map(({ path }) => path),
    );
  }
}

/** A browser opens a page in a window of its own (Fetch Metadata); as everything of a client's, a hint and no more. */
function isOpening(x: RunningExchange, { method, secure, fields }: RequestFacts): boolean {
  return (
    method === "GET" &&
    secure &&
    firstField(fields, "sec-fetch-dest") === "document" &&
    firstField(fields, "sec-fetch-mode") === "navigate" &&
    x.plan.settings.cache.on &&
    x.plan.settings.earlyHints
  );
}

/** Pages with the same bundles: all of the web client's are one. */
function pageOf(x: RunningExchange, { authority, path, fields }: RequestFacts): string {
  const isClient = path === "/web" || path === "/odoo" || path.startsWith("/odoo/");
  const [cookies = ""] = fieldValues(fields, "cookie");
  const chosen = choosingCookies.map((name) => {
    const value = readCookie(cookies, name) ?? "";
    return plainWord.test(value) ? value : "";
  });
  return [authority, isClient ? "/odoo" : path, x.sessionKey === null ? "" : "user", ...chosen].join(" ");
}

function linkField({ path, as }: PageFile): readonly [string, string] {
  return ["Link", `<${path}>; rel=preload; as=${as}`];
}
