import type { Grant } from "../guard/limiter.ts";
import type { LoginReading } from "../guard/login-outcome.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { FailureKind } from "../observe/events.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import { Relay } from "../relay.ts";
import { mergeSecurity } from "../reply/security.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import { failureAnswer } from "../upstream/failure.ts";
import { UpstreamCall, type UpstreamRequest } from "../upstream/forward.ts";
import { inboundFields } from "../upstream/inbound.ts";
import { type OutboundOptions, outboundFields, outboundHandshakeFields } from "../upstream/outbound.ts";
import type { Pool } from "../upstream/pool.ts";
import type { RequestBody } from "../upstream/request-body.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { LoginStage } from "./login.ts";
import type { GatewayParts } from "./parts.ts";
import type { Tunnels } from "./tunnels.ts";

const noReading: LoginReading = { outcome: "unknown", loggedIn: false };

/** The way to Odoo and back. */
export class Forwarding {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;
  readonly #login: LoginStage;
  readonly #tunnels: Tunnels;

  constructor(parts: GatewayParts, answer: Answering, login: LoginStage, tunnels: Tunnels) {
    this.#parts = parts;
    this.#answer = answer;
    this.#login = login;
    this.#tunnels = tunnels;
  }

  /** upstream: outbound → forward → inbound → reply; or, after 101, the tunnel. */
  forward(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    staging: StagingPass,
    grant: Grant,
    body: RequestBody | null,
  ): void {
    const { pools, clock } = this.#parts;
    const pool = pools[decision.pool];
    const request = this.#outbound(x, facts, decision, staging, body, pool);
    const startedMs = clock.nowMs();
    const { watch } = x;
    const isCall = this.#parts.sessions.wantsCall(facts, x.sessionKey);
    let relay: Relay | null = null;
    let head: AnswerHead | null = null;
    let settled = false;
    const settle = () => {
      if (settled) return;
      settled = true;
      if (head === null) return this.#login.concluded(x, facts, grant, "unknown");
      const reading = watch?.reading ?? noReading;
      this.#parts.sessions.observe(facts, head.status, head.fields, reading.loggedIn);
      if (isCall && watch !== null) this.#parts.sessions.observeCall(facts, head.status, watch.beginning);
      this.#login.concluded(x, facts, grant, reading.outcome);
    };
    const call = new UpstreamCall(pool, request, {
      head: (got) => {
        head = got;
        x.upstreamMs = clock.nowMs() - startedMs;
        if (got.status === 101) return;
        watch?.head(got.status, got.fields);
        if (watch?.wantsBody !== true) settle();
        relay = this.#relay(x, facts, got, staging, call);
      },
      data: (chunk) => {
        x.bytesOut += chunk.length;
        watch?.data(chunk);
        relay?.data(chunk);
      },
      end: () => {
        settle();
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
    });
    x.onOver = () => {
      // Whatever the reason, an exchange that is over holds nothing: no socket, no file, no point.
      if (x.verdict !== "tunnel") call.abort();
      relay?.close();
      body?.release();
      // Who hangs up early has read what was sent so far: so have we.
      settle();
    };
    if (x.isOver) x.onOver();
    else call.start();
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
    call: UpstreamCall,
  ): Relay {
    const length = facts.method === "HEAD" ? firstField(head.fields, "content-length") : null;
    const cleaned = inboundFields(head.fields, facts, {
      authorityOf: x.plan.authorityOf,
      sessionCookie: (x.down.isReport ? x.plan.reportSite : x.plan.site).sessionCookie,
      cookieOverPlain: x.down.isReport || x.plan.isPointOfSale(facts.client),
      staysHere: x.down.isReport,
      headLength: length === null ? null : Number(length),
    });
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
    return new Relay({ down: x.down, flow: call, spool, cut: () => x.cut() }, head, out);
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
