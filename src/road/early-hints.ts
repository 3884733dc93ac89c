import type { PageFile } from "../cache/hints.ts";
import { readCookie } from "../message/cookies.ts";
import type { RequestFacts } from "../message/facts.ts";
import { fieldValues, firstField } from "../message/fields.ts";
import { PageHead } from "../reply/page-files.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import { Ahead } from "./ahead.ts";
import { ClientFiles } from "./client-files.ts";
import type { Files } from "./files.ts";
import type { GatewayParts } from "./parts.ts";

/** Cookies by which Odoo chooses between bundles: language of the website, light or dark. */
const choosingCookies = ["frontend_lang", "color_scheme"] as const;
const plainWord = /^[A-Za-z_@-]{1,16}$/;

/** RFC 9218: of what the page names and waits for, before its browser has said anything. */
const aheadUrgency = 1;

const loginPath = "/web/login";
/** Where Odoo leads after the log-in, when it was the web client that was asked for: customers of a shop are led elsewhere, or nowhere. */
const toClient = /^\/(?:odoo|web)(?:[/?#]|$)/;

/**
 * A browser is told which bundles its page will need (103, RFC 8297): while Odoo makes the page, where the last ones like it are known and the bundles in memory; else in front of
 * the page, out of its own beginning, for a browser acts on a 103 sooner than on a page that it has to read first. What a page names is fetched meanwhile.
 * Told are browsers that open a page over HTTP/2 and are connected to us themselves: what stands between may not know interim answers.
 * On the way to the web client they take its bundles while the password is typed (`rel=prefetch`, in the head of the log-in page, whatever the protocol).
 */
export class EarlyHints {
  readonly #parts: GatewayParts;
  readonly #ahead: Ahead;
  readonly #client: ClientFiles;

  constructor(parts: GatewayParts, files: Files) {
    this.#parts = parts;
    this.#ahead = new Ahead(parts, files);
    this.#client = new ClientFiles(parts, this.#ahead);
  }

  /** In front of an answer that Odoo is asked for now. */
  tell(x: RunningExchange, facts: RequestFacts): void {
    if (!isOpening(x, facts) || !hears(facts)) return;
    const page = pageOf(x, facts);
    const known = this.#inMemory(facts, page);
    // Nobody has opened the client yet, from such a browser: its script is the same for all of them.
    const isUnknown = known.length === 0 && x.sessionKey !== null && page === clientPageOf(facts);
    this.#send(x, isUnknown ? this.#clientInMemory(facts) : known);
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
    const own = files.filter(({ need }) => need !== "print");
    const brought = Promise.all(own.map(({ path }) => this.#ahead.bring(x, facts, path, aheadUrgency)));
    const next = isLoginPage(facts) ? brought.then(() => this.#client.bring(x, facts)) : brought;
    next.catch((error: unknown) =>
      this.#parts.sink.emit({ type: "error", what: "ahead", detail: String(error) }),
    );
  }

  /** Fields for the head of a page: what its browser is to take next. */
  links(x: RunningExchange, facts: RequestFacts): readonly string[] {
    return [...this.#sheets(x, facts), ...this.#next(facts)];
  }

  /**
   * For a page whose browser has been told of the script: its style sheets, the one for print last. The load waits for that one too, and Chromium
   * asks for it by itself when all else is there, often not before the script has run. None while they are not in memory: what Odoo has yet to send, and we to compress, would be in the script's way.
   */
  #sheets(x: RunningExchange, facts: RequestFacts): readonly string[] {
    if (!x.isHinted) return [];
    const files = this.#inMemory(facts, pageOf(x, facts));
    return [
      ...files.filter(({ need }) => need === "behind-script"),
      ...files.filter(({ need }) => need === "print"),
    ].flatMap((file) => linkField(file, "preload"));
  }

  /** Behind the log-in page: the web client, where it was asked for, and where nobody counts bytes. What Odoo tells anybody, and nothing that the pages of those who are logged in name. */
  #next(facts: RequestFacts): readonly string[] {
    if (!isLoginPage(facts) || !toClient.test(new URLSearchParams(facts.query).get("redirect") ?? ""))
      return [];
    if (firstField(facts.fields, "save-data")?.toLowerCase() === "on") return [];
    return this.#clientInMemory(facts).flatMap((file) => linkField(file, "prefetch"));
  }

  /** What the last pages like it named, as far as it is here. */
  #inMemory({ authority }: RequestFacts, page: string): readonly PageFile[] {
    return this.#here(authority, this.#parts.cache.hints.of(page));
  }

  #clientInMemory({ authority }: RequestFacts): readonly PageFile[] {
    return this.#here(authority, this.#parts.cache.hints.clientOf(authority));
  }

  #here(authority: string, files: readonly PageFile[]): readonly PageFile[] {
    return files.filter(({ path }) => this.#parts.cache.isFresh(`https://${authority}${path}`));
  }

  /** A style sheet that yields to the page's script is asked for when the browser comes to it: told of both, browsers ask for the style sheet first. */
  #send(x: RunningExchange, files: readonly PageFile[]): void {
    const told = files.filter(({ need }) => need === "shown");
    if (told.length === 0) return;
    x.isHinted = true;
    x.down.sendHints(told.flatMap((file) => linkField(file, "preload")));
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

function isLoginPage({ path }: RequestFacts): boolean {
  return path === loginPath;
}

function isClient({ path }: RequestFacts): boolean {
  return path === "/web" || path === "/odoo" || path.startsWith("/odoo/");
}

/** Pages with the same bundles: all of the web client's are one. */
function pageOf(x: RunningExchange, facts: RequestFacts): string {
  return pageKey(facts, isClient(facts) ? "/odoo" : facts.path, x.sessionKey !== null);
}

/** The web client, as this browser will get it when it is logged in. */
function clientPageOf(facts: RequestFacts): string {
  return pageKey(facts, "/odoo", true);
}

function pageKey({ authority, fields }: RequestFacts, path: string, isUser: boolean): string {
  const [cookies = ""] = fieldValues(fields, "cookie");
  const chosen = choosingCookies.map((name) => {
    const value = readCookie(cookies, name) ?? "";
    return plainWord.test(value) ? value : "";
  });
  return [authority, path, isUser ? "user" : "", ...chosen].join(" ");
}

function linkField({ path, as }: PageFile, rel: "preload" | "prefetch"): readonly [string, string] {
  return ["Link", `<${path}>; rel=${rel}; as=${as}`];
}
