import { ipKey64 } from "../base/ip.ts";
import type { Grant } from "../guard/limiter.ts";
import { EnvelopeReader, envelopeRefusalText } from "../guard/rpc-envelope.ts";
import { doctypeReason, hasDoctype } from "../guard/xml.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import { xmlFaultAnswer } from "../reply/xml-fault.ts";
import type { RunningExchange } from "../running.ts";
import { collectBody, eachPiece, type RequestBody } from "../upstream/request-body.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** Limits and the request's body: what is counted before Odoo is asked, what is read, and what is set aside. */
export class Intake {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
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
    const keys = { address: ipKey64(facts.client), session: x.sessionKey };
    const asked = this.#parts.limiter.check(decision.limits, keys);
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
    if (
      decision.xmlWithoutDoctype &&
      hasDoctype(body.memory, firstField(facts.fields, "content-type") ?? "")
    ) {
      body.release();
      this.#answer.refused(x, "xml-doctype", doctypeReason);
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
      this.#answer.bodyTrouble(x, "no-room", 0);
      return false;
    }
    const read = reader.end();
    if (!read.ok) {
      const sentence = envelopeRefusalText(read.error);
      this.#answer.refused(x, `rpc-${read.error}`, sentence);
      this.#answer.error(x, 400, sentence, { jsonRpc: true });
      return false;
    }
    x.call = read.value;
    if (read.value.service !== "db" || x.plan.settings.adminNetworks.contains(facts.client)) return true;
    x.verdict = "deny";
    this.#answer.denied(x, facts, "rpc-database-service");
    this.#answer.error(x, x.plan.settings.databaseManager === "403" ? 403 : 404, "", { jsonRpc: true });
    return false;
  }
}

const freeGrant: Grant = { ok: true, settle: () => {} };
