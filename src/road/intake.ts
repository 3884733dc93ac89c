import { ipKey64 } from "../base/ip.ts";
import { freeGrant, type Grant } from "../guard/limiter.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import { collectBody, type RequestBody } from "../upstream/request-body.ts";
import type { Answering } from "./answering.ts";
import type { Calls } from "./calls.ts";
import type { Databases } from "./databases.ts";
import type { GatewayParts } from "./parts.ts";

/** Limits and the request's body: what is counted before Odoo is asked, what is read, and what is set aside. */
export class Intake {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;
  readonly #calls: Calls;
  readonly #databases: Databases;

  constructor(parts: GatewayParts, answer: Answering, calls: Calls, databases: Databases) {
    this.#parts = parts;
    this.#answer = answer;
    this.#calls = calls;
    this.#databases = databases;
  }

  /** 413 before a byte of the body, when its length is declared. */
  declaresTooMuch(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): boolean {
    if (x.down.body === null) return false;
    const length = Number(firstField(facts.fields, "content-length") ?? "0");
    const bytesMax = decision.bodyBytesMax ?? x.plan.settings.bodyBytesMax;
    if (length <= bytesMax) return false;
    this.#answer.tooLarge(x, bytesMax);
    return true;
  }

  /** guard/limiter: the limits the rule names; null when one is exhausted. */
  async limit(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): Promise<Grant | null> {
    if (x.isSpared(facts)) return freeGrant;
    const keys = { address: ipKey64(facts.client), session: x.sessionKey, account: null };
    const asked = this.#parts.limiter.check(x.api?.limits ?? decision.limits, keys);
    const answer = asked instanceof Promise ? await asked : asked;
    if (answer.ok && !x.isOver) return answer;
    if (answer.ok) answer.settle("unsent");
    else this.#answer.exhausted(x, facts, answer.limit, answer.retryAfterSeconds);
    return null;
  }

  /** The whole body, set aside before Odoo is connected. */
  async collect(
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
      this.#answer.bodyTrouble(x, collected.error, bytesMax);
      return "stopped";
    }
    const body = collected.value;
    x.bytesIn = body.bytes;
    if (x.isOver) {
      body.release();
      return "stopped";
    }
    const goesOn =
      body.bytes === 0 ||
      ((await this.#calls.read(x, facts, decision, body)) && (await this.#databases.read(x, facts, body)));
    if (goesOn) return body;
    body.release();
    return "stopped";
  }
}
