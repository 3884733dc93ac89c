import type { Socket } from "node:net";
import type { Clock } from "../base/clock.ts";
import { unreachable } from "../base/result.ts";
import type { FailureKind } from "../observe/events.ts";
import type { AnswerHead } from "./answer-reader.ts";
import { FileBody } from "./file-body.ts";
import type { Filestore } from "./filestore.ts";
import {
  connectTimeoutMs,
  connectTimeoutOfSeveralMs,
  UpstreamCall,
  type UpstreamListener,
  type UpstreamRequest,
} from "./forward.ts";
import type { HoldGate, HoldOutcome } from "./hold.ts";
import type { LaneName, Lanes, Shed, Waiting } from "./lanes.ts";
import type { LearntBound } from "./learnt-bound.ts";
import { noFilestore, readNamedFile } from "./named-file.ts";
import type { Pool } from "./pool.ts";
import type { PoolMember } from "./pool-member.ts";

/** Most members one request is sent to. */
export const triesMax = 3;
/**
 * An Odoo that hangs up without a byte after this long was killed over this very request (`limit_time_real`): sending it again would
 * kill the next worker.
 */
export const quickEndMs = 5_000;

const notWaitedRetrySeconds = 5;

/** Everything between the gateway and one kind of Odoo's ports. */
export interface Way {
  readonly pool: Pool;
  /** Shares the workers, known or not; null: there is nothing to share. */
  readonly lanes: Lanes | null;
  /** Holds requests while Odoo is away; null: they are told at once. */
  readonly hold: HoldGate | null;
  /** What a request learnt of a member, for marks and events. */
  readonly learnt: (member: PoolMember, kind: FailureKind | null, begunMs: number) => void;
  /** How many requests Odoo takes at once, where the lanes were not told; null: they were, or there are none. */
  readonly bound: LearntBound | null;
  /** Where files lie that Odoo leaves to us; null: nobody said. */
  readonly files: Filestore | null;
  readonly clock: Clock;
}

export interface Parcel {
  readonly request: UpstreamRequest;
  readonly lane: LaneName | null;
  /** Whose request it is, where others wait too: a session, or else an address. */
  readonly who: string;
  /** False: there is another answer (a stored copy); without a member and a worker at once it is not sent. */
  readonly mayWait: boolean;
  /** For members that sessions stay with. */
  readonly sessionId: string | null;
  /** The only database whose files the answer may name; null: whichever Odoo has chosen. */
  readonly database: string | null;
}

/** Who has requests and tunnels, and how many at the moment. */
export interface Counted {
  inFlight: number;
}

export interface DeliveryListener extends Omit<UpstreamListener, "tunnel" | "failure" | "stalled"> {
  /** After a head with status 101: the connection is the caller's from here on, and so is `member`'s count of it unless `abort` is called. */
  tunnel(socket: Socket, rest: Buffer, member: Counted): void;
  /** A try failed; another one or `failure` follows. */
  tryFailed(kind: FailureKind, detail: string, member: string): void;
  /** Odoo's fault, after every try that was allowed. */
  failure(kind: FailureKind): void;
  /** There was no place in time. */
  shed(shed: Shed): void;
}

const noneTried: readonly PoolMember[] = [];

/**
 * Brings one request to Odoo: waits while Odoo restarts, waits for a worker, chooses a member, sends. Sent again, to a member not
 * tried yet or after a wait, only when nothing reached Odoo, or when a request that changes nothing (RFC 9110 §9.2.1) came back
 * without a byte; never after a byte of the answer. With a member up and a worker free nothing waits and nothing is allocated
 * but this and the call.
 */
export class Delivery implements UpstreamListener {
  readonly #way: Way;
  readonly #parcel: Parcel;
  readonly #listener: DeliveryListener;
  #call: UpstreamCall | null = null;
  /** Counts us among its requests. */
  #at: PoolMember | null = null;
  #memberName: string | null = null;
  #tried: readonly PoolMember[] = noneTried;
  #tries = 0;
  #resent = false;
  #hasPlace = false;
  #waiting: Waiting | null = null;
  #holdUntilMs: number | null = null;
  #waitedSinceMs = 0;
  #waitedMs = 0;
  #sentMs = 0;
  #headMs: number | null = null;
  /** Odoo's answer, whose body is a file that it names. */
  #named: AnswerHead | null = null;
  #file: FileBody | null = null;
  /** Since when it is in its lane: waiting, or on a connection that never came about. */
  #inLaneSinceMs: number | null = null;
  /** Where it found the listen queue full. */
  #stalledAt: PoolMember | null = null;
  #over = false;

  constructor(way: Way, parcel: Parcel, listener: DeliveryListener) {
    this.#way = way;
    this.#parcel = parcel;
    this.#listener = listener;
  }

  /** Milliseconds spent waiting for Odoo or a worker. */
  get waitedMs(): number {
    return this.#waiting === null
      ? this.#waitedMs
      : this.#waitedMs + this.#way.clock.nowMs() - this.#waitedSinceMs;
  }

  /** Milliseconds from when it was sent last to the head of Odoo's answer; 0 while there is none. */
  get answeredAfterMs(): number {
    return this.#headMs === null ? 0 : this.#headMs - this.#sentMs;
  }

  /** How long it has been with Odoo, which gave no answer so far; null: it waits, or no connection came about, as `failure` says. */
  askedMs(failure: FailureKind | null): number | null {
    if (this.#call === null || this.#waiting !== null) return null;
    if (failure === "connect-refused" || failure === "connect-failed") return null;
    // What follows is our own disk's.
    if (this.#named !== null) return this.answeredAfterMs;
    return this.#way.clock.nowMs() - this.#sentMs;
  }

  /** The member it was sent to last. */
  get memberName(): string | null {
    return this.#memberName;
  }

  /** Odoo may have it. */
  get isSent(): boolean {
    return this.#call?.isSent === true;
  }

  /** One of so many workers is counted as busy with it; false where nobody knows how many there are. */
  get hasWorker(): boolean {
    return this.#hasPlace && this.#way.lanes?.capacity !== null;
  }

  start(): void {
    const { mayWait, request } = this.#parcel;
    if (this.#way.hold?.isClosed === true && mayWait && !request.wantsTunnel) this.#holdOn();
    else this.#takePlace();
  }

  /** The exchange is over: waits, places and connections are given up. After `tunnel` the connection is left alone. */
  abort(): void {
    this.#over = true;
    this.#waiting?.leave();
    this.#waiting = null;
    this.#call?.abort();
    this.#file?.close();
    this.#leave();
  }

  pause(): void {
    if (this.#file === null) this.#call?.pause();
    else this.#file.pause();
  }

  resume(): void {
    if (this.#file === null) this.#call?.resume();
    else this.#file.resume();
  }

  #holdOn(): void {
    const { hold, clock } = this.#way;
    if (hold === null) return this.#takePlace();
    this.#holdUntilMs ??= hold.deadlineMs();
    this.#waitedSinceMs = clock.nowMs();
    this.#waiting = hold.wait(this.#holdUntilMs, (outcome) => this.#held(outcome));
  }

  #held(outcome: HoldOutcome): void {
    if (this.#over) return;
    this.#waitIsOver();
    this.#tried = noneTried;
    this.#tries = 0;
    this.#inLaneSinceMs = null;
    switch (outcome) {
      case "go":
        return this.#takePlace();
      case "late":
      case "full":
        // A last try: probes may be wrong, and only a connection knows.
        this.#holdUntilMs = Number.NEGATIVE_INFINITY;
        return this.#takePlace();
      default:
        return unreachable(outcome);
    }
  }

  #takePlace(): void {
    const { lanes, clock } = this.#way;
    const { lane } = this.#parcel;
    if (lanes === null || lane === null) return this.#send();
    if (lanes.take(lane)) {
      this.#hasPlace = true;
      return this.#send();
    }
    if (!this.#parcel.mayWait) return queueMicrotask(() => this.#notSent(lane));
    this.#waitedSinceMs = clock.nowMs();
    this.#inLaneSinceMs ??= this.#waitedSinceMs;
    this.#waitForPlace(lanes, lane, this.#inLaneSinceMs);
  }

  #waitForPlace(lanes: Lanes, lane: LaneName, sinceMs: number): void {
    const placed = (shed: Shed | null) => {
      this.#waitIsOver();
      if (this.#over) {
        if (shed === null) lanes.release(lane);
        return;
      }
      if (shed === null) {
        this.#hasPlace = true;
        return this.#send();
      }
      this.#over = true;
      const at = this.#stalledAt;
      // It was no full Odoo: whoever had a connection got no answer either.
      if (shed.reason === "waited" && at !== null && at.crowd.answeredMs < sinceMs) this.#neverThere(at);
      else this.#listener.shed(shed);
    };
    this.#waiting = lanes.wait(lane, this.#parcel.who, placed, sinceMs);
  }

  #neverThere(member: PoolMember): void {
    const kind = "connect-timeout";
    this.#listener.tryFailed(kind, "no connection, and no answer to anybody since", member.name);
    this.#way.learnt(member, kind, this.#sentMs);
    this.#listener.failure(kind);
  }

  /** Nothing was sent: when Odoo is full, any method may go back to its lane, to the place it would have there. */
  stalled(): void {
    const { lanes, bound } = this.#way;
    const { lane, mayWait } = this.#parcel;
    const member = this.#at;
    if (this.#over || lanes === null || bound === null || lane === null || member === null) return;
    if (!bound.stalled(member.crowd, this.#sentMs)) return;
    this.#call?.abort();
    this.#call = null;
    this.#at = null;
    member.inFlight -= 1;
    this.#tried = noneTried;
    this.#tries = 0;
    if (mayWait) {
      this.#stalledAt = member;
      this.#inLaneSinceMs ??= this.#sentMs;
      // The second that was lost counts as waited.
      this.#waitedSinceMs = this.#sentMs;
      this.#waitForPlace(lanes, lane, this.#inLaneSinceMs);
    } else this.#notSent(lane);
    // Last: it may be the place that is given to this one again.
    this.#releasePlace();
  }

  #notSent(lane: LaneName): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.shed({ lane, reason: "queue-full", retryAfterSeconds: notWaitedRetrySeconds });
  }

  #waitIsOver(): void {
    this.#waiting = null;
    this.#waitedMs += this.#way.clock.nowMs() - this.#waitedSinceMs;
  }

  #send(): void {
    const { pool, clock } = this.#way;
    const member = pool.pick(this.#parcel.sessionId, this.#tried) ?? pool.member;
    this.#at = member;
    this.#memberName = member.name;
    member.inFlight += 1;
    this.#tries += 1;
    this.#sentMs = clock.nowMs();
    const connectMs = pool.members.length > 1 ? connectTimeoutOfSeveralMs : connectTimeoutMs;
    const call = new UpstreamCall(member, this.#parcel.request, this, connectMs);
    this.#call = call;
    call.start();
  }

  head(head: AnswerHead): void {
    const nowMs = this.#way.clock.nowMs();
    this.#headMs = nowMs;
    if (this.#at !== null) {
      this.#at.crowd.answeredMs = nowMs;
      this.#way.learnt(this.#at, null, this.#sentMs);
    }
    if (head.namesFile === true) this.#named = head;
    else this.#listener.head(head);
  }

  data(chunk: Buffer): void {
    this.#listener.data(chunk);
  }

  end(isLonger = false): void {
    this.#leave();
    if (this.#named === null) this.#listener.end(isLonger);
    else this.#sendFile(this.#named, isLonger);
  }

  /** Odoo is done with it: its worker is free, and the file takes the time it takes. */
  #sendFile(head: AnswerHead, isLonger: boolean): void {
    const { files } = this.#way;
    if (files === null) return this.#fileFailed("answer-malformed", noFilestore);
    if (isLonger)
      return this.#fileFailed("answer-malformed", "a field names a file, and there is a body too");
    const named = readNamedFile(head.fields, this.#parcel.database);
    if (!named.ok) return this.#fileFailed("answer-malformed", named.error);
    const { request, who } = this.#parcel;
    const isHeadOnly = request.method === "HEAD";
    this.#file = new FileBody(
      files,
      { head, file: named.value, owner: who, isHeadOnly, timeoutMs: request.answerTimeoutMs },
      {
        head: (filled) => this.#listener.head(filled),
        data: (chunk) => this.#listener.data(chunk),
        end: () => this.#listener.end(),
        failure: (kind, detail) => this.#fileFailed(kind, detail),
      },
    );
    this.#file.start();
  }

  /** No member's fault: Odoo has answered. */
  #fileFailed(kind: FailureKind, detail: string): void {
    if (this.#over) return;
    this.#over = true;
    this.#listener.tryFailed(kind, detail, this.#memberName ?? "");
    this.#listener.failure(kind);
  }

  tunnel(socket: Socket, rest: Buffer): void {
    // The connection is the listener's, and a worker's place is free.
    this.#call = null;
    this.#releasePlace();
    if (this.#at === null) socket.destroy();
    else this.#listener.tunnel(socket, rest, this.#at);
  }

  failure(kind: FailureKind, detail: string): void {
    if (this.#at !== null) this.#failed(this.#at, kind, detail);
  }

  #failed(member: PoolMember, kind: FailureKind, detail: string): void {
    this.#listener.tryFailed(kind, detail, member.name);
    const isQuick = this.#way.clock.nowMs() - this.#sentMs < quickEndMs;
    // Late, it was the end of this one request; the member may be well.
    const blames = !isOwnTrouble(detail) && (kind !== "closed-without-answer" || isQuick);
    if (blames) this.#way.learnt(member, kind, this.#sentMs);
    if (blames && isConnect(kind)) {
      if (this.#sendElsewhere(member)) return;
      this.#leave();
      if (this.#mayHold(kind)) {
        this.#way.hold?.close();
        return this.#holdOn();
      }
    } else if (blames && this.#mayResend(kind)) {
      this.#resent = true;
      if (this.#sendElsewhere(member)) return;
      this.#leave();
      if (this.#mayHold(kind)) return this.#ask();
    } else this.#leave();
    this.#over = true;
    this.#listener.failure(kind);
  }

  /** A request that changes nothing and came back without a byte may be asked again, once. */
  #mayResend(kind: FailureKind): boolean {
    const { method, body, wantsTunnel } = this.#parcel.request;
    if (kind !== "closed-without-answer" || this.#resent || body !== null || wantsTunnel) return false;
    return method === "GET" || method === "HEAD" || method === "OPTIONS";
  }

  /** To another member; the worker's place stays ours. */
  #sendElsewhere(member: PoolMember): boolean {
    const tried = [...this.#tried, member];
    if (this.#tries >= triesMax || this.#way.pool.pick(null, tried) === null) return false;
    member.inFlight -= 1;
    this.#tried = tried;
    this.#send();
    return true;
  }

  /** One member, and it hung up: was it one worker, or is Odoo stopping? */
  #ask(): void {
    const { hold, clock } = this.#way;
    if (hold === null) return;
    this.#waitedSinceMs = clock.nowMs();
    const waiting = { leave: () => {} };
    this.#waiting = waiting;
    void hold.ask().then(() => {
      if (this.#over) return;
      this.#waitIsOver();
      this.#tried = noneTried;
      this.#tries = 0;
      this.start();
    });
  }

  #mayHold(kind: FailureKind): boolean {
    const { hold } = this.#way;
    if (!this.#parcel.mayWait) return false;
    // A connection that hangs has waited already, and a tunnel's client comes back by itself.
    if (hold === null || kind === "connect-timeout" || this.#parcel.request.wantsTunnel) return false;
    return hold.mayHold && !hold.isPast(this.#holdUntilMs ?? hold.deadlineMs());
  }

  /** Not with Odoo any more. */
  #leave(): void {
    if (this.#at !== null) this.#at.inFlight -= 1;
    this.#at = null;
    this.#releasePlace();
  }

  #releasePlace(): void {
    if (!this.#hasPlace) return;
    this.#hasPlace = false;
    const { lane } = this.#parcel;
    if (lane !== null) this.#way.lanes?.release(lane);
  }
}

function isConnect(kind: FailureKind): boolean {
  return kind === "connect-refused" || kind === "connect-failed" || kind === "connect-timeout";
}

/** Sockets or ports have run out on our side: no other member will do better, and none is to blame. */
function isOwnTrouble(detail: string): boolean {
  return /^(?:EMFILE|ENFILE|EADDRNOTAVAIL|ENOBUFS|ENOMEM)$/.test(detail);
}
