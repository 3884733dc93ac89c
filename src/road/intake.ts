import { ipKey64 } from "../base/ip.ts";
import type { Result } from "../base/result.ts";
import { freeGrant, type Grant } from "../guard/limiter.ts";
import { doorOf } from "../guard/login-door.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import { type BodyTrouble, collectBody, type RequestBody } from "../upstream/request-body.ts";
import type { Answering } from "./answering.ts";
import type { Calls } from "./calls.ts";
import type { Databases } from "./databases.ts";
import type { GatewayParts } from "./parts.ts";
import { spoolOwner } from "./spool-owner.ts";

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
    const bytesMax = this.#bytesMax(x, facts, decision);
    if (length <= bytesMax) return false;
    this.#answer.tooLarge(x, bytesMax);
    return true;
  }

  /**
   * 415 where the gateway looks into the body: what is packed (RFC 9110 §8.4) it would not see, while an add-on of Odoo's might. Elsewhere
   * it goes on as it came. Nothing is ever unpacked here, so that nothing can swell.
   */
  isPacked(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): boolean {
    if (x.down.body === null) return false;
    const coding = firstField(facts.fields, "content-encoding")?.trim().toLowerCase() ?? "";
    if (coding === "" || coding === "identity") return false;
    const isRead =
      x.apiPath !== null ||
      decision.rpcEnvelope ||
      decision.xmlWithoutDoctype ||
      doorOf(facts) !== null ||
      x.plan.databaseOf(facts.host) !== null;
    if (!isRead) return false;
    const extraFields = ["Accept-Encoding", "identity"];
    this.#answer.refuse(x, 415, "content-coding", "A body with a Content-Encoding is not accepted here.", {
      extraFields,
    });
    return true;
  }

  /** guard/limiter: the limits the rule names; null when one is exhausted. */
  limit(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
  ): Grant | null | Promise<Grant | null> {
    if (x.isSpared(facts)) return freeGrant;
    const keys = { address: ipKey64(facts.client), session: x.sessionKey, account: null };
    const asked = this.#parts.limiter.check(x.api?.limits ?? decision.limits, keys);
    return asked instanceof Promise
      ? asked.then((answer) => this.#answer.granted(x, facts, answer))
      : this.#answer.granted(x, facts, asked);
  }

  /** The whole body, set aside before Odoo is connected; at once when it came with its head and nobody has to look into it. */
  collect(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
  ): RequestBody | null | "stopped" | Promise<RequestBody | null | "stopped"> {
    const source = x.down.body;
    if (source === null) return null;
    if (x.down.expectsContinue) x.down.sendContinue();
    const bytesMax = this.#bytesMax(x, facts, decision);
    const { spool, clock } = this.#parts;
    const collected = collectBody(source, { bytesMax, spool, clock, owner: spoolOwner(x, facts), counts: x });
    return collected instanceof Promise
      ? collected.then((result) => this.#collected(x, facts, decision, bytesMax, result))
      : this.#collected(x, facts, decision, bytesMax, collected);
  }

  /** What the rule allows, as far as the spool can hold it: what never fits is not asked to come again (503). */
  #bytesMax(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): number {
    const allowed = decision.bodyBytesMax ?? x.plan.settings.bodyBytesMax;
    const { spool } = this.#parts;
    // Whose it is matters for the largest alone.
    return allowed <= spool.partBytesMax ? allowed : Math.min(allowed, spool.roomFor(spoolOwner(x, facts)));
  }

  #collected(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    bytesMax: number,
    collected: Result<RequestBody, BodyTrouble>,
  ): RequestBody | "stopped" | Promise<RequestBody | "stopped"> {
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
    const isRead =
      body.bytes > 0 && (this.#calls.reads(x, facts, decision) || this.#databases.reads(x, facts));
    return isRead ? this.#lookInto(x, facts, decision, body) : body;
  }

  async #lookInto(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    body: RequestBody,
  ): Promise<RequestBody | "stopped"> {
    if ((await this.#calls.read(x, facts, decision, body)) && (await this.#databases.read(x, facts, body)))
      return body;
    body.release();
    return "stopped";
  }
}
