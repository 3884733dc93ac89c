import { ipKey64 } from "../base/ip.ts";
import { unreachable } from "../base/result.ts";
import { accountName } from "../guard/account-name.ts";
import type { Grant } from "../guard/limiter.ts";
import type { LoginReading } from "../guard/login-outcome.ts";
import { watchLogin } from "../guard/login-watch.ts";
import type { RequestFacts } from "../message/facts.ts";
import type { RunningExchange } from "../running.ts";
import type { RequestBody } from "../upstream/request-body.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** Attempts to log in: may they go to Odoo, and how did they end? */
export class LoginStage {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /** guard/jail: may this attempt to log in go to Odoo? It may wait for earlier ones of the same address. */
  async enter(x: RunningExchange, facts: RequestFacts, body: RequestBody | null): Promise<boolean> {
    const asked = body === null ? null : { call: x.call, memory: body.memory, whole: body.file === null };
    const watch = watchLogin(facts, asked);
    x.watch = watch;
    if (watch === null) return true;
    const { jail, devices, hashAccount } = this.#parts;
    const name = watch.isAttempt ? accountName(watch.door, facts, asked) : null;
    const account = name === null ? null : hashAccount(name);
    x.account = account;
    const rules = x.plan.jailRules;
    if (rules === null || x.isSpared(facts)) return true;
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
        this.#answer.exhausted(x, facts, entry.limit, entry.retryAfterSeconds);
        return false;
      case "banned":
        this.#answer.banned(x, entry.ban);
        return false;
      default:
        return unreachable(entry);
    }
  }

  /** How the attempt ended, for the limits, the jail and the log. */
  concluded(x: RunningExchange, facts: RequestFacts, grant: Grant, outcome: LoginReading["outcome"]): void {
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
}
