import { ipKey64 } from "../base/ip.ts";
import { unreachable } from "../base/result.ts";
import type { Coming, Found } from "../cache/cache.ts";
import type { FetchFile, Place } from "../cache/collapse.ts";
import type { Content } from "../cache/content.ts";
import { GrowingBytes, type Reading } from "../cache/growing.ts";
import type { PassedAnswer } from "../cache/passed.ts";
import { represent } from "../cache/represent.ts";
import { keyOf } from "../cache/rules.ts";
import type { Grant } from "../guard/limiter.ts";
import type { RequestFacts } from "../message/facts.ts";
import { firstField } from "../message/fields.ts";
import { readPriority } from "../message/priority.ts";
import type { FailureKind } from "../observe/events.ts";
import type { ForwardDecision } from "../policy/decision.ts";
import { mergeSecurity } from "../reply/security.ts";
import type { RunningExchange } from "../running.ts";
import { Delivery, type Parcel } from "../upstream/delivery.ts";
import { failureAnswer } from "../upstream/failure.ts";
import type { UpstreamRequest } from "../upstream/forward.ts";
import { linesOf, outboundLines } from "../upstream/outbound.ts";
import type { StagingPass } from "./admission.ts";
import type { Answering } from "./answering.ts";
import type { GatewayParts } from "./parts.ts";

/** What a fetch leaves in the record of who asked for it. */
export type FetchNotes = Pick<RunningExchange, "lane" | "queueMs" | "upstreamMs">;

/** Fetches one exchange waits for, when the first ended for want of a worker. */
const joinsMax = 3;

/** A file of at most this many bytes leaves in one write. */
const wholeBytesMax = 64 * 1024;

/** A browser that takes something ahead of its next page (`Sec-Purpose: prefetch`) gets it so long after it asked: pages are there by then. */
const prefetchAfterMs = 1_000;

/** An answer of Odoo that has begun, and is this exchange's own from here on. */
export type AdoptedAnswer = NonNullable<ReturnType<PassedAnswer["take"]>>;

/** Odoo's public files: out of memory, or fetched once for everybody who waits. */
export class Files {
  readonly #parts: GatewayParts;
  readonly #answer: Answering;
  /** Requests that a client has taken over: he tells what fails. */
  readonly #adopted = new WeakSet<object>();

  constructor(parts: GatewayParts, answer: Answering) {
    this.#parts = parts;
    this.#answer = answer;
  }

  /** cache: "answered", or the exchange goes on to Odoo, where it may find its answer begun already. */
  async answer(
    x: RunningExchange,
    facts: RequestFacts,
    decision: ForwardDecision,
    staging: StagingPass,
    grant: Grant,
  ): Promise<"answered" | AdoptedAnswer | null> {
    const { cache } = this.#parts;
    if (!x.plan.settings.cache.on) return null;
    x.cache = "pass";
    const key = keyOf(facts, staging.dropAuthorization);
    if (key === null) return null;
    const mayFetch = facts.method === "GET" && firstField(facts.fields, "range") === null;
    const fetchFile = this.fetchFile(x, decision);
    const looked = cache.find(key, facts, mayFetch, fetchFile);
    const found =
      looked.kind === "wait"
        ? await this.#wait(x, looked, () => cache.find(key, facts, mayFetch, fetchFile))
        : looked;
    if (found === null) {
      grant.settle("unknown");
      return "answered";
    }
    switch (found.kind) {
      case "pass":
        x.holding?.over();
        x.holding = null;
        return mayFetch ? this.#adopt(facts, found.answer) : null;
      case "entry":
        grant.settle("unknown");
        if (isPrefetch(facts)) await atRest(x);
        if (!x.isOver) this.#send(x, facts, staging, found);
        return "answered";
      case "failed": {
        grant.settle(found.failure.startsWith("connect-") ? "unsent" : "unknown");
        x.cache = "miss";
        if (found.failure === "no-worker") x.verdict = "shed";
        this.#fail(x, found.failure);
        return "answered";
      }
      default:
        return unreachable(found);
    }
  }

  /**
   * Waits for the fetch that is under way; null: the exchange ended meanwhile. Who began it may have had no place in Odoo's queue, which
   * says nothing of those who joined: they look again, and one of them begins the next.
   */
  async #wait(x: RunningExchange, first: Coming, find: () => Found | Coming): Promise<Found | null> {
    let { place, found: coming } = first;
    for (let joined = 1; ; joined += 1) {
      const leave = place.leave;
      x.holding = { over: leave };
      const found = await coming;
      if (x.isOver) return null;
      const isOthers = found.kind === "failed" && found.failure === "no-worker" && !place.isFirst;
      if (!isOthers || joined === joinsMax) return found;
      leave();
      x.holding = null;
      const next = find();
      if (next.kind !== "wait") return next;
      ({ place, found: coming } = next);
    }
  }

  /** To somebody without a cookie, what nobody in particular got is the very answer he would get. */
  #adopt(facts: RequestFacts, answer: PassedAnswer | null): AdoptedAnswer | null {
    if (firstField(facts.fields, "cookie") !== null) return null;
    const adopted = answer?.take() ?? null;
    if (adopted !== null) this.#adopted.add(adopted.call);
    return adopted;
  }

  /** Asks Odoo for a file as nobody in particular: no cookie, nothing a client chose but the address of the file. */
  fetchFile(x: RunningExchange, decision: ForwardDecision, notes: FetchNotes = x): FetchFile {
    return (asked, listener) => {
      const { ways, sink } = this.#parts;
      const way = ways[decision.pool];
      const facts: RequestFacts = { ...asked.facts, likeness: null, fields: [], sessionId: null };
      const database = x.plan.databaseOf(facts.host);
      const lines = outboundLines(facts, {
        exchangeId: x.id,
        bodyBytes: null,
        keepAlive: way.pool.keepAlive,
        keepDatabaseField: false,
        database,
        sessionCookie: x.plan.site.sessionCookie,
        ownCookie: null,
        dropAuthorization: true,
        identityOnly: true,
      });
      const request: UpstreamRequest = {
        method: "GET",
        target: facts.target,
        lines: lines + linesOf(["Accept", "*/*", ...asked.fields]),
        body: null,
        answerTimeoutMs: Math.min(
          asked.answerTimeoutMs ?? decision.answerTimeoutMs,
          decision.answerTimeoutMs,
        ),
        wantsTunnel: false,
      };
      let detail = "";
      const parcel: Parcel = {
        request,
        // For everybody who waits: a crawler's question comes no later than a visitor's.
        lane: way.lanes === null ? null : x.sessionKey === null ? "site" : "user",
        who: x.sessionKey ?? ipKey64(asked.facts.client),
        // With a stored copy at hand nobody waits for Odoo.
        mayWait: asked.answerTimeoutMs === null,
        sessionId: null,
        database,
      };
      notes.lane = parcel.lane;
      const call = new Delivery(way, parcel, {
        head: (head) => {
          notes.queueMs = call.waitedMs;
          notes.upstreamMs = call.answeredAfterMs;
          listener.head(head);
        },
        data: (chunk) => listener.data(chunk),
        end: (isLonger) => listener.end(isLonger),
        tunnel: (socket) => socket.destroy(),
        tryFailed: (failure, what, member) => {
          detail = what;
          if (this.#adopted.has(call)) return;
          sink.emit({ type: "upstream-failed", id: x.id, failure, member, detail });
        },
        shed: ({ lane, reason }) => {
          const queueMs = Math.round(call.waitedMs);
          notes.queueMs = call.waitedMs;
          const client = asked.facts.client.text;
          // Who has the copy is turned away by nobody.
          if (parcel.mayWait)
            sink.emit({ type: "shed", id: x.id, client, lane, reason, queueMs, rule: x.rule });
          listener.failure("no-worker", reason);
        },
        failure: (failure) => {
          notes.queueMs = call.waitedMs;
          notes.upstreamMs ??= call.askedMs(failure);
          listener.failure(failure, detail);
        },
      });
      call.start();
      return call;
    };
  }

  #send(
    x: RunningExchange,
    facts: RequestFacts,
    staging: StagingPass,
    { entry, word, place }: Extract<Found, { kind: "entry" }>,
  ): void {
    x.cache = word;
    const nowMs = this.#parts.clock.nowMs();
    const known = this.#parts.cache.hints.urgencyOf(facts);
    const urgency = known ?? readPriority(firstField(facts.fields, "priority")).urgency;
    const { status, fields, body } = represent(entry, facts, nowMs, x.plan.settings.compression, urgency);
    const out: string[] = [];
    mergeSecurity(x.security(), fields, out);
    if (staging.setCookie !== null) out.push("Set-Cookie", staging.setCookie);
    if (x.crossOrigin !== null) out.push(...x.crossOrigin.fields);
    // RFC 9218 §8: the answer's word goes before the browser's.
    if (known !== null) out.push("Priority", `u=${known}`);
    x.status = status;
    switch (body.kind) {
      case "none":
        return x.down.answer(status, out, null, false);
      case "part":
        return this.#sendBytes(x, status, out, entry.content, partOf(body.part), place);
      case "bytes":
        return this.#sendBytes(x, status, out, entry.content, body.bytes, place);
      default:
        return unreachable(body);
    }
  }

  /** At the client's pace: a slow one holds a piece or two, the file itself is there once for all. */
  #sendBytes(
    x: RunningExchange,
    status: number,
    fields: string[],
    content: Content,
    bytes: GrowingBytes,
    place: Place | null,
  ): void {
    const { down } = x;
    if (bytes.state === "failed") return this.#fail(x, "answer-cut");
    const whole = bytes.buffer;
    if (whole !== null && (whole.length <= wholeBytesMax || down.method === "HEAD")) {
      if (down.method !== "HEAD") x.bytesOut += whole.length;
      return down.answer(status, fields, whole, false);
    }
    if (down.method === "HEAD") {
      down.start(status, fields, { kind: "none" });
      return down.end();
    }
    down.start(status, fields, whole === null ? { kind: "stream" } : { kind: "length", bytes: whole.length });
    const leave = content.enter();
    let reading: Reading | null = null;
    let isOver = false;
    x.holding = {
      over: () => {
        isOver = true;
        reading?.close();
        leave();
        place?.leave();
      },
    };
    down.onDrain(() => reading?.drained());
    reading = bytes.read({
      write: (piece) => {
        x.bytesOut += piece.length;
        return down.write(piece);
      },
      end: () => down.end(),
      fail: () => x.cut(),
    });
    if (isOver) reading.close();
  }

  #fail(x: RunningExchange, failure: FailureKind): void {
    x.failure = failure;
    const { status, sentence, retryAfterSeconds } = failureAnswer(failure);
    this.#answer.error(x, status, sentence, { retryAfterSeconds });
  }
}

function isPrefetch({ fields }: RequestFacts): boolean {
  return firstField(fields, "sec-purpose")?.startsWith("prefetch") === true;
}

/** What a browser takes for its next page would be in the way of what this page still asks for: once on the line, nothing overtakes it. */
function atRest(x: RunningExchange): Promise<void> {
  const before = x.holding;
  return new Promise((resolve) => {
    const timer = setTimeout(() => {
      x.holding = before;
      resolve();
    }, prefetchAfterMs);
    x.holding = {
      over: () => {
        clearTimeout(timer);
        before?.over();
        resolve();
      },
    };
  });
}

/** A small part is copied: a client that does not read it would hold the whole file by it. */
function partOf(part: Buffer): GrowingBytes {
  return GrowingBytes.whole(part.length <= wholeBytesMax ? Buffer.from(part) : part);
}
