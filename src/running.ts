import type { ExchangeId } from "./base/brands.ts";
import type { Clock } from "./base/clock.ts";
import { flatLatin1 } from "./base/flat.ts";
import type { CacheWord } from "./cache/cache.ts";
import type { Attendant, Downstream } from "./exchange.ts";
import type { ApiPath, ApiRules } from "./guard/api-list.ts";
import type { Attempt, Ticket } from "./guard/jail.ts";
import type { LoginWatch } from "./guard/login-watch.ts";
import type { RpcEnvelope } from "./guard/rpc-envelope.ts";
import type { RequestFacts } from "./message/facts.ts";
import { firstField, nameIs } from "./message/fields.ts";
import { paymentPath } from "./message/payment-route.ts";
import { redactTarget } from "./message/redact.ts";
import type { AccessRecord, EventSink, FailureKind } from "./observe/events.ts";
import type { Plan } from "./plan.ts";
import type { CrossOrigin } from "./reply/cors.ts";
import type { OwnAnswer } from "./reply/pages.ts";
import type { SecurityClass } from "./reply/security.ts";
import type { LaneName } from "./upstream/lanes.ts";

/** Sockets, files, places: given back once, when the client left or the answer is out. */
export interface Held {
  over(): void;
}

/** Where the exchanges under way are known. */
export interface Books {
  ended(exchange: RunningExchange): void;
  /** Its body cannot be read; it can still be answered. */
  broken(exchange: RunningExchange, status: number, code: string): void;
}

/** One exchange on its way: what is known of it so far, and its one access record at the end. */
export class RunningExchange implements Attendant {
  readonly id: ExchangeId;
  /** Among those under way. */
  place = -1;
  readonly plan: Plan;
  readonly down: Downstream;
  facts: RequestFacts | null = null;
  /** What limits count a session by that was seen to log in; null for every other. */
  sessionKey: string | null = null;
  /** Whose numbers of tunnels this exchange counts for, from its admission on; empty: it is none. */
  tunnelKeys: readonly string[] = [];
  /** What is called at this path; null: no RPC route. */
  apiPath: ApiPath | null = null;
  /** What the section `api:` allows this client; null: there is no section, or it is no RPC route. */
  api: ApiRules | null = null;
  /** The RPC call in the body, where it has to be read. */
  call: RpcEnvelope | null = null;
  /** Reads from the answer how a log-in ended; null: nothing is tried. */
  watch: LoginWatch | null = null;
  /** Who tries, for the jail; null: nothing is tried, or nobody who could be banned. */
  attempt: Attempt | null = null;
  /** Hash of the account the attempt is for, by which it is counted; null: not known. */
  account: string | null = null;
  /** Hash of the account's name as Odoo compares it: what a success is good for; null: not known. */
  writtenAccount: string | null = null;
  /** The jail's leave; null where it was not asked. */
  ticket: Ticket | null = null;
  rule = "none";
  verdict = "refuse";
  limit: string | null = null;
  failure: FailureKind | null = null;
  /** Its rule lets other sites show the answer in a frame. */
  isFramedByAny = false;
  /** What another site's script may do here; null: the section `cors:` does not say. */
  crossOrigin: CrossOrigin | null = null;
  /** It calls itself a search engine's crawler, and DNS says that it is none (FAKE_CRAWLERS). */
  isFakeCrawler = false;
  /** Its browser was told what the page will need. */
  isHinted = false;
  /** What the cache was for it; null: it was not asked. */
  cache: CacheWord | null = null;
  status = 0;
  bytesIn = 0;
  bytesOut = 0;
  upstreamMs: number | null = null;
  /** Whose turn it takes when Odoo is busy; null: it was not asked, or nobody has to wait. */
  lane: LaneName | null = null;
  /** Milliseconds it waited for Odoo or one of its workers. */
  queueMs = 0;
  /** What it holds outside itself, given back when it is over; null: nothing. */
  holding: Held | null = null;
  #over = false;
  #cut = false;
  #answered = false;
  readonly #sink: EventSink;
  readonly #clock: Clock;
  readonly #books: Books;

  constructor(id: ExchangeId, plan: Plan, down: Downstream, sink: EventSink, clock: Clock, books: Books) {
    this.id = id;
    this.plan = plan;
    this.down = down;
    this.#sink = sink;
    this.#clock = clock;
    this.#books = books;
    down.attend(this);
  }

  gone(): void {
    this.end(this.#cut ? this.#sentStatus : 499);
  }

  sent(): void {
    this.end(this.status);
  }

  broken(status: number, code: string): void {
    this.#books.broken(this, status, code);
  }

  /** The client left, or an answer of ours is on its way: nothing more is to be done for it. */
  get isOver(): boolean {
    return this.#over || this.#answered;
  }

  /** Never limited and never banned: networks the operator trusts, and Odoo's own PDF maker. */
  isSpared(facts: RequestFacts): boolean {
    return this.down.isReport || this.plan.isTrusted(facts.client);
  }

  /** Sends an answer of ours, with the security fields. `close`: what is unread behind it is not trusted. */
  reply(answer: OwnAnswer, close: boolean): void {
    if (this.isOver) return;
    this.#answered = true;
    this.status = answer.status;
    if (this.down.method !== "HEAD") this.bytesOut += answer.body.length;
    const fields = [...answer.fields, ...this.security().own, ...(this.crossOrigin?.fields ?? [])];
    this.down.answer(answer.status, fields, answer.body, close);
  }

  /** The security fields of this exchange's answer. Where plain HTTP was opened on purpose, HSTS would close it again. */
  security(): SecurityClass {
    const { down, facts, plan, isFramedByAny } = this;
    const client = facts?.client ?? down.peer;
    const { security, framedSecurity } = plan;
    const headers = isFramedByAny ? framedSecurity : security;
    return headers.classFor(facts?.host ?? null, down.secure && !plan.isPointOfSale(client));
  }

  /** Cuts the answer: what went out must not look complete. */
  cut(): void {
    this.#cut = true;
    this.down.cut();
  }

  /** The gateway ends: cut, and written down now, since nobody waits for its connection any more. */
  cutAtEnd(): void {
    this.cut();
    this.end(this.#sentStatus);
  }

  /** 499 as long as nothing was sent: the client has no status. */
  get #sentStatus(): number {
    return this.status === 0 ? 499 : this.status;
  }

  /**
   * It leaves the road as a tunnel, which may stand for days: `take` gets its record so far, and writes it when the tunnel ends. The record's texts are their
   * own, for a piece of a text would keep the whole of it, and nothing of the request is held for as long as the tunnel stands.
   */
  becomeTunnel(take: (record: AccessRecord) => void): void {
    if (this.#over) return;
    this.#over = true;
    this.holding = null;
    const record = this.#record(this.status);
    const { host, target, userAgent } = record;
    take({ ...record, host: flatLatin1(host), target: flatLatin1(target), userAgent: flatLatin1(userAgent) });
    this.#books.ended(this);
  }

  /** Ends the exchange in the books, once. */
  end(status: number): void {
    if (this.#over) return;
    this.#over = true;
    this.holding?.over();
    this.#sink.emit(this.#record(status));
    if (status >= 300 && status !== 304) this.#tellPayment(status);
    this.#books.ended(this);
  }

  /**
   * Who answers for payments hears of each that failed. A browser follows a redirect, and may leave; for a provider both are failures: it
   * got no answer in its time.
   */
  #tellPayment(status: number): void {
    const { id, facts, verdict, rule, failure } = this;
    const path = facts === null ? null : paymentPath(facts.paths);
    if (facts === null || path === null) return;
    if ((status < 400 || status === 499) && path.route !== "webhook") return;
    const { route, provider } = path;
    const client = facts.client.text;
    this.#sink.emit({ type: "payment-failed", id, client, route, provider, status, verdict, rule, failure });
  }

  #record(status: number): AccessRecord {
    const { down, facts, plan } = this;
    return {
      type: "access",
      wallMs: this.#clock.wallMs(),
      id: this.id,
      client: plan.addressShown(facts?.client ?? down.peer),
      peer: plan.addressShown(down.peer),
      protocol: down.protocol,
      method: facts?.method ?? methodAsked(down.method),
      host: facts?.authority ?? hostAsked(down),
      // Another form than a path is refused and may hold a password (`http://user:password@…`).
      target: down.target.startsWith("/") ? redactTarget(down.target) : "-",
      status,
      bytesIn: this.bytesIn,
      bytesOut: this.bytesOut,
      rule: this.rule,
      verdict: this.verdict,
      limit: this.limit,
      failure: this.failure,
      cache: this.cache,
      totalMs: this.#clock.nowMs() - down.arrivedMs,
      upstreamMs: this.upstreamMs,
      lane: this.lane,
      queueMs: this.queueMs,
      userAgent: userAgentOf(down.fields),
    };
  }
}

const methodShape = /^[A-Za-z-]{1,32}$/;
/** Anything else may be `user:password@…`. */
const hostShape = /^[A-Za-z0-9.:_[\]-]{1,255}$/;

/** Of a request that was refused before it was understood. */
function methodAsked(method: string): string {
  return methodShape.test(method) ? method : "-";
}

function hostAsked({ authority, fields }: Downstream): string {
  const host = authority ?? firstField(fields, "host") ?? "";
  return hostShape.test(host) ? host : "-";
}

function userAgentOf(fields: readonly string[]): string {
  for (let i = 0; i < fields.length; i += 2) {
    if (nameIs(fields[i] ?? "", "user-agent")) return fields[i + 1] ?? "";
  }
  return "";
}
