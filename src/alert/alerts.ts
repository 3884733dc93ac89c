import type { Clock } from "../base/clock.ts";
import { err, ok, type Result } from "../base/result.ts";
import type { EventSink } from "../observe/events.ts";
import type { AlertHook, AlertSettings } from "../settings/settings.ts";
import { type AlertMessage, type AlertSender, testMessage } from "./message.ts";
import { type DeliveryCounts, Outbox } from "./outbox.ts";
import type { Post, PostOutcome } from "./post.ts";
import { messagesPerHourMax, Teller } from "./teller.ts";
import { type AlertReading, AlertWatch } from "./watch.ts";

/** How often it is looked how things stand; more often where ALERT_AFTER is shorter than four looks. */
export const alertLookMs = 5_000;
/** How long a stop waits for messages that are on their way. */
export const alertStopMs = 2_000;

export interface AlertsParts {
  readonly clock: Clock;
  readonly sink: EventSink;
  /** Those that hold now. */
  readonly settings: () => AlertSettings;
  readonly sender: () => AlertSender;
  /** How things stand; asked while there is somebody to tell, and bounded by itself. */
  readonly read: () => Promise<AlertReading>;
  /** Left out: over the network. */
  readonly post?: Post;
}

/** What one address answered to a test. */
export interface TestResult {
  /** Without its secret. */
  readonly to: string;
  readonly format: string;
  readonly taken: boolean;
  readonly words: string;
}

/** For `odoo-gateway alert`. */
export interface AlertState {
  readonly hooks: readonly {
    readonly to: string;
    readonly format: string;
    readonly waiting: number;
    readonly last: { readonly wallMs: number; readonly words: string; readonly ok: boolean } | null;
  }[];
  readonly firing: readonly AlertMessage[];
  readonly counts: Readonly<DeliveryCounts>;
}

/** Loaded with the first message: who has no ALERT_URL pays nothing for it. */
const networkPost: Post = async (...asked) => (await import("./post.ts")).post(...asked);

/**
 * Tells people what needs them, and when it is over. One a gateway: with several processes the one that looks after the others. Without
 * ALERT_URL nothing is looked at and no timer runs.
 */
export class Alerts {
  readonly #parts: AlertsParts;
  readonly #counts: DeliveryCounts = { delivered: 0, failed: 0, dropped: 0 };
  readonly #post: Post;
  #outboxes: readonly Outbox[] = [];
  #watch: AlertWatch;
  #teller: Teller;
  #timer: NodeJS.Timeout | null = null;
  #everyMs = 0;
  #isLooking = false;
  #isStopped = false;
  #hasFailed = false;

  constructor(parts: AlertsParts) {
    this.#parts = parts;
    this.#post = parts.post ?? networkPost;
    this.#watch = new AlertWatch(parts.clock);
    this.#teller = new Teller(parts.clock);
  }

  get isOn(): boolean {
    return this.#outboxes.length > 0;
  }

  get figures(): DeliveryCounts & { readonly firing: readonly string[] } {
    return { ...this.#counts, firing: this.#teller.firing().map(({ name }) => name) };
  }

  get state(): AlertState {
    const hooks = this.#outboxes.map(({ hook, waiting, last }) => ({
      to: hook.shown,
      format: hook.format,
      waiting,
      last,
    }));
    return { hooks, firing: this.#teller.firing(), counts: { ...this.#counts } };
  }

  /**
   * Takes the settings that hold now: at the start, and after a reload. What waits for an address that is gone goes to the new ones, and
   * those are told what is wrong at the moment.
   */
  configure(): void {
    if (this.#isStopped) return;
    const { hooks, afterMs } = this.#parts.settings();
    const kept = this.#outboxes.filter(({ hook }) => hooks.some((one) => isSame(one, hook)));
    const gone = this.#outboxes.filter((one) => !kept.includes(one));
    const fresh: Outbox[] = [];
    this.#outboxes = hooks.map((hook) => {
      const known = kept.find((one) => isSame(one.hook, hook));
      if (known !== undefined) return known;
      const made = this.#outbox(hook);
      fresh.push(made);
      return made;
    });
    for (const message of this.#teller.firing()) for (const one of fresh) one.put(message);
    for (const one of gone) void this.#moveOn(one, fresh);
    if (hooks.length === 0) this.#forget();
    this.#run(hooks.length === 0 ? 0 : Math.max(250, Math.min(alertLookMs, Math.floor(afterMs / 4))));
  }

  /** One look. Never rejects; while one is under way another one does nothing. */
  async tick(): Promise<void> {
    if (this.#isLooking || this.#isStopped || !this.isOn) return;
    this.#isLooking = true;
    try {
      const reading = await this.#parts.read();
      // It was turned off, or stops, meanwhile.
      if (!this.#isStopped && this.isOn) this.#tell(reading);
      this.#hasFailed = false;
    } catch (error) {
      // Our own bug, told once and not with each look.
      if (this.#hasFailed) return;
      this.#hasFailed = true;
      const detail = error instanceof Error ? (error.stack ?? error.message) : String(error);
      this.#parts.sink.emit({ type: "error", what: "alerts", detail });
    } finally {
      this.#isLooking = false;
      for (const one of this.#outboxes) one.pump();
    }
  }

  /** Sends a test to every address at once; an error is why there is nobody to send it to. */
  async test(): Promise<Result<readonly TestResult[], string>> {
    if (!this.isOn) return err("ALERT_URL is not set: nobody is told");
    return ok(await sendTest(this.#outboxes, this.#parts.clock.wallMs()));
  }

  /** Looks no more; what is on its way gets `alertStopMs`. */
  async stop(): Promise<void> {
    this.#isStopped = true;
    this.#run(0);
    await Promise.all(this.#outboxes.map((one) => one.close(alertStopMs)));
  }

  #outbox(hook: AlertHook): Outbox {
    const { clock, sink, sender } = this.#parts;
    return new Outbox(hook, { post: this.#post, clock, sink, sender, counts: this.#counts });
  }

  #tell(reading: AlertReading): void {
    const { sink, settings } = this.#parts;
    const wasHeldBack = this.#teller.isHeldBack;
    for (const message of this.#teller.update(this.#watch.look(reading, settings().afterMs))) {
      const { name, state, severity, summary } = message;
      if (state !== "test") sink.emit({ type: "alert", name, state, severity, summary });
      for (const one of this.#outboxes) one.put(message);
    }
    if (!wasHeldBack && this.#teller.isHeldBack) {
      const detail = `${messagesPerHourMax} messages in an hour are enough; what is left is told when there is room`;
      sink.emit({ type: "warning", what: "alerts", detail });
    }
  }

  async #moveOn(gone: Outbox, fresh: readonly Outbox[]): Promise<void> {
    const left = await gone.close(0);
    for (const one of fresh) {
      // What is wrong now is told there already, in words of now.
      const told = new Set(this.#teller.firing().map(({ name }) => String(name)));
      for (const message of left) if (!told.has(message.name)) one.put(message);
    }
    if (fresh.length === 0) this.#counts.dropped += left.length;
  }

  /** Nobody is told any more: who is told later hears from the beginning. */
  #forget(): void {
    this.#watch = new AlertWatch(this.#parts.clock);
    this.#teller = new Teller(this.#parts.clock);
  }

  #run(everyMs: number): void {
    if (everyMs === this.#everyMs) return;
    this.#everyMs = everyMs;
    if (this.#timer !== null) clearInterval(this.#timer);
    this.#timer = everyMs === 0 ? null : setInterval(() => void this.tick(), everyMs).unref();
  }
}

/** A test for these addresses, without a gateway that runs. */
export function testHooks(
  hooks: readonly AlertHook[],
  sender: AlertSender,
  clock: Clock,
): Promise<readonly TestResult[]> {
  const sink = { emit() {} };
  const counts = { delivered: 0, failed: 0, dropped: 0 };
  const parts = { post: networkPost, clock, sink, sender: () => sender, counts };
  return sendTest(
    hooks.map((hook) => new Outbox(hook, parts)),
    clock.wallMs(),
  );
}

function sendTest(outboxes: readonly Outbox[], wallMs: number): Promise<readonly TestResult[]> {
  const message = testMessage(wallMs);
  return Promise.all(
    outboxes.map(async (one) => {
      const { kind, words }: PostOutcome = await one.try(message);
      return { to: one.hook.shown, format: one.hook.format, taken: kind === "taken", words };
    }),
  );
}

function isSame(a: AlertHook, b: AlertHook): boolean {
  return a.url === b.url && a.format === b.format;
}
