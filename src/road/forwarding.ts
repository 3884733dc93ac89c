import type { Grant } from "../guard/limiter.ts";
import type { LoginReading } from "../guard/login-outcome.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { FailureKind } from "../observe/events.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import { Relay, type RelayEnds } from "../relay.ts";
import { encodedFields, encodersMax, mayEncode, passingCoding } from "../reply/encode.ts";
import { mergeSecurity } from "../reply/security.ts";
import { type TracebackMask, tracebackMask } from "../reply/traceback-mask.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerFlow } from "../upstream/answer-buffer.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import { failureAnswer } from "../upstream/failure.ts";
import { UpstreamCall, type UpstreamListener, type UpstreamRequest } from "../upstream/forward.ts";
import { inboundFields } from "../upstream/inbound.ts";
import { type OutboundOptions, outboundFields, outboundHandshakeFields } from "../upstream/outbound.ts";
import type { Pool } from "../upstream/pool.ts";
import type { RequestBody } from "../upstream/request-body.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { AdoptedAnswer } from "./files.ts";
import type { LoginStage } from "./login.ts";
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
  readonly #login: LoginStage;
  readonly #tunnels: Tunnels;
  /** Answers that are compressed as they pass at the moment. */
  #encoding = 0;

  constructor(parts: GatewayParts, answer: Answering, login: LoginStage, tunnels: Tunnels) {
    this.#parts = parts;
    this.#answer = answer;
    this.#login = login;
    this.#tunnels = tunnels;
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
    const { pools, clock } = this.#parts;
    const pool = pools[decision.pool];
    const request = this.#outbound(x, facts, decision, staging, body, pool);
    const startedMs = clock.nowMs();
    const { watch } = x;
    const isCall = this.#parts.sessions.wantsCall(facts, x.sessionKey);
    let relay: Relay | null = null;
    let mask: TracebackMask | null = null;
    let head: AnswerHead | null = null;
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
    const listener: UpstreamListener = {
      head: (got) => {
        head = got;
        if (adopted === null) x.upstreamMs = clock.nowMs() - startedMs;
        if (got.status === 101) return;
        watch?.head(got.status, got.fields);
        if (watch?.wantsBody !== true) settle();
        mask = this.#mask(x, facts, got);
        if (mask === null) relay = this.#relay(x, facts, got, staging, call);
      },
      data: (chunk) => {
        watch?.data(chunk);
        if (mask === null || head === null) return void relay?.data(chunk);
        const passed = mask.push(chunk);
        if (passed === null) return;
        mask = null;
        const through = this.#relay(x, facts, head, staging, call);
        relay = through;
        for (const piece of passed) through.data(piece);
      },
      end: () => {
        settle();
        if (mask !== null && head !== null) {
          const body = mask.end();
          relay = this.#relay(x, facts, rewrittenHead(head, body.length), staging, call);
          if (body.length > 0) relay.data(body);
        }
        relay?.finish();
      },
      tunnel: (socket, rest) => {
        settled = true;
        grant.settle("unknown");
        if (head !== null && !this.#tunnels.open(x, facts, staging, head, socket, rest))
          this.#failed(x, decision, "answer-malformed", "101 without a valid Sec-WebSocket-Accept", null);
      },
      failure: (kind, detail) => {
        // Only an attempt that never reached Odoo gives its point back: a guess that made Odoo fail was a guess.
        if (head === null) grant.settle(kind.startsWith("connect-") ? "unsent" : "unknown");
        else settle();
        this.#failed(x, decision, kind, detail, relay);
      },
    };
    const { call, begin } = adopted === null ? ask(pool, request, listener) : takeOver(adopted, listener);
    x.onOver = () => {
      // Whatever the reason, an exchange that is over holds nothing: no socket, no file, no point.
      if (x.verdict !== "tunnel") call.abort();
      relay?.close();
      body?.release();
      // Who hangs up early has read what was sent so far: so have we.
      settle();
    };
    if (x.isOver) x.onOver();
    else begin();
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
    pool: Pool,
  ): UpstreamRequest {
    const options: OutboundOptions = {
      exchangeId: x.id,
      bodyBytes: body === null ? null : body.bytes,
      keepAlive: pool.keepAlive,
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
  ): Relay {
    const length = facts.method === "HEAD" ? firstField(head.fields, "content-length") : null;
    const headLength = length === null ? null : Number(length);
    const inbound = inboundFields(head.fields, facts, {
      authorityOf: x.plan.authorityOf,
      sessionCookie: (x.down.isReport ? x.plan.reportSite : x.plan.site).sessionCookie,
      cookieOverPlain: x.down.isReport || x.plan.isPointOfSale(facts.client),
      staysHere: x.down.isReport,
      headLength,
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

  /** The upstream leg failed: a page when nothing went out yet, else a cut. */
  #failed(
    x: RunningExchange,
    decision: ForwardDecision,
    kind: FailureKind,
    detail: string,
    relay: Relay | null,
  ): void {
    x.failure = kind;
    const { pool } = decision;
    const member = this.#parts.pools[pool].member.name;
    this.#parts.sink.emit({ type: "upstream-failed", id: x.id, failure: kind, member, detail });
    if (kind === "connect-refused") this.#parts.onUnreachable(pool);
    if (relay?.hasStarted === true) {
      relay.close();
      return x.cut();
    }
    const answer = failureAnswer(kind);
    this.#answer.error(x, answer.status, answer.sentence, { retryAfterSeconds: answer.retryAfterSeconds });
  }
}

interface Asked {
  readonly call: AnswerFlow & { abort(): void };
  begin(): void;
}

function ask(pool: Pool, request: UpstreamRequest, listener: UpstreamListener): Asked {
  const call = new UpstreamCall(pool, request, listener);
  return { call, begin: () => call.start() };
}

function takeOver({ call, listen }: AdoptedAnswer, listener: UpstreamListener): Asked {
  return { call, begin: () => listen(listener) };
}
