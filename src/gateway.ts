/**
 * READ THIS FIRST. One exchange from arrival to record, stage by stage, in the order of docs/exchange.md.
 * Each stage goes on or finishes the answer; the stages themselves are in road/, what they decide is decided by the rooms they call.
 */
import { randomBytes } from "node:crypto";
import type { ExchangeId } from "./base/brands.ts";
import { Roster } from "./base/roster.ts";
import type { Downstream } from "./exchange.ts";
import { bothGrants } from "./guard/limiter.ts";
import type { RequestFacts } from "./message/facts.ts";
import { Admission } from "./road/admission.ts";
import { Answering } from "./road/answering.ts";
import { Calls } from "./road/calls.ts";
import { CrawlerStage } from "./road/crawlers.ts";
import { CspReportStage } from "./road/csp-reports.ts";
import { Databases } from "./road/databases.ts";
import { Files } from "./road/files.ts";
import { Forwarding } from "./road/forwarding.ts";
import { asTheSite, Inside } from "./road/inside.ts";
import { Intake } from "./road/intake.ts";
import { LoginStage } from "./road/login.ts";
import { MaintenanceStage } from "./road/maintenance.ts";
import { Neutral } from "./road/neutral.ts";
import type { GatewayParts } from "./road/parts.ts";
import { Tunnels } from "./road/tunnels.ts";
import { type Books, RunningExchange } from "./running.ts";

export class Gateway implements Books {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;
  readonly #admission: Admission;
  readonly #calls: Calls;
  readonly #crawlers: CrawlerStage;
  readonly #cspReports: CspReportStage;
  readonly #databases: Databases;
  readonly #inside: Inside;
  readonly #maintenance: MaintenanceStage;
  readonly #neutral: Neutral;
  readonly #intake: Intake;
  readonly #login: LoginStage;
  readonly #tunnels: Tunnels;
  readonly #files: Files;
  readonly #forwarding: Forwarding;
  readonly #running = new Roster<RunningExchange>();
  readonly #idPrefix = randomBytes(5).toString("hex");
  #idNext = 0;
  #draining = false;
  #onIdle: (() => void) | null = null;

  constructor(parts: GatewayParts) {
    this.#parts = parts;
    this.#answer = new Answering(parts);
    this.#admission = new Admission(parts, this.#answer);
    this.#calls = new Calls(this.#answer);
    this.#crawlers = new CrawlerStage(parts, this.#answer);
    this.#cspReports = new CspReportStage(parts, this.#answer);
    this.#databases = new Databases(parts, this.#answer);
    this.#inside = new Inside(this.#answer);
    this.#maintenance = new MaintenanceStage(parts);
    this.#neutral = new Neutral(parts, this.#answer);
    this.#intake = new Intake(parts, this.#answer, this.#calls, this.#databases);
    this.#login = new LoginStage(parts, this.#answer);
    this.#tunnels = new Tunnels(parts, this.#answer, () => this.#lookIfIdle());
    this.#files = new Files(parts, this.#answer);
    this.#forwarding = new Forwarding(
      parts,
      this.#answer,
      this.#databases,
      this.#login,
      this.#tunnels,
      this.#files,
    );
  }

  /** Under way now, tunnels included. */
  get exchanges(): number {
    return this.#running.size + this.#tunnels.count;
  }

  get tunnels(): number {
    return this.#tunnels.count;
  }

  get isDraining(): boolean {
    return this.#draining;
  }

  /** A ban began: what is open of this client (`ipKey64`) ends too. */
  banned(client: string): void {
    this.#tunnels.endOf(client);
  }

  /** Takes one exchange from the edge. Never throws; every exchange ends in one access record. */
  handle(down: Downstream): void {
    const { plan, sink, clock } = this.#parts;
    const x = new RunningExchange(this.newId(), plan(), down, sink, clock, this);
    this.#running.add(x);
    void this.#carry(x);
  }

  async #carry(x: RunningExchange): Promise<void> {
    try {
      await this.#travel(x);
    } catch (error) {
      this.#ourMistake(x, error);
    }
  }

  /** An id for an exchange, unique over restarts. */
  newId(): ExchangeId {
    this.#idNext += 1;
    return `${this.#idPrefix}-${this.#idNext.toString(36)}` as ExchangeId;
  }

  /** The road. */
  async #travel(x: RunningExchange): Promise<void> {
    const facts = x.down.isReport ? this.#reportFacts(x) : this.#publicFacts(x);
    if (facts === null) return;
    if (this.#cspReports.takes(x, facts)) return this.#cspReports.take(x, facts);
    if (!this.#databases.admit(x, facts)) return;
    const decision = this.#admission.decide(x, facts);
    if (this.#databases.answersList(x, facts, decision)) return this.#databases.list(x, facts);
    if (decision.verdict !== "forward") return this.#admission.carryOut(x, facts, decision);
    if (this.#admission.preflight(x, facts)) return;
    if (this.#admission.foreign(x, facts)) return;
    if (this.#crawlers.poses(x, facts) && !(await this.#crawlers.admits(x, facts))) return;
    const passing = this.#admission.staging(x, facts, decision);
    const staging = passing instanceof Promise ? await passing : passing;
    if (staging === null) return;
    if (this.#neutral.watches(x, facts) && !(await this.#neutral.admits(x, facts))) return;
    if (facts.upgrade !== null && !(await this.#tunnels.mayTunnel(x, facts, decision))) return;
    if (!this.#calls.admit(x, facts)) return;
    if (this.#intake.declaresTooMuch(x, facts, decision)) return;
    if (this.#intake.isPacked(x, facts, decision)) return;
    // Where nothing has to be waited for, nothing waits for a turn of the event loop either.
    const limited = this.#intake.limit(x, facts, decision);
    const grant = limited instanceof Promise ? await limited : limited;
    if (grant === null) return;
    const collected = this.#intake.collect(x, facts, decision);
    const body = collected instanceof Promise ? await collected : collected;
    if (body === "stopped") return grant.settle("unsent");
    const entering = this.#login.enter(x, facts, decision, body);
    const entered = entering instanceof Promise ? await entering : entering;
    if (entered === null) {
      body?.release();
      return grant.settle("unsent");
    }
    const grants = bothGrants(grant, entered);
    const file =
      body === null && decision.stores(facts.path)
        ? await this.#files.answer(x, facts, decision, staging, grants)
        : null;
    if (file !== "answered") this.#forwarding.forward(x, facts, decision, staging, grants, body, file);
  }

  /** From a client: who it is and where it belongs; null when that already answered it. */
  #publicFacts(x: RunningExchange): RequestFacts | null {
    const facts = this.#admission.screen(x);
    if (facts === null) return null;
    const isAnswered =
      this.#admission.banned(x, facts) ||
      this.#admission.challenge(x, facts) ||
      this.#admission.moved(x, facts) ||
      this.#maintenance.closed(x, facts);
    return isAnswered ? null : facts;
  }

  /** From Odoo's own PDF maker, by the report listener. */
  #reportFacts(x: RunningExchange): RequestFacts | null {
    const facts = this.#inside.admits(x) ? this.#admission.screen(x) : null;
    if (facts === null || this.#inside.refuses(x, facts)) return null;
    x.facts = asTheSite(x, facts);
    return x.facts;
  }

  /** Our bug: the client gets 500, the log the stack, the process goes on. */
  #ourMistake(x: RunningExchange, error: unknown): void {
    const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
    this.#parts.sink.emit({ type: "error", what: "exchange", detail });
    try {
      this.#answer.error(x, 500, "", { close: true });
    } catch {
      x.cut();
    }
  }

  broken(x: RunningExchange, status: number, code: string): void {
    this.#answer.refuse(x, status, code, "The request's body could not be read.");
  }

  ended(x: RunningExchange): void {
    this.#running.delete(x);
    this.#tunnels.ended(x);
    this.#lookIfIdle();
  }

  #lookIfIdle(): void {
    if (this.exchanges === 0) this.#onIdle?.();
  }

  /** From now on answers close their connection, and tunnels are told to leave; nothing is cut. */
  retire(): void {
    this.#draining = true;
    this.#tunnels.leave();
  }

  /** Ends the websockets of everybody whom the maintenance that holds now does not let through, with close 1001. */
  leaveClosed(): void {
    this.#tunnels.leaveWhere((client) => this.#parts.maintenance.holds(client) !== null);
  }

  /**
   * Lets running exchanges finish for at most `timeoutMs`, sends close 1001 into the tunnels, and answers how many had to be
   * cut. The listeners have stopped accepting before.
   */
  drain(timeoutMs: number): Promise<number> {
    this.retire();
    return new Promise((resolve) => {
      const finish = (cut: number) => {
        clearTimeout(timer);
        this.#onIdle = null;
        resolve(cut);
      };
      const timer = setTimeout(() => {
        const cut = this.exchanges;
        // The last one that is cut makes nobody idle.
        this.#onIdle = null;
        this.#tunnels.destroy();
        for (const x of this.#running.all()) x.cutAtEnd();
        finish(cut);
      }, timeoutMs);
      this.#onIdle = () => finish(0);
      if (this.exchanges === 0) finish(0);
    });
  }
}
