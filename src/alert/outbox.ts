import type { Clock } from "../base/clock.ts";
import { unreachable } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import type { AlertHook } from "../settings/settings.ts";
import { bodyOf } from "./forms.ts";
import type { AlertMessage, AlertSender } from "./message.ts";
import type { Post, PostOutcome } from "./post.ts";

/** The first pause after a failed delivery, doubled with each that follows. */
export const deliverAgainMs = 5_000;
export const deliverAgainMsMax = 600_000;
/** A message that could not be delivered for so long is given up. */
export const messageMsMax = 86_400_000;

/** What became of messages since the start, all addresses together. */
export interface DeliveryCounts {
  /** Taken by a service. */
  delivered: number;
  /** Tries that came to nothing. */
  failed: number;
  /** Given up: refused, or too old. */
  dropped: number;
}

export interface OutboxParts {
  readonly post: Post;
  readonly clock: Clock;
  readonly sink: EventSink;
  readonly sender: () => AlertSender;
  readonly counts: DeliveryCounts;
}

interface Waiting {
  readonly message: AlertMessage;
  readonly sinceMs: number;
}

/**
 * Messages on their way to one address. One of each name waits at most: a newer one takes the place of an older one that was not
 * delivered, and says all that is left to say. One is sent at a time; after a failure all wait.
 */
export class Outbox {
  readonly hook: AlertHook;
  readonly #parts: OutboxParts;
  readonly #waiting = new Map<string, Waiting>();
  readonly #closing = new AbortController();
  #sending: Promise<void> | null = null;
  #failures = 0;
  #notBeforeMs = Number.NEGATIVE_INFINITY;
  /** What the last try came to; null: none was made. */
  last: { readonly wallMs: number; readonly words: string; readonly ok: boolean } | null = null;

  constructor(hook: AlertHook, parts: OutboxParts) {
    this.hook = hook;
    this.#parts = parts;
  }

  /** Messages that were not delivered yet. */
  get waiting(): number {
    return this.#waiting.size;
  }

  put(message: AlertMessage): void {
    const before = this.#waiting.get(message.name)?.message;
    // A beginning that nobody heard of is still the beginning.
    const sinceWallMs = before?.state === "firing" ? before.sinceWallMs : message.sinceWallMs;
    const whole = { ...message, sinceWallMs: Math.min(sinceWallMs, message.sinceWallMs) };
    this.#waiting.set(message.name, { message: whole, sinceMs: this.#parts.clock.nowMs() });
    this.pump();
  }

  /** Sends what may be sent now; called with each tick. */
  pump(): void {
    const nowMs = this.#parts.clock.nowMs();
    if (this.#sending !== null || this.#closing.signal.aborted || nowMs < this.#notBeforeMs) return;
    const [next] = this.#waiting.values();
    if (next === undefined) return;
    this.#sending = this.#send(next).finally(() => {
      this.#sending = null;
      this.pump();
    });
  }

  /** Sends this one beside all others. */
  try(message: AlertMessage): Promise<PostOutcome> {
    const { post, sender, clock } = this.#parts;
    const body = bodyOf(message, sender(), this.hook.format);
    return post(this.hook.url, body, this.#closing.signal, () => clock.wallMs());
  }

  /** Waits for what is being sent, `msMax` at most, and sends nothing more; answers what was not delivered. */
  async close(msMax: number): Promise<readonly AlertMessage[]> {
    const ended = new AbortController();
    const sending = this.#sending;
    // `pump` finds nothing to do any more, while what is on its way goes on.
    this.#notBeforeMs = Number.POSITIVE_INFINITY;
    if (sending !== null && msMax > 0)
      await Promise.race([sending, pause(msMax, ended.signal)]).finally(() => ended.abort());
    this.#closing.abort();
    await this.#sending;
    return [...this.#waiting.values()].map(({ message }) => message);
  }

  async #send(waiting: Waiting): Promise<void> {
    const { message, sinceMs } = waiting;
    const outcome = await this.try(message);
    if (this.#closing.signal.aborted && outcome.kind !== "taken") return;
    this.#note(outcome);
    const { clock, counts } = this.#parts;
    const isLate = clock.nowMs() - sinceMs >= messageMsMax;
    if (outcome.kind === "later" && !isLate) return;
    if (outcome.kind !== "taken") counts.dropped += 1;
    // Unless a newer one has taken its place.
    if (this.#waiting.get(message.name) === waiting) this.#waiting.delete(message.name);
  }

  #note(outcome: PostOutcome): void {
    const { clock, sink, counts } = this.#parts;
    const { words } = outcome;
    this.last = { wallMs: clock.wallMs(), words, ok: outcome.kind === "taken" };
    switch (outcome.kind) {
      case "taken":
        counts.delivered += 1;
        this.#failures = 0;
        return;
      case "refused": {
        counts.failed += 1;
        const detail = `${this.hook.shown} ${words}; the message is given up, try odoo-gateway alert test`;
        return sink.emit({ type: "warning", what: "ALERT_URL", detail });
      }
      case "later": {
        counts.failed += 1;
        this.#failures += 1;
        const ownMs = Math.min(deliverAgainMs * 2 ** Math.min(this.#failures - 1, 20), deliverAgainMsMax);
        const pauseMs = Math.max(ownMs, outcome.afterMs ?? 0);
        // A stop has said that nothing is sent any more.
        if (this.#notBeforeMs !== Number.POSITIVE_INFINITY) this.#notBeforeMs = clock.nowMs() + pauseMs;
        const detail = `${this.hook.shown} ${words}; the next try is in ${Math.round(pauseMs / 1_000)} s`;
        return sink.emit({ type: "warning", what: "ALERT_URL", detail });
      }
      default:
        return unreachable(outcome);
    }
  }
}

/** Resolves after so many milliseconds, or when it is called off. */
function pause(ms: number, off: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    const timer = setTimeout(resolve, ms);
    off.addEventListener("abort", () => {
      clearTimeout(timer);
      resolve();
    });
  });
}
