import type { Clock } from "../base/clock.ts";
import type { EventSink, FailureKind } from "../observe/events.ts";
import type { Pool } from "./pool.ts";
import type { PoolMember } from "./pool-member.ts";
import { healthPaths, type ProbeAnswer, probe } from "./probe.ts";

/** How often members that could be replaced by others are probed. */
export const probeIntervalMs = 5_000;
/** So many silent probes in a row, without an answer to anybody in between, are a failure. */
const silentProbesMax = 3;

export interface PoolWatchOptions {
  readonly sink: EventSink;
  readonly clock: Clock;
  /** The number of members that are up may have changed. */
  readonly onChange: (membersUp: number) => void;
}

/**
 * What is known of a pool's members: marks from requests that failed, and probes. A single member is neither marked aloud nor probed:
 * there is nothing to choose.
 */
export class PoolWatch {
  readonly #pool: Pool;
  readonly #options: PoolWatchOptions;
  #timer: NodeJS.Timeout | null = null;
  #isProbing = false;

  constructor(pool: Pool, options: PoolWatchOptions) {
    this.#pool = pool;
    this.#options = options;
  }

  start(): void {
    this.recount();
    this.#timer = setInterval(() => void this.round(), probeIntervalMs);
    this.#timer.unref();
    void this.round();
  }

  stop(): void {
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = null;
  }

  /** A request learnt something: a failure, or null for an answer. */
  learnt(member: PoolMember, kind: FailureKind | null, begunMs: number): void {
    const nowMs = this.#options.clock.nowMs();
    if (kind === null) {
      member.silentProbes = 0;
      if (member.health.answered(begunMs, nowMs)) this.#up(member);
    } else if (isMark(kind) && member.health.failed(nowMs)) this.#down(member, kind);
  }

  /** Probes every member, when there are several. Never rejects. */
  async round(): Promise<void> {
    const { members } = this.#pool;
    if (members.length === 1 || this.#isProbing) return;
    this.#isProbing = true;
    await Promise.all(members.map((member) => this.#probe(member)));
    this.#isProbing = false;
    this.recount();
  }

  /** Is any member up: for those who wait. Each answer counts like that of a round. */
  async look(): Promise<ProbeAnswer> {
    const answers = await Promise.all(this.#pool.members.map((member) => this.#probe(member)));
    if (answers.includes("up")) return "up";
    return answers.includes("silent") ? "silent" : "down";
  }

  async #probe(member: PoolMember): Promise<ProbeAnswer> {
    const { clock } = this.#options;
    const begunMs = clock.nowMs();
    const answer = await probe(member, healthPaths[this.#pool.name]);
    member.silentProbes = answer === "silent" ? member.silentProbes + 1 : 0;
    if (answer === "up") this.learnt(member, null, begunMs);
    else if (answer === "down" || member.silentProbes >= silentProbesMax) {
      const nowMs = clock.nowMs();
      if (member.health.failed(nowMs))
        this.#down(member, answer === "down" ? "connect-failed" : "answer-timeout");
      // Until the next probe no request is the one that finds out.
      member.health.staysDown(nowMs + 2 * probeIntervalMs);
    }
    return answer;
  }

  #up(member: PoolMember): void {
    if (this.#pool.members.length > 1)
      this.#options.sink.emit({ type: "member-up", pool: this.#pool.name, member: member.name });
    this.recount();
  }

  #down(member: PoolMember, why: FailureKind): void {
    if (this.#pool.members.length > 1)
      this.#options.sink.emit({ type: "member-down", pool: this.#pool.name, member: member.name, why });
    this.recount();
  }

  /** Tells how many members are up; also after the members themselves have changed. */
  recount(): void {
    const nowMs = this.#options.clock.nowMs();
    let up = 0;
    for (const member of this.#pool.members) {
      if (!member.isBackup && member.health.isUp(nowMs)) up += 1;
    }
    this.#options.onChange(up);
  }
}

/** What says something about a member, and not only about one request. */
function isMark(kind: FailureKind): boolean {
  switch (kind) {
    case "connect-refused":
    case "connect-timeout":
    case "connect-failed":
    case "closed-without-answer":
      return true;
    case "answer-timeout":
    case "answer-malformed":
    case "answer-cut":
    case "body-stalled":
    case "spool-full":
    case "file-unreadable":
    case "no-worker":
      return false;
  }
}
