import type { Socket } from "node:net";
import type { Downstream } from "../exchange.ts";
import type { Grant } from "../guard/limiter.ts";
import type { LoginReading } from "../guard/login-outcome.ts";
import type { Coding } from "../message/accept-encoding.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { FailureKind } from "../observe/events.ts";
import { Relay, type RelayEnds } from "../relay.ts";
import { withoutCors } from "../reply/cors.ts";
import { encodedFields, encodersMax, mayEncode, passingCoding } from "../reply/encode.ts";
import { lastingFields } from "../reply/lasting.ts";
import type { PageHead } from "../reply/page-files.ts";
import { mergeSecurity } from "../reply/security.ts";
import { type TracebackMask, tracebackMask } from "../reply/traceback-mask.ts";
import type { Held, RunningExchange } from "../running.ts";
import type { AnswerFlow } from "../upstream/answer-buffer.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import type { Counted, Delivery, DeliveryListener } from "../upstream/delivery.ts";
import { inboundFields } from "../upstream/inbound.ts";
import type { Shed } from "../upstream/lanes.ts";
import type { RequestBody } from "../upstream/request-body.ts";
import type { Spool } from "../upstream/spool.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { Databases } from "./databases.ts";
import type { EarlyHints } from "./early-hints.ts";
import type { AdoptedAnswer } from "./files.ts";
import { type GuessGate, guessGate } from "./guess-gate.ts";
import type { LoginStage } from "./login.ts";
import type { NoAnswer } from "./no-answer.ts";
import type { GatewayParts } from "./parts.ts";
import { spoolOwner } from "./spool-owner.ts";
import type { Tunnels } from "./tunnels.ts";

/** What every passage needs. */
export interface PassageParts {
  readonly parts: GatewayParts;
  readonly answer: Answering;
  readonly noAnswer: NoAnswer;
  readonly databases: Databases;
  readonly login: LoginStage;
  readonly tunnels: Tunnels;
  readonly hints: EarlyHints;
  /** Answers that are compressed as they pass at the moment. */
  readonly encoding: { count: number };
}

const noReading: LoginReading = { outcome: "unknown", loggedIn: false };

/** One request that is with Odoo: hears its answer, watches it, and hands it to the client. */
export class Passage implements DeliveryListener, RelayEnds, Held {
  readonly #more: PassageParts;
  readonly #x: RunningExchange;
  readonly #facts: RequestFacts;
  readonly #staging: StagingPass;
  readonly #grant: Grant;
  readonly #body: RequestBody | null;
  readonly #isCall: boolean;
  readonly #gate: GuessGate | null;
  #own: Delivery | null = null;
  #call: (AnswerFlow & { abort(): void }) | null = null;
  #head: AnswerHead | null = null;
  #mask: TracebackMask | null = null;
  #relay: Relay | null = null;
  /** A page whose bundles are to be known; null: it is none, or they are. */
  #page: PageHead | null = null;
  /** Its head waits for its first bytes: what they name is told before. */
  #waits = false;
  /** Odoo's redirect leads there instead; null: where it says. */
  #location: string | null = null;
  #settled = false;
  /** Its client is gone, and it goes on without one. */
  #isAlone = false;

  constructor(
    more: PassageParts,
    x: RunningExchange,
    facts: RequestFacts,
    staging: StagingPass,
    grant: Grant,
    body: RequestBody | null,
  ) {
    this.#more = more;
    this.#x = x;
    this.#facts = facts;
    this.#staging = staging;
    this.#grant = grant;
    this.#body = body;
    this.#isCall = more.parts.sessions.wantsCall(facts, x.sessionKey);
    this.#gate = guessGate(x, facts, more, this);
  }

  send(delivery: Delivery): void {
    this.#own = delivery;
    this.#call = delivery;
    this.#x.holding = this;
    if (this.#x.isOver) this.over();
    else delivery.start();
  }

  /** Takes over an answer that has begun. */
  adopt(adopted: AdoptedAnswer, memberName: string): void {
    this.#call = adopted.call;
    this.#x.holding = this;
    if (this.#x.isOver) return this.over();
    adopted.listen({
      head: (head) => this.head(head),
      data: (chunk) => this.data(chunk),
      end: () => this.end(),
      failure: (kind, detail) => {
        // Its one failure is told here.
        this.tryFailed(kind, detail, memberName);
        this.failure(kind);
      },
    });
  }

  /**
   * Whatever the reason, an exchange that is over holds nothing: no socket, no file, no point. But Odoo does not notice that a client hangs up: its worker is busy until it
   * answers, and so long the place of it is kept. An attempt to log in is seen to its end: who hung up can see by his session how it ended.
   */
  over(): void {
    if (this.#own !== null) this.#x.queueMs = this.#own.waitedMs;
    this.#noteUnanswered(this.#x.failure);
    this.#relay?.close();
    this.#gate?.drop();
    const isWorkedOn = this.#head === null && this.#own?.hasWorker === true;
    this.#isAlone = this.#own?.isSent === true && (isWorkedOn || this.#isTried);
    if (this.#isAlone) this.resume();
    else this.#letGo();
  }

  /** The time until now was Odoo's, although not a byte of an answer came. */
  #noteUnanswered(failure: FailureKind | null): void {
    if (this.#own !== null && this.#head === null) this.#x.upstreamMs ??= this.#own.askedMs(failure);
  }

  /** An attempt to log in of which it is not known yet how it ended. */
  get #isTried(): boolean {
    return !this.#settled && this.#x.ticket !== null;
  }

  #letGo(): void {
    this.#call?.abort();
    this.#body?.release();
    // Who hangs up early has read what was sent so far: so have we.
    this.#settle();
  }

  head(head: AnswerHead): void {
    const x = this.#x;
    this.#head = head;
    if (this.#own !== null) x.upstreamMs = this.#own.answeredAfterMs;
    if (head.status === 101) return;
    this.#page = this.#more.hints.watch(x, this.#facts, head);
    x.watch?.head(head.status, head.fields);
    if (x.watch?.wantsBody !== true) this.#settle();
    // A worker that finds nobody to take its answer is free.
    if (this.#isAlone) return this.#isTried ? undefined : this.#letGo();
    const gate = this.#gate;
    if (gate === null) {
      this.#waits = this.#page !== null && this.#more.hints.waits(x, this.#facts);
      return this.#waits ? undefined : this.#begin(head);
    }
    gate.keep(() => this.#begin(head));
    if (this.#settled) gate.judge();
  }

  data(chunk: Buffer): void {
    const { watch } = this.#x;
    watch?.data(chunk);
    if (this.#isAlone) return watch?.hasSeenAll === true ? this.#letGo() : undefined;
    if (this.#page !== null) this.#look(this.#page, chunk);
    const gate = this.#gate;
    if (gate?.isHolding !== true) return this.#pass(chunk);
    gate.keep(() => this.#pass(chunk));
    if (watch?.hasSeenAll !== true) return;
    this.#settle();
    gate.judge();
  }

  end(): void {
    this.#settle();
    if (this.#isAlone) return this.#letGo();
    if (this.#page !== null) this.#learn(this.#page);
    // An empty page.
    if (this.#waits) this.#beginLate();
    const gate = this.#gate;
    if (gate?.isHolding !== true) return this.#finish();
    gate.keep(() => this.#finish());
    gate.judge();
  }

  #look(page: PageHead, chunk: Buffer): void {
    page.data(chunk);
    if (this.#waits) {
      this.#more.hints.tellOf(this.#x, page);
      this.#beginLate();
    }
    if (page.isOver) this.#learn(page);
  }

  #learn(page: PageHead): void {
    this.#page = null;
    this.#more.hints.learn(this.#x, this.#facts, page);
  }

  #beginLate(): void {
    this.#waits = false;
    if (this.#head !== null) this.#begin(this.#head);
  }

  tunnel(socket: Socket, rest: Buffer, member: Counted): void {
    this.#settled = true;
    this.#grant.settle("unknown");
    const x = this.#x;
    const head = this.#head;
    if (this.#own !== null) x.queueMs = this.#own.waitedMs;
    if (head === null || this.#more.tunnels.open(x, this.#facts, this.#staging, head, socket, rest, member))
      return this.#body?.release();
    const detail = "101 without a valid Sec-WebSocket-Accept";
    this.tryFailed("answer-malformed", detail, this.#own?.memberName ?? "");
    this.#failed("answer-malformed");
  }

  tryFailed(failure: FailureKind, detail: string, member: string): void {
    this.#more.noAnswer.tryFailed(this.#x, failure, detail, member);
  }

  failure(kind: FailureKind): void {
    this.#noteUnanswered(kind);
    // Only an attempt that never reached Odoo gives its point back: a guess that made Odoo fail was a guess.
    if (this.#head === null) this.#grant.settle(kind.startsWith("connect-") ? "unsent" : "unknown");
    else this.#settle();
    if (this.#isAlone) return this.#letGo();
    this.#gate?.drop();
    this.#failed(kind);
  }

  /** Odoo has no worker for it, and others came first. */
  shed(shed: Shed): void {
    this.#grant.settle("unsent");
    this.#more.noAnswer.shed(this.#x, this.#facts, shed, this.#own?.waitedMs ?? 0);
  }

  get down(): Downstream {
    return this.#x.down;
  }

  get spool(): Pick<Spool, "create"> {
    const { spool } = this.#more.parts;
    return { create: () => spool.create(spoolOwner(this.#x, this.#facts)) };
  }

  pause(): void {
    this.#call?.pause();
  }

  resume(): void {
    this.#call?.resume();
  }

  cut(): void {
    this.#x.cut();
  }

  sent(bytes: number): void {
    this.#x.bytesOut += bytes;
  }

  encoding(): () => void {
    const { encoding } = this.#more;
    encoding.count += 1;
    return () => {
      encoding.count -= 1;
    };
  }

  /** Tells how an attempt to log in ended, and what the answer says about the session, once. */
  #settle(): void {
    if (this.#settled) return;
    this.#settled = true;
    const head = this.#head;
    const { login, parts } = this.#more;
    if (head === null) return login.concluded(this.#x, this.#facts, this.#grant, "unknown", []);
    const { watch } = this.#x;
    const reading = watch?.reading ?? noReading;
    parts.sessions.observe(this.#facts, head.status, head.fields, reading.loggedIn);
    if (this.#isCall && watch !== null) parts.sessions.observeCall(this.#facts, head.status, watch.beginning);
    login.concluded(this.#x, this.#facts, this.#grant, reading.outcome, head.fields);
  }

  /** The answer may go out. */
  #begin(head: AnswerHead): void {
    this.#location = this.#more.databases.instead(this.#x, this.#facts, head);
    if (this.#location === "missing") return;
    this.#mask = this.#maskFor(head);
    if (this.#mask === null) this.#relay = this.#relayOf(head);
  }

  #pass(chunk: Buffer): void {
    if (this.#mask === null || this.#head === null) return void this.#relay?.data(chunk);
    const passed = this.#mask.push(chunk);
    if (passed === null) return;
    this.#mask = null;
    const through = this.#relayOf(this.#head);
    this.#relay = through;
    for (const piece of passed) through.data(piece);
  }

  #finish(): void {
    if (this.#mask !== null && this.#head !== null) {
      const body = this.#mask.end();
      this.#relay = this.#relayOf(rewrittenHead(this.#head, body.length));
      if (body.length > 0) this.#relay.data(body);
    }
    this.#relay?.finish();
  }

  /** reply/traceback-mask: strangers learn no paths, versions and queries from errors. */
  #maskFor(head: AnswerHead): TracebackMask | null {
    const x = this.#x;
    if (head.framing.kind === "none" || !x.plan.masksTracebacks(this.#facts.client)) return null;
    return tracebackMask(head.status, head.fields, x.id);
  }

  /** inbound and reply: Odoo's head for the client, and a relay so that the client's pace is not Odoo's. */
  #relayOf(head: AnswerHead): Relay {
    const x = this.#x;
    const facts = this.#facts;
    const { encoding } = this.#more;
    const length = facts.method === "HEAD" ? firstField(head.fields, "content-length") : null;
    const headLength = length === null ? null : Number(length);
    const { status, fields, likeness } = head;
    const bytes = head.framing.kind === "length" ? head.framing.bytes : headLength;
    const isAttempt = x.watch?.isAttempt === true;
    const codes =
      x.plan.settings.compression &&
      mayEncode(facts, { status, fields, bytes, likeness: likeness ?? null }, isAttempt);
    const coding = codes && encoding.count < encodersMax ? passingCoding(facts) : null;
    const own = this.#ownCookies();
    // A head without cookies and redirects becomes the same for every client.
    const lasts =
      likeness != null &&
      own === null &&
      headLength === null &&
      this.#location === null &&
      x.crossOrigin === null;
    const out = lasts
      ? lastingFields(likeness, x.security(), codes ? (coding ?? "none") : null, () =>
          this.#fieldsOf(head, codes, coding, headLength),
        )
      : this.#fieldsOf(head, codes, coding, headLength);
    x.status = status;
    const links = this.#page === null ? [] : this.#more.hints.links(x, facts);
    return new Relay(
      this,
      head,
      own === null && links.length === 0 ? out : [...out, ...links, ...(own ?? [])],
      coding,
    );
  }

  #fieldsOf(head: AnswerHead, codes: boolean, coding: Coding | null, headLength: number | null): string[] {
    const x = this.#x;
    const inbound = inboundFields(head.fields, this.#facts, {
      authorityOf: x.plan.authorityOf,
      sessionCookie: (x.down.isReport ? x.plan.reportSite : x.plan.site).sessionCookie,
      cookieOverPlain: x.down.isReport || x.plan.isPointOfSale(this.#facts.client),
      staysHere: x.down.isReport,
      headLength,
      location: this.#location,
    });
    const out: string[] = [];
    mergeSecurity(x.security(), codes ? encodedFields(inbound, coding) : inbound, out);
    return x.crossOrigin === null ? out : [...withoutCors(out), ...x.crossOrigin.fields];
  }

  /** Set-Cookie lines of ours; null: none. */
  #ownCookies(): string[] | null {
    const x = this.#x;
    const { setCookie } = this.#staging;
    const own = setCookie === null ? [] : ["Set-Cookie", setCookie];
    const account = x.writtenAccount;
    if (this.#facts.secure && x.plan.jailRules !== null && account !== null && x.watch?.door === "form") {
      const { outcome } = x.watch.reading;
      if (outcome === "success" || outcome === "pending")
        own.push("Set-Cookie", this.#more.parts.devices.issue(account));
    }
    return own.length === 0 ? null : own;
  }

  #failed(kind: FailureKind): void {
    this.#more.noAnswer.failed(this.#x, this.#facts, kind, this.#relay);
  }
}

/** The head of an answer whose body is another one now. */
function rewrittenHead(head: AnswerHead, bytes: number): AnswerHead {
  return { ...head, framing: { kind: "length", bytes } };
}
