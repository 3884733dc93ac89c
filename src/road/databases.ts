import { ipKey64 } from "../base/ip.ts";
import {
  AuthenticateScan,
  databaseListBody,
  formNamesOther,
  isDatabaseList,
  isDatabaseSelector,
  pinnedTarget,
  queryNamesOther,
  sendsToSelector,
} from "../guard/database-pin.ts";
import { isRoute } from "../guard/login-outcome.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { Decision, Limit } from "../policy/decision.ts";
import type { RunningExchange } from "../running.ts";
import type { AnswerHead } from "../upstream/answer-reader.ts";
import { collectBody, eachPiece, type RequestBody } from "../upstream/request-body.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** A question for the list of databases is this long at most. */
export const databaseListBytesMax = 16 * 1024;
/** Asked once by each app that connects. */
const listLimit: Limit = { name: "database-list", ratePerSecond: 1, burst: 30, key: "client", refund: false };
const sentence = "This database is not served here.";

/** DATABASE: one site shows one database, whatever the request names. */
export class Databases {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /** What the head names. False: another database, or the list of them; the answer is out. */
  admit(x: RunningExchange, facts: RequestFacts): boolean {
    const database = x.plan.databaseOf(facts.host);
    if (database === null) return true;
    if (isDatabaseSelector(facts) && !x.plan.settings.adminNetworks.contains(facts.client)) {
      this.#deny(x, facts, 404, "");
      return false;
    }
    if (!queryNamesOther(facts, database)) return true;
    this.#deny(x, facts, 403, sentence);
    return false;
  }

  /** Does the gateway itself answer `/web/database/list`: Odoo's manager is closed, and the name is known. */
  answersList(x: RunningExchange, facts: RequestFacts, decision: Decision): boolean {
    return decision.verdict !== "forward" && x.plan.databaseOf(facts.host) !== null && isDatabaseList(facts);
  }

  /** The list of one name, in JSON-RPC's shape: the Android app shows no log-in without it. */
  async list(x: RunningExchange, facts: RequestFacts): Promise<void> {
    x.rule = "database-list";
    x.verdict = "answer";
    const { limiter, spool, clock } = this.#parts;
    const keys = { address: ipKey64(facts.client), session: null, account: null };
    const granted = x.plan.isTrusted(facts.client) ? null : await limiter.check([listLimit], keys);
    if (granted?.ok === false)
      return this.#answer.exhausted(x, facts, granted.limit, granted.retryAfterSeconds);
    let asked: Uint8Array = Buffer.alloc(0);
    if (x.down.body !== null) {
      if (x.down.expectsContinue) x.down.sendContinue();
      const collected = await collectBody(x.down.body, { bytesMax: databaseListBytesMax, spool, clock });
      if (!collected.ok) return this.#answer.bodyTrouble(x, collected.error, databaseListBytesMax);
      asked = collected.value.memory;
      collected.value.release();
    }
    const body = databaseListBody(asked, x.plan.databaseOf(facts.host) ?? "");
    const fields = ["Content-Type", "application/json; charset=utf-8", "Cache-Control", "no-store"];
    x.reply({ status: 200, fields, body }, false);
  }

  /**
   * Where Odoo's redirect to its list of databases leads instead, since the name is known and the list is closed. Null: it is no such redirect.
   * `missing`: Odoo does not have the database; the answer is out.
   */
  instead(x: RunningExchange, facts: RequestFacts, head: AnswerHead): string | null | "missing" {
    if (!sendsToSelector(head.status, head.fields, facts.host)) return null;
    const database = x.plan.databaseOf(facts.host);
    if (database === null) return null;
    if (x.plan.settings.adminNetworks.contains(facts.client)) return null;
    const target = pinnedTarget(facts, database);
    if (target !== null) return target;
    // Sending it there again would never end.
    const detail = `Odoo does not offer the database "${database}" that DATABASE names for ${facts.host}: compare the name with dbfilter in odoo.conf, and with psql -l`;
    this.#parts.sink.emit({ type: "warning", what: "DATABASE", detail });
    x.rule = "database-missing";
    this.#answer.error(x, 502, "The application does not have the database that this site is set to.");
    return "missing";
  }

  /** Will `read` look into bodies at this host? */
  reads(x: RunningExchange, facts: RequestFacts): boolean {
    return x.plan.databaseOf(facts.host) !== null;
  }

  /** What the body of a log-in names. False: another database; the answer is out. */
  async read(x: RunningExchange, facts: RequestFacts, body: RequestBody): Promise<boolean> {
    const database = x.plan.databaseOf(facts.host);
    if (database === null || body.bytes === 0) return true;
    if (await this.#namesOther(facts, body, database)) {
      if (!x.isOver) this.#deny(x, facts, 403, sentence);
      return false;
    }
    return !x.isOver;
  }

  async #namesOther(facts: RequestFacts, body: RequestBody, database: string): Promise<boolean> {
    if (facts.paths.some((path) => path.endsWith("/web/session/authenticate"))) {
      const scan = new AuthenticateScan();
      const whole = await eachPiece(body, (piece) => scan.push(piece));
      return !whole || scan.namesOther(database);
    }
    if (isRoute(facts, "/web/database/list")) return false;
    return formNamesOther(facts, { memory: body.memory, whole: body.file === null }, database);
  }

  #deny(x: RunningExchange, facts: RequestFacts, status: number, detail: string): void {
    x.verdict = "deny";
    this.#answer.denied(x, facts, "database-pinned");
    this.#answer.error(x, status, detail);
  }
}
