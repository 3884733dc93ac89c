/**
 * READ THIS FIRST. One exchange from arrival to record, stage by stage, in the order of docs/exchange.md.
 * Each stage goes on or finishes the answer; what is decided is decided by the rooms it calls.
 */
import { randomBytes } from "node:crypto";
import type { Socket } from "node:net";
import type { ExchangeId } from "./base/brands.ts";
import type { Clock } from "./base/clock.ts";
import { ipKey64 } from "./base/ip.ts";
import { unreachable } from "./base/result.ts";
import type { Downstream } from "./exchange.ts";
import { accountName } from "./guard/account-name.ts";
import type { Ban } from "./guard/ban-table.ts";
import type { DeviceCookies } from "./guard/device-cookie.ts";
import type { Jail } from "./guard/jail.ts";
import type { Grant, Limiter } from "./guard/limiter.ts";
import type { LoginReading } from "./guard/login-outcome.ts";
import { watchLogin } from "./guard/login-watch.ts";
import { EnvelopeReader, envelopeRefusalText } from "./guard/rpc-envelope.ts";
import type { KnownSessions } from "./guard/sessions.ts";
import { doctypeReason, hasDoctype } from "./guard/xml.ts";
import type { RequestFacts } from "./message/facts.ts";
import { firstField } from "./message/fields.ts";
import { acceptFor, originAllowed } from "./message/handshake.ts";
import { redactTarget } from "./message/redact.ts";
import { screen } from "./message/screen.ts";
import type { EventSink, FailureKind } from "./observe/events.ts";
import type { Plan } from "./plan.ts";
import { decide } from "./policy/decide.ts";
import type { Decision, ForwardDecision } from "./policy/decision.ts";
import { Relay } from "./relay.ts";
import { errorAnswer } from "./reply/pages.ts";
import { redirectAnswer } from "./reply/redirects.ts";
import { mergeSecurity } from "./reply/security.ts";
import { xmlFaultAnswer } from "./reply/xml-fault.ts";
import { RunningExchange } from "./running.ts";
import type { Challenges } from "./tls/challenges.ts";
import type { AnswerHead } from "./upstream/answer-reader.ts";
import { failureAnswer } from "./upstream/failure.ts";
import { UpstreamCall, type UpstreamRequest } from "./upstream/forward.ts";
import { inboundFields, inboundHandshakeFields } from "./upstream/inbound.ts";
import { type OutboundOptions, outboundFields, outboundHandshakeFields } from "./upstream/outbound.ts";
import type { Pool } from "./upstream/pool.ts";
import { type BodyTrouble, collectBody, eachPiece, type RequestBody } from "./upstream/request-body.ts";
import type { Spool } from "./upstream/spool.ts";
import { Tunnel } from "./upstream/tunnel.ts";

export interface GatewayParts {
  readonly plan: () => Plan;
  readonly pools: { readonly web: Pool; readonly bus: Pool };
  readonly limiter: Limiter;
  readonly sessions: KnownSessions;
  readonly challenges: Pick<Challenges, "httpAnswer">;
  readonly jail: Jail;
  readonly devices: DeviceCookies;
  /** Turns an account's name into what counts and logs may hold. */
  readonly hashAccount: (name: string) => string;
  readonly spool: Spool;
  readonly sink: EventSink;
  readonly clock: Clock;
  /** Called when a pool's member refused a connection: the bus watch looks again. */
  readonly onUnreachable: (pool: "web" | "bus") => void;
}

/** What staging asks of the rest of the road. */
interface StagingPass {
  readonly setCookie: string | null;
  readonly dropAuthorization: boolean;
}

const noStaging: StagingPass = { setCookie: null, dropAuthorization: false };
const noReading: LoginReading = { outcome: "unknown", loggedIn: false };

export class Gateway {
  readonly #parts: GatewayParts;
  readonly #running = new Set<RunningExchange>();
  readonly #tunnels = new Set<Tunnel>();
  readonly #tunnelsByClient = new Map<string, number>();
  readonly #idPrefix = randomBytes(5).toString("hex");
  #idNext = 0;
  #draining = false;
  #onIdle: (() => void) | null = null;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
  }

  get exchanges(): number {
    return this.#running.size;
  }

  get tunnels(): number {
    return this.#tunnels.size;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** Takes one exchange from the edge. Never throws; every exchange ends in one access record. */
  handle(down: Downstream): void {
    const { plan, sink, clock } = this.#parts;
    const x = new RunningExchange(this.newId(), plan(), down, sink, clock, (ended) => this.#ended(ended));
    this.#running.add(x);
    down.onBroken((status, code) => this.#refuse(x, status, code, "The request's body could not be read."));
    this.#travel(x).catch((error: unknown) => this.#ourMistake(x, error));
  }

  /** An id for an exchange, unique over restarts. */
  newId(): ExchangeId {
    this.#idNext += 1;
    return `${this.#idPrefix}-${this.#idNext.toString(36)}` as ExchangeId;
  }

  /** The road. */
  async #travel(x: RunningExchange): Promise<void> {
    const facts = this.#screen(x);
    if (facts === null || this.#banned(x, facts) || this.#challenge(x, facts) || this.#moved(x, facts))
      return;
    const decision = this.#decide(x, facts);
    if (decision.verdict !== "forward") return this.#carryOut(x, facts, decision);
    const staging = this.#staging(x, facts, decision);
    if (staging === null) return;
    if (facts.upgrade !== null && !this.#mayTunnel(x, facts, decision)) return;
    if (this.#declaresTooMuch(x, facts, decision)) return;
    const grant = await this.#limit(x, facts, decision);
    if (grant === null) return;
    const body = await this.#body(x, facts, decision);
    if (body === "stopped") return grant.settle("unsent");
    if (!(await this.#enter(x, facts, body))) {
      body?.release();
      return grant.settle("unsent");
    }
    this.#forward(x, facts, decision, staging, grant, body);
  }

  /** message/screen: one meaning only, or a refusal. */
  #screen(x: RunningExchange): RequestFacts | null {
    const read = screen(x.down, x.plan.site);
    if (read.ok) {
      x.facts = read.value;
      const field = read.value.untrustedForwarding;
      if (field !== undefined) {
        this.#parts.sink.emit({ type: "untrusted-forwarding", peer: x.down.peer.text, field });
      }
      return read.value;
    }
    const refusal = read.error;
    this.#refuse(x, refusal.status, refusal.code, refusal.detail, { extraFields: refusal.headers ?? [] });
    return null;
  }

  /** guard/jail: is this client banned? */
  #banned(x: RunningExchange, facts: RequestFacts): boolean {
    const ban = this.#parts.jail.banOf(ipKey64(facts.client));
    if (ban === null || x.plan.isTrusted(facts.client)) return false;
    this.#refuseBanned(x, ban);
    return true;
  }

  #refuseBanned(x: RunningExchange, ban: Ban): void {
    x.rule = `ban-${ban.reason}`;
    x.verdict = "banned";
    if (x.plan.settings.banAnswer === "drop") {
      x.status = 499;
      return x.cut();
    }
    const until = new Date(ban.untilWallMs).toISOString().slice(0, 16).replace("T", " ");
    const retryAfterSeconds = Math.max(1, Math.ceil((ban.untilWallMs - this.#parts.clock.wallMs()) / 1000));
    this.#error(x, 403, `Nothing is accepted from this address until ${until} UTC.`, {
      retryAfterSeconds,
      close: true,
    });
  }

  /** tls/challenges: what a certificate authority asks for while it looks whether a name is ours (RFC 8555 §8.3). */
  #challenge(x: RunningExchange, facts: RequestFacts): boolean {
    const answer = this.#parts.challenges.httpAnswer(facts.path);
    if (answer === null || (facts.method !== "GET" && facts.method !== "HEAD")) return false;
    x.rule = "certificate-challenge";
    x.verdict = "answer";
    const fields = ["Content-Type", "application/octet-stream", "Cache-Control", "no-store"];
    x.reply({ status: 200, fields, body: Buffer.from(answer) }, false);
    return true;
  }

  /** reply/redirects: names that live elsewhere, and plain HTTP. */
  #moved(x: RunningExchange, facts: RequestFacts): boolean {
    if (!facts.secure && x.plan.mayStayPlain(facts)) return false;
    const redirect = x.plan.redirects(facts);
    if (redirect === null) return false;
    x.rule = facts.secure ? "redirect-domain" : "plain-http";
    x.verdict = "redirect";
    x.reply(redirectAnswer(redirect.status, redirect.location), false);
    return true;
  }

  /** policy/decide: the first rule that matches. */
  #decide(x: RunningExchange, facts: RequestFacts): Decision {
    x.sessionKey = this.#parts.sessions.keyOf(facts.sessionId);
    const decision = decide(x.plan.policy, facts, { knownSession: x.sessionKey !== null });
    x.rule = decision.reason.rule;
    x.verdict = decision.verdict;
    return decision;
  }

  /** Every verdict but forward. */
  #carryOut(x: RunningExchange, facts: RequestFacts, decision: Exclude<Decision, ForwardDecision>): void {
    const rules = x.plan.jailRules;
    if ("strike" in decision && decision.strike && rules !== null && !x.plan.isTrusted(facts.client))
      this.#parts.jail.scanned({ client: facts.client.text, address: ipKey64(facts.client) }, rules);
    switch (decision.verdict) {
      case "deny":
        this.#denied(x, facts, decision.reason.rule);
        return this.#error(x, decision.status, "");
      case "redirect":
        return x.reply(redirectAnswer(decision.status, decision.location), false);
      case "answer":
        return x.reply(
          {
            status: decision.status,
            fields: ["Content-Type", decision.contentType],
            body: Buffer.from(decision.body),
          },
          false,
        );
      case "drop":
        x.status = 499;
        return x.cut();
      default:
        return unreachable(decision);
    }
  }

  /** guard/staging: a password on staging sites; null when it was asked for. */
  #staging(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): StagingPass | null {
    const gate = x.plan.staging;
    if (gate === null) return noStaging;
    const verdict = gate.check(facts, ipKey64(facts.client), decision.withoutStagingPassword);
    switch (verdict.kind) {
      case "pass":
        return verdict;
      case "ask":
        x.verdict = "ask-password";
        this.#error(x, verdict.status, "", { extraFields: verdict.fields });
        return null;
      case "exhausted":
        this.#exhausted(x, facts, "staging-password", verdict.retryAfterSeconds);
        return null;
      default:
        return unreachable(verdict);
    }
  }

  /** A WebSocket handshake only where the rule lets it through, from our own pages, and so many for each client. */
  #mayTunnel(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): boolean {
    if (!decision.websocket) {
      this.#refuse(x, 400, "upgrade-not-here", "There is no WebSocket at this address.");
      return false;
    }
    const origin = firstField(facts.fields, "origin");
    if (!originAllowed(origin, facts, x.plan.site, x.plan.websocketOrigins)) {
      this.#refuse(
        x,
        403,
        "origin-foreign",
        "A WebSocket may be opened by this site's own pages only (Origin).",
      );
      return false;
    }
    const client = ipKey64(facts.client);
    const open = this.#tunnelsByClient.get(client) ?? 0;
    if (open >= x.plan.settings.tunnelsPerClientMax && !x.plan.isTrusted(facts.client)) {
      this.#exhausted(x, facts, "tunnels", 30);
      return false;
    }
    // Counted from here on: handshakes that wait for Odoo at the same time would all see the same number.
    x.tunnelKey = client;
    this.#tunnelsByClient.set(client, open + 1);
    return true;
  }

  /** 413 before a byte of the body, when its length is declared. */
  #declaresTooMuch(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): boolean {
    if (x.down.body === null) return false;
    const length = Number(firstField(facts.fields, "content-length") ?? "0");
    const bytesMax = decision.bodyBytesMax ?? x.plan.settings.bodyBytesMax;
    if (length <= bytesMax) return false;
    this.#tooLarge(x, bytesMax);
    return true;
  }

  /** guard/limiter: the limits the rule names; null when one is exhausted. */
  async #limit(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): Promise<Grant | null> {
    if (x.plan.isTrusted(facts.client)) return freeGrant;
    const keys = { address: ipKey64(facts.client), session: x.sessionKey };
    const asked = this.#parts.limiter.check(decision.limits, keys);
    const answer = asked instanceof Promise ? await asked : asked;
    if (answer.ok && !x.isOver) return answer;
    if (answer.ok) answer.settle("unsent");
    else this.#exhausted(x, facts, answer.limit, answer.retryAfterSeconds);
    return null;
  }

  /** The whole body, set aside before Odoo is connected. */
  async #body(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
  ): Promise<RequestBody | null | "stopped"> {
    const source = x.down.body;
    if (source === null) return null;
    if (x.down.expectsContinue) x.down.sendContinue();
    const bytesMax = decision.bodyBytesMax ?? x.plan.settings.bodyBytesMax;
    const collected = await collectBody(source, {
      bytesMax,
      spool: this.#parts.spool,
      clock: this.#parts.clock,
    });
    if (!collected.ok) {
      this.#bodyTrouble(x, collected.error, bytesMax);
      return "stopped";
    }
    const body = collected.value;
    x.bytesIn = body.bytes;
    if (x.isOver) {
      body.release();
      return "stopped";
    }
    if (
      decision.xmlWithoutDoctype &&
      hasDoctype(body.memory, firstField(facts.fields, "content-type") ?? "")
    ) {
      body.release();
      this.#refused(x, "xml-doctype", doctypeReason);
      x.reply(xmlFaultAnswer(400, doctypeReason, x.id), true);
      return "stopped";
    }
    if (decision.rpcEnvelope && body.bytes > 0 && !(await this.#mayCall(x, facts, body))) {
      body.release();
      return "stopped";
    }
    return body;
  }

  /** guard/rpc-envelope: a JSON-RPC call with one reading, and its db service for administrators' networks only. */
  async #mayCall(x: RunningExchange, facts: RequestFacts, body: RequestBody): Promise<boolean> {
    const reader = new EnvelopeReader();
    const whole = await eachPiece(body, (piece) => reader.push(piece));
    if (x.isOver) return false;
    if (!whole) {
      this.#bodyTrouble(x, "no-room", 0);
      return false;
    }
    const read = reader.end();
    if (!read.ok) {
      const sentence = envelopeRefusalText(read.error);
      this.#refused(x, `rpc-${read.error}`, sentence);
      this.#error(x, 400, sentence, { jsonRpc: true });
      return false;
    }
    x.call = read.value;
    if (read.value.service !== "db" || x.plan.settings.adminNetworks.contains(facts.client)) return true;
    x.verdict = "deny";
    this.#denied(x, facts, "rpc-database-service");
    this.#error(x, x.plan.settings.databaseManager === "403" ? 403 : 404, "", { jsonRpc: true });
    return false;
  }

  #bodyTrouble(x: RunningExchange, trouble: BodyTrouble, bytesMax: number): void {
    switch (trouble) {
      case "too-large":
        return this.#tooLarge(x, bytesMax);
      case "too-slow":
        return this.#refuse(x, 408, "body-too-slow", "The request's body came too slowly.");
      case "client-left":
        return x.end(499);
      case "no-room": {
        x.failure = "spool-full";
        const answer = failureAnswer("spool-full");
        return this.#error(x, answer.status, answer.sentence, {
          retryAfterSeconds: answer.retryAfterSeconds,
          close: true,
        });
      }
      default:
        return unreachable(trouble);
    }
  }

  /** guard/jail: may this attempt to log in go to Odoo? It may wait for earlier ones of the same address. */
  async #enter(x: RunningExchange, facts: RequestFacts, body: RequestBody | null): Promise<boolean> {
    const asked = body === null ? null : { call: x.call, memory: body.memory, whole: body.file === null };
    const watch = watchLogin(facts, asked);
    x.watch = watch;
    if (watch === null) return true;
    const { jail, devices, hashAccount } = this.#parts;
    const name = watch.isAttempt ? accountName(watch.door, facts, asked) : null;
    const account = name === null ? null : hashAccount(name);
    x.account = account;
    const rules = x.plan.jailRules;
    if (rules === null || x.plan.isTrusted(facts.client)) return true;
    const device = account === null ? null : devices.read(facts, account);
    x.attempt = { client: facts.client.text, address: ipKey64(facts.client), account, device };
    if (!watch.isAttempt) return true;
    const asking = jail.enter(x.attempt, rules);
    const entry = asking instanceof Promise ? await asking : asking;
    switch (entry.kind) {
      case "go":
        if (x.isOver) entry.settle("unknown");
        x.ticket = entry;
        return !x.isOver;
      case "slow":
        this.#exhausted(x, facts, entry.limit, entry.retryAfterSeconds);
        return false;
      case "banned":
        this.#refuseBanned(x, entry.ban);
        return false;
      default:
        return unreachable(entry);
    }
  }

  /** How the attempt ended, for the limits, the jail and the log. */
  #concluded(x: RunningExchange, facts: RequestFacts, grant: Grant, outcome: LoginReading["outcome"]): void {
    const passed = outcome === "pending" ? "success" : outcome;
    grant.settle(passed);
    const { jail, sink } = this.#parts;
    const rules = x.plan.jailRules;
    if (x.watch !== null && outcome !== "unknown") {
      const { id, account, watch } = x;
      const { door, isEachCall } = watch;
      sink.emit({
        type: "login",
        id,
        client: facts.client.text,
        door,
        eachCall: isEachCall,
        outcome,
        account,
      });
    }
    if (x.ticket !== null) x.ticket.settle(passed);
    else if (x.attempt !== null && rules !== null && outcome === "failure") jail.failed(x.attempt, rules);
  }

  /** upstream: outbound → forward → inbound → reply; or, after 101, the tunnel. */
  #forward(
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
      if (head === null) return this.#concluded(x, facts, grant, "unknown");
      const reading = watch?.reading ?? noReading;
      this.#parts.sessions.observe(facts, head.status, head.fields, reading.loggedIn);
      if (isCall && watch !== null) this.#parts.sessions.observeCall(facts, head.status, watch.beginning);
      this.#concluded(x, facts, grant, reading.outcome);
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
        if (head !== null) this.#tunnel(x, facts, staging, head, socket, rest);
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
      sessionCookie: x.plan.site.sessionCookie,
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
      sessionCookie: x.plan.site.sessionCookie,
      cookieOverPlain: x.plan.isPointOfSale(facts.client),
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

  /** A checked 101 leaves the road here: two pipes until one side ends. */
  #tunnel(
    x: RunningExchange,
    facts: RequestFacts,
    staging: StagingPass,
    head: AnswerHead,
    upstream: Socket,
    rest: Buffer,
  ): void {
    const key = firstField(facts.fields, "sec-websocket-key") ?? "";
    const accepted = firstField(head.fields, "sec-websocket-accept") === acceptFor(key);
    if (!accepted || firstField(head.fields, "upgrade")?.toLowerCase() !== "websocket") {
      upstream.destroy();
      return this.#failed(x, null, "answer-malformed", "101 without a valid Sec-WebSocket-Accept", null);
    }
    const fields = inboundHandshakeFields(head.fields, facts, {
      authorityOf: x.plan.authorityOf,
      sessionCookie: x.plan.site.sessionCookie,
      cookieOverPlain: x.plan.isPointOfSale(facts.client),
      headLength: null,
    });
    if (staging.setCookie !== null) fields.push("Set-Cookie", staging.setCookie);
    x.status = 101;
    x.verdict = "tunnel";
    const upgraded = x.isOver ? null : x.down.upgrade(101, fields);
    if (upgraded === null) {
      upstream.destroy();
      return x.end(499);
    }
    const tunnel = new Tunnel(
      { downstream: upgraded.socket, upstream, downstreamHead: upgraded.head, upstreamHead: rest },
      (bytesUp, bytesDown) => {
        x.bytesIn = bytesUp;
        x.bytesOut = bytesDown;
        this.#tunnels.delete(tunnel);
        x.end(101);
      },
    );
    this.#tunnels.add(tunnel);
    tunnel.start();
    if (this.#draining) tunnel.leave();
  }

  /** The upstream leg failed: a page when nothing went out yet, else a cut. */
  #failed(
    x: RunningExchange,
    decision: ForwardDecision | null,
    kind: FailureKind,
    detail: string,
    relay: Relay | null,
  ): void {
    x.failure = kind;
    const pool = decision?.pool ?? "bus";
    const member = this.#parts.pools[pool].member.name;
    this.#parts.sink.emit({ type: "upstream-failed", id: x.id, failure: kind, member, detail });
    if (kind === "connect-refused") this.#parts.onUnreachable(pool);
    if (relay?.hasStarted === true) {
      relay.close();
      return x.cut();
    }
    const answer = failureAnswer(kind);
    this.#error(x, answer.status, answer.sentence, { retryAfterSeconds: answer.retryAfterSeconds });
  }

  #exhausted(x: RunningExchange, facts: RequestFacts, limit: string, retryAfterSeconds: number): void {
    x.limit = limit;
    x.verdict = "limited";
    this.#parts.sink.emit({
      type: "limited",
      id: x.id,
      client: facts.client.text,
      limit,
      rule: x.rule,
      retryAfterSeconds,
    });
    this.#error(x, 429, "", { retryAfterSeconds });
  }

  #denied(x: RunningExchange, facts: RequestFacts, rule: string): void {
    x.rule = rule;
    const target = redactTarget(facts.target);
    this.#parts.sink.emit({ type: "denied", id: x.id, client: facts.client.text, rule, target });
  }

  #tooLarge(x: RunningExchange, bytesMax: number): void {
    x.verdict = "refuse";
    this.#parts.sink.emit({
      type: "refused",
      id: x.id,
      client: x.facts?.client.text ?? x.down.peer.text,
      code: "body-too-large",
      detail: `the body is larger than ${bytesMax} bytes`,
    });
    this.#error(x, 413, "", { bodyBytesMax: bytesMax, close: true });
  }

  /** A client's fault: its status, an event, a closed connection. */
  #refuse(
    x: RunningExchange,
    status: number,
    code: string,
    detail: string,
    more: { readonly extraFields?: readonly string[] } = {},
  ): void {
    const client = x.facts?.client.text ?? x.down.peer.text;
    if (code === "host-unknown" || code === "host-unknown-plain") {
      const host = x.down.authority ?? firstField(x.down.fields, "host") ?? "";
      this.#parts.sink.emit({ type: "unknown-host", client, host });
    }
    this.#refused(x, code, detail);
    this.#error(x, status, detail, { extraFields: more.extraFields ?? [], close: true });
  }

  #refused(x: RunningExchange, code: string, detail: string): void {
    x.rule = code;
    x.verdict = "refuse";
    const client = x.facts?.client.text ?? x.down.peer.text;
    this.#parts.sink.emit({ type: "refused", id: x.id, client, code, detail });
  }

  #error(
    x: RunningExchange,
    status: number,
    detail: string,
    more: {
      readonly retryAfterSeconds?: number | null;
      readonly bodyBytesMax?: number;
      readonly extraFields?: readonly string[];
      readonly jsonRpc?: boolean;
      readonly close?: boolean;
    } = {},
  ): void {
    const answer = errorAnswer({
      status,
      facts: x.facts,
      exchangeId: x.id,
      detail,
      retryAfterSeconds: more.retryAfterSeconds ?? null,
      bodyBytesMax: more.bodyBytesMax ?? null,
      extraFields: more.extraFields ?? [],
      jsonRpc: more.jsonRpc ?? false,
    });
    x.reply(answer, more.close ?? false);
  }

  /** Our bug: the client gets 500, the log the stack, the process goes on. */
  #ourMistake(x: RunningExchange, error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#parts.sink.emit({ type: "error", what: "exchange", detail });
    try {
      this.#error(x, 500, "", { close: true });
    } catch {
      x.cut();
    }
  }

  #ended(x: RunningExchange): void {
    this.#running.delete(x);
    if (x.tunnelKey !== null) {
      const left = (this.#tunnelsByClient.get(x.tunnelKey) ?? 1) - 1;
      if (left <= 0) this.#tunnelsByClient.delete(x.tunnelKey);
      else this.#tunnelsByClient.set(x.tunnelKey, left);
    }
    if (this.#running.size === 0) this.#onIdle?.();
  }

  /**
   * Lets running exchanges finish for at most `timeoutMs`, sends close 1001 into the tunnels, and answers how many had to be
   * cut. The listeners have stopped accepting before.
   */
  drain(timeoutMs: number): Promise<number> {
    this.#draining = true;
    for (const tunnel of this.#tunnels) tunnel.leave();
    return new Promise((resolve) => {
      const finish = (cut: number) => {
        clearTimeout(timer);
        this.#onIdle = null;
        resolve(cut);
      };
      const timer = setTimeout(() => {
        const left = [...this.#running];
        for (const tunnel of [...this.#tunnels]) tunnel.destroy();
        for (const x of left) x.cut();
        finish(left.length);
      }, timeoutMs);
      this.#onIdle = () => finish(0);
      if (this.#running.size === 0) finish(0);
    });
  }
}

const freeGrant: Grant = { ok: true, settle: () => {} };
