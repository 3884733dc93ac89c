import { unreachable } from "../base/result.ts";
import type { CspReportDoor } from "../guard/csp-reports.ts";
import type { Jail, Ticket } from "../guard/jail.ts";
import type { JailRules } from "../guard/jail-rules.ts";
import type { Exhausted, Grant, LendingLimiter, Outcome } from "../guard/limiter.ts";
import type { PendingAccounts } from "../guard/pending-accounts.ts";
import type { SessionTrailDoor } from "../guard/session-sightings.ts";
import type { KnownSessions } from "../guard/sessions.ts";
import type { SharedPeers } from "../guard/shared-peers.ts";
import type { Limit } from "../policy/decision.ts";
import { Lending } from "./lending.ts";
import type { Ask, Reply, Tell, ToWorker } from "./messages.ts";

/** The supervisor's own: the gateway's limiter, jail and sessions, of which there is one each. */
export interface OwnerParts {
  readonly limiter: LendingLimiter;
  readonly jail: Jail;
  readonly sessions: KnownSessions;
  readonly pendingAccounts: PendingAccounts;
  readonly sessionTrails: SessionTrailDoor;
  readonly sharedPeers: SharedPeers;
  readonly cspReports: CspReportDoor;
  /** Of the plan that holds; null: nobody is banned. */
  readonly jailRules: () => JailRules | null;
  /** Looks, and tells what is new. */
  readonly lookAtBus: () => void;
}

/** Everything that is counted once for all workers. */
export class Owner {
  readonly parts: OwnerParts;
  readonly lending: Lending;
  readonly seats = new Set<Seat>();
  readonly #tunnels = new Map<string, number>();

  constructor(parts: OwnerParts) {
    this.parts = parts;
    this.lending = new Lending(parts.limiter);
  }

  /** A place for one worker; `send` gives it a message. */
  seat(send: (message: ToWorker) => void): Seat {
    const seat = new Seat(this, send);
    this.seats.add(seat);
    return seat;
  }

  /** One more tunnel of this client, unless it has `most`. */
  takeTunnel(client: string, most: number): boolean {
    const open = this.#tunnels.get(client) ?? 0;
    if (open >= most) return false;
    this.#tunnels.set(client, open + 1);
    return true;
  }

  freeTunnels(client: string, count: number): void {
    const left = (this.#tunnels.get(client) ?? 0) - count;
    if (left > 0) this.#tunnels.set(client, left);
    else this.#tunnels.delete(client);
  }
}

/** One worker's side: what it was granted, so that nothing of it stays counted when it is gone. */
export class Seat {
  readonly send: (message: ToWorker) => void;
  readonly #owner: Owner;
  /** Attempts under way, by the number of their question; the owner's bounds on what waits bound it too. */
  readonly #granted = new Map<number, Grant | Ticket>();
  readonly #tunnels = new Map<string, number>();
  #replies: Reply[] = [];
  #ended = false;

  constructor(owner: Owner, send: (message: ToWorker) => void) {
    this.#owner = owner;
    this.send = send;
  }

  /** What the worker asks and tells, in its order. */
  take(items: readonly (Ask | Tell)[]): void {
    for (const item of items) {
      if ("ask" in item) this.#ask(item);
      else this.#hear(item);
    }
  }

  /** The worker is gone: its attempts ended nobody knows how, its tunnels are closed. */
  end(): void {
    if (this.#ended) return;
    this.#ended = true;
    this.#owner.seats.delete(this);
    for (const attempt of this.#granted.values()) attempt.settle("unknown");
    this.#granted.clear();
    for (const [client, count] of this.#tunnels) this.#owner.freeTunnels(client, count);
    this.#tunnels.clear();
    this.#owner.lending.forget(this);
  }

  #ask(item: Ask): void {
    switch (item.ask) {
      case "limit":
        return this.#limit(item, true);
      case "enter":
        return this.#enter(item);
      case "ban": {
        const ban = this.#owner.parts.jail.banOf(item.address);
        return this.#reply({ id: item.id, answer: "ban", ban });
      }
      case "tunnel": {
        const ok = this.#owner.takeTunnel(item.client, item.most);
        if (ok) this.#tunnels.set(item.client, (this.#tunnels.get(item.client) ?? 0) + 1);
        return this.#reply({ id: item.id, answer: "tunnel", ok });
      }
      default:
        return unreachable(item);
    }
  }

  #hear(item: Tell): void {
    const { parts, lending } = this.#owner;
    switch (item.tell) {
      case "settle": {
        const attempt = this.#granted.get(item.id);
        this.#granted.delete(item.id);
        return attempt === undefined ? undefined : settle(attempt, item.outcome);
      }
      case "failed": {
        const rules = parts.jailRules();
        return rules === null ? undefined : parts.jail.failed(item.attempt, rules);
      }
      case "scanned": {
        const rules = parts.jailRules();
        return rules === null ? undefined : parts.jail.scanned(item, rules);
      }
      case "tunnel-ended": {
        const left = (this.#tunnels.get(item.client) ?? 0) - 1;
        if (left < 0) return;
        if (left === 0) this.#tunnels.delete(item.client);
        else this.#tunnels.set(item.client, left);
        return this.#owner.freeTunnels(item.client, 1);
      }
      case "session":
        parts.sessions.mirror(item.key, item.known);
        for (const seat of this.#owner.seats)
          if (seat !== this) seat.send({ type: "sessions", keys: [item.key], known: item.known });
        return;
      case "sighting":
        return parts.sessionTrails.saw(item.sighting);
      case "pending":
        parts.pendingAccounts.mirror(item.key, item.account);
        for (const seat of this.#owner.seats)
          if (seat !== this) seat.send({ type: "pending", entries: [[item.key, item.account]] });
        return;
      case "csp-reports":
        return parts.cspReports.take(item.client, item.reading);
      case "shared-peer":
        return parts.sharedPeers.mirror(item.address);
      case "bus":
        return parts.lookAtBus();
      case "lease-over":
        return lending.over(this, item.limit, item.key, item.points);
      default:
        return unreachable(item);
    }
  }

  /** `mayRecall`: a refusal is looked at a second time, when points that others hold came back. */
  #limit(item: Extract<Ask, { ask: "limit" }>, mayRecall: boolean): void {
    if (this.#ended) return;
    const asked = this.#owner.parts.limiter.check(item.limits, item.keys);
    if (asked instanceof Promise) void asked.then((answer) => this.#limited(item, answer, mayRecall));
    else this.#limited(item, asked, mayRecall);
  }

  #limited(item: Extract<Ask, { ask: "limit" }>, answer: Grant | Exhausted, mayRecall: boolean): void {
    const { id, limits, keys } = item;
    if (this.#ended) return answer.ok ? answer.settle("unknown") : undefined;
    if (!answer.ok) {
      const limit = limits.find(({ name }) => name === answer.limit);
      const again = () => this.#limit(item, false);
      if (mayRecall && limit !== undefined && this.#owner.lending.recall(limit, keys, again)) return;
      return this.#reply({ id, answer: "exhausted", exhausted: answer });
    }
    if (limits.some(isRefunded)) {
      this.#granted.set(id, answer);
      return this.#reply({ id, answer: "granted", leases: [] });
    }
    this.#reply({ id, answer: "granted", leases: this.#owner.lending.lend(this, limits, keys) });
  }

  #enter({ id, attempt }: Extract<Ask, { ask: "enter" }>): void {
    const rules = this.#owner.parts.jailRules();
    if (rules === null) return this.#reply({ id, answer: "entry", entry: { kind: "go" } });
    const asked = this.#owner.parts.jail.enter(attempt, rules);
    const answered = (entry: Awaited<typeof asked>) => {
      if (entry.kind !== "go") return this.#reply({ id, answer: "entry", entry });
      if (this.#ended) return entry.settle("unknown");
      this.#granted.set(id, entry);
      this.#reply({ id, answer: "entry", entry: { kind: "go" } });
    };
    if (asked instanceof Promise) void asked.then(answered);
    else answered(asked);
  }

  /** Replies that come up together travel together. */
  #reply(reply: Reply): void {
    if (this.#ended) return;
    if (this.#replies.push(reply) > 1) return;
    process.nextTick(() => this.#flush());
  }

  /** Wants back what the worker holds of one key. Behind the replies: one of them may be what lends it. */
  recall(limit: Limit, key: string): void {
    this.#flush();
    this.send({ type: "recall", limit, key });
  }

  #flush(): void {
    if (this.#replies.length === 0) return;
    const replies = this.#replies;
    this.#replies = [];
    this.send({ type: "replies", replies });
  }
}

function settle(attempt: Grant | Ticket, outcome: Outcome): void {
  // A ticket of the jail knows no "unsent": nothing was learnt, which is what "unknown" says.
  if ("ok" in attempt) attempt.settle(outcome);
  else attempt.settle(outcome === "unsent" ? "unknown" : outcome);
}

function isRefunded(limit: Limit): boolean {
  return limit.refund;
}
