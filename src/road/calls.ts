import {
  type ApiPath,
  type ApiRefusal,
  apiPathOf,
  callRefusal,
  networkRefusal,
  pathRefusal,
  wantsCall,
} from "../guard/api-list.ts";
import { callNamesOther } from "../guard/database-pin.ts";
import { EnvelopeReader, envelopeRefusalText, type RpcEnvelope, xmlEnvelope } from "../guard/rpc-envelope.ts";
import { XmlCheck, xmlRefusalText } from "../guard/xml.ts";
import { XmlCallScan } from "../guard/xml-call.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import { xmlFaultAnswer } from "../reply/xml-fault.ts";
import type { RunningExchange } from "../running.ts";
import { eachPiece, type RequestBody } from "../upstream/request-body.ts";
import type { Answering } from "./answering.ts";

const unreadable =
  "The call is not written so that it has exactly one reading (plain XML-RPC, without comments or instructions).";

/** Programs' calls: who may call what, over XML-RPC, JSON-RPC and JSON-2, in one reading. */
export class Calls {
  readonly #answer: Answering;

  constructor(answer: Answering) {
    this.#answer = answer;
  }

  /** guard/api-list: what the head alone tells. False: the call is refused, and the answer is out. */
  admit(x: RunningExchange, facts: RequestFacts): boolean {
    const path = apiPathOf(facts);
    x.apiPath = path;
    const list = x.plan.api;
    if (list === null || path === null || (path.kind === "xml-rpc" && path.service === "db")) return true;
    x.api = list.entryFor(facts.client, facts.host);
    const refusal = x.api === null ? networkRefusal : pathRefusal(x.api, path);
    if (refusal === null) return true;
    this.#deny(x, facts, path, refusal);
    return false;
  }

  /** Will `read` look into the body of this request? */
  reads(x: RunningExchange, facts: RequestFacts, decision: ForwardDecision): boolean {
    return (
      decision.xmlWithoutDoctype ||
      decision.rpcEnvelope ||
      (x.apiPath !== null &&
        (x.api !== null ||
          x.plan.databaseOf(facts.host) !== null ||
          x.plan.keptAccounts(facts.client) !== null))
    );
  }

  /** guard/xml, guard/rpc-envelope: what the body asks for. False: it is refused, and the answer is out. */
  async read(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    body: RequestBody,
  ): Promise<boolean> {
    const path = x.apiPath;
    const judges =
      x.plan.databaseOf(facts.host) !== null ||
      x.plan.keptAccounts(facts.client) !== null ||
      (x.api !== null && wantsCall(x.api));
    if (path?.kind === "xml-rpc" && path.service !== "db" && (judges || decision.xmlWithoutDoctype))
      return this.#xml(x, facts, body, judges ? path.service : null);
    if (decision.xmlWithoutDoctype) return this.#xml(x, facts, body, null);
    if (decision.rpcEnvelope || (path?.kind === "json-rpc" && (judges || x.api !== null)))
      return this.#json(x, facts, body);
    return true;
  }

  /** UTF-8 without a document type, or a fault that the caller's library understands. `service`: the call matters too. */
  async #xml(
    x: RunningExchange,
    facts: RequestFacts,
    body: RequestBody,
    service: string | null,
  ): Promise<boolean> {
    const check = new XmlCheck(firstField(facts.fields, "content-type") ?? "");
    const scan = service === null ? null : new XmlCallScan();
    const take = (piece: Uint8Array) => {
      scan?.push(piece);
      return check.push(piece);
    };
    if (!(await this.#readAll(x, body, take))) return false;
    const refusal = check.end();
    if (refusal !== null) return this.#refuseXml(x, refusal, xmlRefusalText(refusal));
    if (scan === null || service === null) return true;
    const call = scan.end();
    if (call === null) return this.#refuseXml(x, "rpc-unreadable", unreadable);
    return this.#mayCall(x, facts, xmlEnvelope(service, call));
  }

  #refuseXml(x: RunningExchange, code: string, sentence: string): false {
    this.#answer.refused(x, code, sentence);
    x.reply(xmlFaultAnswer(sentence, x.id), true);
    return false;
  }

  /** A JSON-RPC call with one reading, and its db service for administrators' networks only. */
  async #json(x: RunningExchange, facts: RequestFacts, body: RequestBody): Promise<boolean> {
    const reader = new EnvelopeReader();
    if (!(await this.#readAll(x, body, (piece) => reader.push(piece)))) return false;
    const read = reader.end();
    if (!read.ok) {
      const sentence = envelopeRefusalText(read.error);
      this.#answer.refused(x, `rpc-${read.error}`, sentence);
      this.#answer.error(x, 400, sentence, { jsonRpc: true });
      return false;
    }
    if (read.value.service !== "db" || x.plan.settings.adminNetworks.contains(facts.client))
      return this.#mayCall(x, facts, read.value);
    x.verdict = "deny";
    this.#answer.denied(x, facts, "rpc-database-service");
    this.#answer.error(x, x.plan.settings.databaseManager === "403" ? 403 : 404, "", { jsonRpc: true });
    return false;
  }

  /** guard/api-list, guard/database-pin: the call itself. */
  #mayCall(x: RunningExchange, facts: RequestFacts, call: RpcEnvelope): boolean {
    x.call = call;
    const path = x.apiPath;
    const refusal = x.api === null ? null : callRefusal(x.api, call);
    const database = x.plan.databaseOf(facts.host);
    if (refusal !== null) this.#deny(x, facts, path, refusal);
    else if (database !== null && callNamesOther(call, database))
      this.#deny(x, facts, path, { rule: "database-pinned", sentence: "This database is not served here." });
    else return true;
    return false;
  }

  #deny(
    x: RunningExchange,
    facts: RequestFacts,
    path: ApiPath | null,
    { rule, sentence }: ApiRefusal | { readonly rule: "database-pinned"; readonly sentence: string },
  ): void {
    x.verdict = "deny";
    this.#answer.denied(x, facts, rule);
    if (path?.kind === "xml-rpc") x.reply(xmlFaultAnswer(sentence, x.id, 403), false);
    else this.#answer.error(x, 403, sentence, { jsonRpc: path?.kind === "json-rpc" });
  }

  /** Every piece of the body, from memory and spool; false: the exchange has ended meanwhile. */
  async #readAll(
    x: RunningExchange,
    body: RequestBody,
    take: (piece: Uint8Array) => boolean,
  ): Promise<boolean> {
    const whole = await eachPiece(body, take);
    if (x.isOver) return false;
    if (!whole) this.#answer.bodyTrouble(x, "no-room", 0);
    return whole;
  }
}
