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
 * A browser is told which bundles its page will need (103, RFC 8297): while Odoo makes the page, where the last ones like it are known and the bundles in memory; else in front of
 * the page, out of its own beginning, for a browser acts on a 103 sooner than on a page that it has to read first. What a page names is fetched meanwhile.
 * Told are browsers that open a page over HTTP/2 and are connected to us themselves: what stands between may not know interim answers.
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
    if (!isOpening(x, facts) || !hears(facts)) return;
    this.#send(x, this.#inMemory(x, facts));
  }

  /** Looks at a page that passes; null: it is none to learn from. */
  watch(x: RunningExchange, facts: RequestFacts, head: AnswerHead): PageHead | null {
    if (head.status !== 200 || !isOpening(x, facts)) return null;
    return firstField(head.fields, "content-type")?.startsWith("text/html") === true ? new PageHead() : null;
  }

  /** Will the browser of this page be told out of its beginning? The page's own head has to wait for that. */
  waits(x: RunningExchange, facts: RequestFacts): boolean {
    return !x.isHinted && hears(facts);
  }

  /** In front of a page of which as much has come as came at once. */
  tellOf(x: RunningExchange, page: PageHead): void {
    this.#send(x, page.files);
  }

  /** What a page names is known from now on, and on its way into memory where it is not there. */
  learn(x: RunningExchange, facts: RequestFacts, page: PageHead): void {
    const { files } = page;
    // A session we have not seen log in may be somebody's, whom we cannot tell from a stranger: by a hint he would hear which pages others have opened.
    const isToldNobody = facts.sessionId !== null && x.sessionKey === null && !isClient(facts);
    this.#parts.cache.hints.learn(facts.authority, isToldNobody ? null : pageOf(x, facts), files);
    this.#files.ahead(
      x,
      facts,
      files.filter(({ need }) => need !== "print").map(({ path }) => path),
    );
  }

  /**
   * Fields for the head of a page whose browser has been told of the script: its style sheets, the one for print last. The load waits for that one too, and Chromium
   * asks for it by itself when all else is there, often not before the script has run. None while they are not in memory: what Odoo has yet to send, and we to compress, would be in the script's way.
   */
  links(x: RunningExchange, facts: RequestFacts): readonly string[] {
    if (!x.isHinted) return [];
    const files = this.#inMemory(x, facts);
    return [
      ...files.filter(({ need }) => need === "behind-script"),
      ...files.filter(({ need }) => need === "print"),
    ].flatMap(linkField);
  }

  /** What the last pages like it named, as far as it is here. */
  #inMemory(x: RunningExchange, facts: RequestFacts): readonly PageFile[] {
    const { cache } = this.#parts;
    const origin = `https://${facts.authority}`;
    return cache.hints.of(pageOf(x, facts)).filter(({ path }) => cache.isFresh(`${origin}${path}`));
  }

  /** A style sheet that yields to the page's script is asked for when the browser comes to it: told of both, browsers ask for the style sheet first. */
  #send(x: RunningExchange, files: readonly PageFile[]): void {
    const told = files.filter(({ need }) => need === "shown");
    if (told.length === 0) return;
    x.isHinted = true;
    x.down.sendHints(told.flatMap(linkField));
  }
}

function hears({ protocol, client, peer }: RequestFacts): boolean {
  return protocol === "HTTP/2" && client === peer;
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

function isClient({ path }: RequestFacts): boolean {
  return path === "/web" || path === "/odoo" || path.startsWith("/odoo/");
}

/** Pages with the same bundles: all of the web client's are one. */
function pageOf(x: RunningExchange, facts: RequestFacts): string {
  const { authority, path, fields } = facts;
  const [cookies = ""] = fieldValues(fields, "cookie");
  const chosen = choosingCookies.map((name) => {
    const value = readCookie(cookies, name) ?? "";
    return plainWord.test(value) ? value : "";
  });
  return [authority, isClient(facts) ? "/odoo" : path, x.sessionKey === null ? "" : "user", ...chosen].join(
    " ",
  );
}

function linkField({ path, as }: PageFile): readonly [string, string] {
  return ["Link", `<${path}>; rel=preload; as=${as}`];
}
