import type { Grant } from "../guard/limiter.ts";
import type { LoginReading } from "../guard/login-outcome.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { wantsHtml } from "../message/json-caller.ts";
import type { FailureKind } from "../observe/events.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import { Relay, type RelayEnds } from "../relay.ts";
import { encodedFields, encodersMax, mayEncode, passingCoding } from "../reply/encode.ts";
import { mergeSecurity } from "../reply/security.ts";
import { type TracebackMask, tracebackMask } from "../reply/traceback-mask.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerFlow } from "../upstream/answer-buffer.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import { Delivery, type DeliveryListener, type Parcel } from "../upstream/delivery.ts";
import type { UpstreamRequest } from "../upstream/forward.ts";
import { inboundFields } from "../upstream/inbound.ts";
import { laneOf } from "../upstream/lane-of.ts";
import { type OutboundOptions, outboundFields, outboundHandshakeFields } from "../upstream/outbound.ts";
import type { RequestBody } from "../upstream/request-body.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { Databases } from "./databases.ts";
import type { AdoptedAnswer } from "./files.ts";
import { GuessGate } from "./guess-gate.ts";
import type { LoginStage } from "./login.ts";
import { NoAnswer } from "./no-answer.ts";
import type { GatewayParts } from "./parts.ts";
import type { Tunnels } from "./tunnels.ts";

const noReading: LoginReading = { outcome: "unknown", loggedIn: false };

/** The head of an answer whose body is another one now. */
function rewrittenHead(head: AnswerHead, bytes: number): AnswerHead {
  return { ...head, framing: { kind: "length", bytes } };
}

/** The way to Odoo and back. */
export class Forwarding {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;
  readonly #databases: Databases;
  readonly #login: LoginStage;
  readonly #tunnels: Tunnels;
  readonly #noAnswer: NoAnswer;
  /** Answers that are compressed as they pass at the moment. */
  #encoding = 0;

  constructor(
    parts: GatewayParts,
    answer: Answering,
    databases: Databases,
    login: LoginStage,
    tunnels: Tunnels,
  ) {
    this.#parts = parts;
    this.#answer = answer;
    this.#databases = databases;
    this.#login = login;
    this.#tunnels = tunnels;
    this.#noAnswer = new NoAnswer(parts.sink, answer);
  }

  /**
   * upstream: outbound → forward → inbound → reply; or, after 101, the tunnel. `adopted`: Odoo was asked already, for a file that turned
   * out to be this client's own affair.
   */
  forward(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    staging: StagingPass,
    grant: Grant,
    body: RequestBody | null,
    adopted: AdoptedAnswer | null,
  ): void {
    const { ways, clock } = this.#parts;
    const way = ways[decision.pool];
    const { watch } = x;
    const parcel: Parcel = {
      request: this.#outbound(x, facts, decision, staging, body, way.pool.keepAlive),
      lane:
        way.lanes === null
          ? null
          : laneOf(facts, watch?.isAttempt === true && !watch.isEachCall, x.sessionKey !== null),
      mayWait: true,
      sessionId: facts.sessionId,
    };
    x.lane = parcel.lane;
    const isCall = this.#parts.sessions.wantsCall(facts, x.sessionKey);
    let relay: Relay | null = null;
    let mask: TracebackMask | null = null;
    let head: AnswerHead | null = null;
    let location: string | null = null;
    let settled = false;
    const settle = () => {
      if (settled) return;
      settled = true;
      if (head === null) return this.#login.concluded(x, facts, grant, "unknown", []);
      const reading = watch?.reading ?? noReading;
      this.#parts.sessions.observe(facts, head.status, head.fields, reading.loggedIn);
      if (isCall && watch !== null) this.#parts.sessions.observeCall(facts, head.status, watch.beginning);
      this.#login.concluded(x, facts, grant, reading.outcome, head.fields);
    };
    const gate = this.#gate(x, facts, () => call);
    const begin = (got: AnswerHead) => {
      location = this.#databases.instead(x, facts, got);
      if (location === "missing") return;
      mask = this.#mask(x, facts, got);
      if (mask === null) relay = this.#relay(x, facts, got, staging, call, location);
    };
    const pass = (chunk: Buffer) => {
      if (mask === null || head === null) return void relay?.data(chunk);
      const passed = mask.push(chunk);
      if (passed === null) return;
      mask = null;
      const through = this.#relay(x, facts, head, staging, call, location);
      relay = through;
      for (const piece of passed) through.data(piece);
    };
    const finish = () => {
      if (mask !== null && head !== null) {
        const body = mask.end();
        relay = this.#relay(x, facts, rewrittenHead(head, body.length), staging, call, location);
        if (body.length > 0) relay.data(body);
      }
      relay?.finish();
    };
    const listener: DeliveryListener = {
      head: (got) => {
        head = got;
        if (own !== null) x.upstreamMs = clock.nowMs() - own.sentMs;
        if (got.status === 101) return;
        watch?.head(got.status, got.fields);
        if (watch?.wantsBody !== true) settle();
        if (gate === null) return begin(got);
        gate.keep(() => begin(got));
        if (settled) gate.judge();
      },
      data: (chunk) => {
        watch?.data(chunk);
        if (gate?.isHolding !== true) return pass(chunk);
        gate.keep(() => pass(chunk));
        if (watch?.hasSeenAll !== true) return;
        settle();
        gate.judge();
      },
      end: () => {
        settle();
        if (gate?.isHolding !== true) return finish();
        gate.keep(finish);
        gate.judge();
      },
      tunnel: (socket, rest) => {
        settled = true;
        grant.settle("unknown");
        if (head !== null && !this.#tunnels.open(x, facts, staging, head, socket, rest)) {
          const detail = "101 without a valid Sec-WebSocket-Accept";
          this.#noAnswer.tryFailed(x, "answer-malformed", detail, own?.memberName ?? "");
          this.#noAnswer.failed(x, facts, "answer-malformed", null);
        }
      },
      tryFailed: (kind, detail, member) => this.#noAnswer.tryFailed(x, kind, detail, member),
      shed: (shed) => {
        grant.settle("unsent");
        this.#noAnswer.shed(x, facts, shed, own?.waitedMs ?? 0);
      },
      failure: (kind) => {
        // Only an attempt that never reached Odoo gives its point back: a guess that made Odoo fail was a guess.
        if (head === null) grant.settle(kind.startsWith("connect-") ? "unsent" : "unknown");
        else settle();
        gate?.drop();
        this.#noAnswer.failed(x, facts, kind, relay);
      },
    };
    /** Of an answer that was taken over: its one failure is told here. */
    const failedForAll = (kind: FailureKind, detail: string) => {
      listener.tryFailed(kind, detail, way.pool.member.name);
      listener.failure(kind);
    };
    const own = adopted === null ? new Delivery(way, parcel, listener) : null;
    const call: AnswerFlow & { abort(): void } = own ?? adopted?.call ?? noCall;
    x.onOver = () => {
      // Whatever the reason, an exchange that is over holds nothing: no socket, no file, no point.
      if (own !== null) x.queueMs = own.waitedMs;
      call.abort();
      relay?.close();
      body?.release();
      // Who hangs up early has read what was sent so far: so have we.
      settle();
    };
    if (x.isOver) x.onOver();
    else if (own !== null) own.start();
    else adopted?.listen({ ...listener, failure: failedForAll });
  }

  /** guard/jail: the answer to a browser's attempt to log in waits until it is known whether a ban holds now; null: it does not wait. */
  #gate(x: RunningExchange, facts: RequestFacts, flow: () => AnswerFlow): GuessGate | null {
    const { attempt } = x;
    if (attempt === null || x.ticket === null || facts.method !== "POST" || !wantsHtml(facts)) return null;
    return new GuessGate({
      flow,
      banNow: () => this.#parts.jail.banAfter(attempt.address),
      banned: (ban) => this.#answer.banned(x, ban),
      isOver: () => x.isOver,
    });
  }

  /** reply/traceback-mask: strangers learn no paths, versions and queries from errors. */
  #mask(x: RunningExchange, facts: RequestFacts, head: AnswerHead): TracebackMask | null {
    if (head.framing.kind === "none" || !x.plan.masksTracebacks(facts.client)) return null;
    return tracebackMask(head.status, head.fields, x.id);
  }

  #outbound(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    staging: StagingPass,
    body: RequestBody | null,
    keepAlive: boolean,
  ): UpstreamRequest {
    const options: OutboundOptions = {
      exchangeId: x.id,
      bodyBytes: body === null ? null : body.bytes,
      keepAlive,
      keepDatabaseField: x.plan.mayChooseDatabase(facts.client),
      sessionCookie: (x.down.isReport ? x.plan.reportSite : x.plan.site).sessionCookie,
      ownCookie: x.plan.ownCookie,
      dropAuthorization: staging.dropAuthorization,
      identityOnly: x.plan.settings.compression,
    };
    const wantsTunnel = facts.upgrade !== null;
    return {
      method: facts.method,
      target: facts.target,
      fields: wantsTunnel ? outboundHandshakeFields(facts, options) : outboundFields(facts, options),
      body,
      answerTimeoutMs: decision.answerTimeoutMs,
      wantsTunnel,
    };
  }

  /** inbound and reply: Odoo's head for the client, and a relay so that the client's pace is not Odoo's. */
  #relay(
    x: RunningExchange,
    facts: RequestFacts,
    head: AnswerHead,
    staging: StagingPass,
    call: AnswerFlow,
    location: string | null,
  ): Relay {
    const length = facts.method === "HEAD" ? firstField(head.fields, "content-length") : null;
    const headLength = length === null ? null : Number(length);
    const inbound = inboundFields(head.fields, facts, {
      authorityOf: x.plan.authorityOf,
      sessionCookie: (x.down.isReport ? x.plan.reportSite : x.plan.site).sessionCookie,
      cookieOverPlain: x.down.isReport || x.plan.isPointOfSale(facts.client),
      staysHere: x.down.isReport,
      headLength,
      location,
    });
    const bytes = head.framing.kind === "length" ? head.framing.bytes : headLength;
    const codes =
      x.plan.settings.compression &&
      mayEncode(facts, { status: head.status, fields: head.fields, bytes }, x.watch?.isAttempt === true);
    const coding = codes && this.#encoding < encodersMax ? passingCoding(facts) : null;
    const cleaned = codes ? encodedFields(inbound, coding) : inbound;
    const out: string[] = [];
    mergeSecurity(x.security(), cleaned, out);
    if (staging.setCookie !== null) out.push("Set-Cookie", staging.setCookie);
    if (facts.secure && x.plan.jailRules !== null && x.account !== null && x.watch?.door === "form") {
      const { outcome } = x.watch.reading;
      if (outcome === "success" || outcome === "pending")
        out.push("Set-Cookie", this.#parts.devices.issue(x.account));
    }
    x.status = head.status;
    const { spool } = this.#parts;
    const ends: RelayEnds = {
      down: x.down,
      flow: call,
      spool,
      cut: () => x.cut(),
      sent: (bytes) => {
        x.bytesOut += bytes;
      },
      encoding: () => {
        this.#encoding += 1;
        return () => {
          this.#encoding -= 1;
        };
      },
    };
    return new Relay(ends, head, out, coding);
  }
}

const noCall = { pause() {}, resume() {}, abort() {} };
