import { ipKey64 } from "../base/ip.ts";
import type { Grant } from "../guard/limiter.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import { Delivery, type Parcel } from "../upstream/delivery.ts";
import type { UpstreamRequest } from "../upstream/forward.ts";
import { laneOf } from "../upstream/lane-of.ts";
import {
  linesOf,
  type OutboundOptions,
  outboundHandshakeFields,
  outboundLines,
} from "../upstream/outbound.ts";
import type { RequestBody } from "../upstream/request-body.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { Databases } from "./databases.ts";
import { EarlyHints } from "./early-hints.ts";
import type { AdoptedAnswer, Files } from "./files.ts";
import type { LoginStage } from "./login.ts";
import { NoAnswer } from "./no-answer.ts";
import type { GatewayParts } from "./parts.ts";
import { Passage, type PassageParts } from "./passage.ts";
import type { Tunnels } from "./tunnels.ts";

/** The way to Odoo; what comes back is `Passage`. */
export class Forwarding {
  readonly #parts: GatewayParts;
  readonly #passage: PassageParts;
  readonly #hints: EarlyHints;

  constructor(
    parts: GatewayParts,
    answer: Answering,
    databases: Databases,
    login: LoginStage,
    tunnels: Tunnels,
    files: Files,
  ) {
    this.#parts = parts;
    this.#hints = new EarlyHints(parts, files);
    this.#passage = {
      parts,
      hints: this.#hints,
      answer,
      noAnswer: new NoAnswer(parts.sink, answer),
      databases,
      login,
      tunnels,
      encoding: { count: 0 },
    };
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
    const way = this.#parts.ways[decision.pool];
    const { watch } = x;
    const parcel: Parcel = {
      request: this.#outbound(x, facts, decision, staging, body, way.pool.keepAlive),
      lane:
        way.lanes === null
          ? null
          : x.isFakeCrawler
            ? "fake"
            : laneOf(facts, watch?.isAttempt === true && !watch.isEachCall, x.sessionKey !== null),
      who: x.sessionKey ?? ipKey64(facts.client),
      mayWait: true,
      sessionId: facts.sessionId,
      database: this.#choosesDatabase(x, facts) ? null : x.plan.databaseOf(facts.host),
    };
    x.lane = parcel.lane;
    const passage = new Passage(this.#passage, x, facts, staging, grant, body);
    if (adopted === null && body === null) this.#hints.tell(x, facts);
    if (adopted === null) passage.send(new Delivery(way, parcel, passage));
    else passage.adopt(adopted, way.pool.member.name);
  }

  /** By a field that goes on to Odoo. */
  #choosesDatabase(x: RunningExchange, facts: RequestFacts): boolean {
    return x.plan.mayChooseDatabase(facts.client) && firstField(facts.fields, "x-odoo-database") !== null;
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
      database: x.plan.databaseOf(facts.host),
      sessionCookie: (x.down.isReport ? x.plan.reportSite : x.plan.site).sessionCookie,
      ownCookie: x.plan.ownCookie,
      dropAuthorization: staging.dropAuthorization,
      // What is read has to come as it is, also where another server compresses between us and Odoo.
      identityOnly:
        x.plan.settings.compression || x.watch?.isAttempt === true || x.plan.masksTracebacks(facts.client),
    };
    const wantsTunnel = facts.upgrade !== null;
    return {
      method: facts.method,
      target: facts.target,
      lines: wantsTunnel ? linesOf(outboundHandshakeFields(facts, options)) : outboundLines(facts, options),
      body,
      answerTimeoutMs: decision.answerTimeoutMs,
      wantsTunnel,
    };
  }
}
