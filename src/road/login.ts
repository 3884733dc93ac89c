import { ipKey64 } from "../base/ip.ts";
import { unreachable } from "../base/result.ts";
import { accountName, type Named } from "../guard/account-name.ts";
import type { Entry } from "../guard/jail.ts";
import { freeGrant, type Grant } from "../guard/limiter.ts";
import type { LoginReading } from "../guard/login-outcome.ts";
import { watchLogin } from "../guard/login-watch.ts";
import { newSession } from "../guard/sessions.ts";
import type { RawFields, RequestFacts } from "../message/facts.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import { xmlFaultAnswer } from "../reply/xml-fault.ts";
import type { RunningExchange } from "../running.ts";
import type { RequestBody } from "../upstream/request-body.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** Stands for a name that has more than one reading; no user's name has a control character. */
const oddName = "\u0000odd";

/** Attempts to log in: may they go to Odoo, and how did they end? */
export class LoginStage {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;
  /** When Odoo last told of an attempt, whoever made it, how it ended. */
  #toldMs = Number.NEGATIVE_INFINITY;

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /**
   * guard/limiter and guard/jail: may this attempt to log in go to Odoo? It may wait for earlier ones. Null: it may not, and the
   * answer is out.
   */
  enter(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    body: RequestBody | null,
  ): Grant | null | Promise<Grant | null> {
    const named = this.#look(x, facts, body);
    if (named !== null && isKeptOut(x, facts, named, body)) return this.#keptOut(x, facts);
    if (x.plan.isTrusted(facts.client)) return freeGrant;
    if (decision.accountLimits.length > 0) return this.#enterCounted(x, facts, decision);
    const jailed = this.#jail(x, facts);
    return jailed instanceof Promise
      ? jailed.then((goesOn) => (goesOn ? freeGrant : null))
      : jailed
        ? freeGrant
        : null;
  }

  async #enterCounted(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
  ): Promise<Grant | null> {
    const keys = { address: ipKey64(facts.client), session: x.sessionKey, account: x.account };
    const asked = this.#parts.limiter.check(decision.accountLimits, keys);
    const answer = asked instanceof Promise ? await asked : asked;
    const grant = this.#answer.granted(x, facts, answer);
    if (grant === null) return null;
    if (await this.#jail(x, facts)) return grant;
    grant.settle("unsent");
    return null;
  }

  /** Administrators' accounts are for their networks; Odoo is not asked, and nothing is told of the password. */
  #keptOut(x: RunningExchange, facts: RequestFacts): null {
    x.verdict = "deny";
    this.#answer.denied(x, facts, "admin-account");
    const path = x.apiPath?.kind ?? null;
    if (path === "xml-rpc") x.reply(xmlFaultAnswer(keptOutText, x.id, 403), false);
    else this.#answer.error(x, 403, keptOutText, { jsonRpc: path === "json-rpc" });
    return null;
  }

  /** What is tried, and for whom; null: nothing is. */
  #look(x: RunningExchange, facts: RequestFacts, body: RequestBody | null): Named | null {
    const asked = body === null ? null : { call: x.call, memory: body.memory, whole: body.file === null };
    x.watch = watchLogin(facts, asked);
    if (x.watch === null || !x.watch.isAttempt) return null;
    const { door } = x.watch;
    const { hashAccount, pendingAccounts } = this.#parts;
    const named = accountName(door, facts, asked);
    switch (named.kind) {
      case "name":
        x.account = hashAccount(named.folded);
        x.writtenAccount = named.written === named.folded ? x.account : hashAccount(named.written);
        return named;
      case "odd":
        // All who write so are one: each writing would be another account otherwise, and none would ever be attacked.
        x.account = hashAccount(oddName);
        return named;
      case "none":
        if (door === "second-factor") x.writtenAccount = pendingAccounts.accountOf(facts.sessionId);
        x.account = x.writtenAccount;
        return named;
      default:
        return unreachable(named);
    }
  }

  #jail(x: RunningExchange, facts: RequestFacts): boolean | Promise<boolean> {
    const rules = x.plan.jailRules;
    const { watch, account, writtenAccount: written } = x;
    if (rules === null || watch === null || x.isSpared(facts)) return true;
    const { jail, devices } = this.#parts;
    const device = written === null ? null : devices.read(facts, written);
    x.attempt = { client: facts.client.text, address: ipKey64(facts.client), account, written, device };
    if (!watch.isAttempt) return true;
    const asking = jail.enter(x.attempt, rules);
    return asking instanceof Promise
      ? asking.then((entry) => this.#entered(x, facts, entry))
      : this.#entered(x, facts, asking);
  }

  #entered(x: RunningExchange, facts: RequestFacts, entry: Entry): boolean {
    switch (entry.kind) {
      case "go":
        if (x.isOver) entry.settle("unknown");
        x.ticket = entry;
        return !x.isOver;
      case "slow":
        this.#answer.exhausted(x, facts, entry.limit, entry.retryAfterSeconds, slowText(entry.limit));
        return false;
      case "banned":
        this.#answer.banned(x, entry.ban);
        return false;
      default:
        return unreachable(entry);
    }
  }

  /** How the attempt ended, for the limits, the jail and the log. `fields`: those of Odoo's answer. */
  concluded(
    x: RunningExchange,
    facts: RequestFacts,
    grant: Grant,
    read: LoginReading["outcome"],
    fields: RawFields,
  ): void {
    const outcome = this.#believed(x, read);
    grant.settle(outcome === "pending" ? "success" : outcome);
    const { jail, sink, pendingAccounts, sharedPeers, sightings } = this.#parts;
    if (outcome === "success") {
      sharedPeers.loggedIn(facts);
      const session = newSession(fields);
      if (session !== null) sightings.began(x.id, facts, session, x.account, x.plan.isTrusted);
    }
    if (outcome === "pending" && x.writtenAccount !== null) pendingAccounts.learn(fields, x.writtenAccount);
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
    // A right password before a second factor is half a success: who knows it must not wipe wrong codes out with it.
    if (x.ticket !== null) x.ticket.settle(outcome === "pending" ? "unknown" : outcome);
    else if (x.attempt !== null && rules !== null && outcome === "failure") jail.failed(x.attempt, rules);
  }

  #believed(x: RunningExchange, read: LoginReading["outcome"]): LoginReading["outcome"] {
    if (x.watch?.isAttempt !== true || read === "unknown") return read;
    const nowMs = this.#parts.clock.nowMs();
    if (x.watch.sawTrouble) return nowMs - this.#toldMs < troubleMs ? read : "unknown";
    this.#toldMs = nowMs;
    return read;
  }
}

/**
 * Is it, or may it be, one of the accounts that are kept to administrators' networks. Calls of `object` always name somebody. A web client's large call of
 * which only a word is known is let go: mostly it is an import, and who makes it is logged in.
 */
function isKeptOut(x: RunningExchange, facts: RequestFacts, named: Named, body: RequestBody | null): boolean {
  const kept = x.plan.keptAccounts(facts.client);
  if (kept === null) return false;
  const door = x.watch?.door;
  switch (named.kind) {
    case "name":
      return kept.has(named.folded);
    case "odd":
      return door !== "call" || body === null || body.file === null;
    case "none":
      return door === "xml-object" || (door === "json-rpc" && x.call?.service === "object");
    default:
      return unreachable(named);
  }
}

const keptOutText = "This account is for administrators' networks only; nothing was tried.";

/** While Odoo tells of no attempt at all how it ended, a 500 is its own trouble and nobody's wrong password. */
const troubleMs = 60_000;

/** Why an attempt has to wait, for the person who reads it; whether the account exists is not told. */
function slowText(limit: string): string {
  return limit === "account-attacked"
    ? "Many wrong passwords are being tried for this account, so log-ins to it take turns. Browsers that have logged in before are not held up."
    : "Other log-ins from this address are not decided yet.";
}
