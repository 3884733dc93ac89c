/**
 * RFC 9218: what the client said of how much it wants an answer. `urgency` 0 (first) to 7; `incremental`: parts of it are of use, so
 * that it may share the connection with others.
 */
export interface Priority {
  readonly urgency: number;
  readonly incremental: boolean;
}

/** The client said nothing: the urgency of RFC 9218 §4.1, and it shares, as clients that know no priorities expect. */
const unsaid: Priority = { urgency: 3, incremental: true };

/** The `priority` field's value; null, or what cannot be read: not said (RFC 9218 §4). */
export function readPriority(value: string | null): Priority {
  if (value === null) return unsaid;
  const urgency = /(?:^|,) *u=([0-7]) *(?:$|,)/.exec(value)?.[1];
  return {
    urgency: urgency === undefined ? unsaid.urgency : Number(urgency),
    incremental: /(?:^|,) *i(?:=\?1)? *(?:$|,)/.test(value),
  };
}

/** Bytes that those ahead may send before one who waits sends a piece too: a download of gigabytes keeps nobody from working. */
export const passedBytesMax = 256 * 1024;
/** Those ahead whose client takes nothing of them for this long are ahead of nobody, until it does again. */
export const aheadIdleMs = 100;

/** The most urgent that are sending; of them, the one asked for first that is of no use in parts. */
interface Lead {
  readonly urgency: number;
  readonly number: number;
}

/** The stream of an answer. */
export interface Outlet {
  /** Bytes that were written and that the connection has not taken yet. */
  readonly writableLength: number;
  /** False: enough for now. `taken`: the connection has them. */
  write(chunk: Buffer, taken: () => void): boolean;
}

/**
 * The answers of one HTTP/2 session that are being sent, in their client's order: the more urgent first, of the same urgency one after
 * the other, but for those of which parts are of use (RFC 9218 §10). Node knows no priorities and sends what its streams hold; so who is
 * behind somebody with bytes under way is told to wait before it writes more. What is ahead and has nothing to send stops nobody.
 */
export class SendOrder {
  /** At most the streams of a session. */
  readonly #senders = new Set<Sender>();
  #waiting = 0;
  #look: NodeJS.Timeout | null = null;

  /** `number`: the stream's, which grows with the order of asking. `goOn`: it may write more. The sender leaves when it is over. */
  enter(outlet: Outlet, number: number, priority: Priority, goOn: () => void): Sender {
    const sender = new Sender(this, outlet, number, priority, goOn);
    this.#senders.add(sender);
    return sender;
  }

  /** Is somebody ahead sending. */
  holdsBack(sender: Sender): boolean {
    return this.#senders.size > 1 && sender.isBehind(this.#lead());
  }

  /** One more waits. */
  wait(): void {
    this.#waiting += 1;
    this.#watch();
  }

  /** The connection took bytes of this one: those who wait behind it count them. */
  sent(from: Sender, bytes: number): void {
    if (this.#waiting === 0) return;
    for (const sender of this.#senders)
      if (sender.isWaiting && from.isAheadOf(sender)) sender.passedBytes += bytes;
    this.#next();
  }

  leave(sender: Sender): void {
    if (!this.#senders.delete(sender)) return;
    if (sender.isWaiting) this.#waiting -= 1;
    if (this.#waiting > 0) this.#next();
  }

  /** Whoever may go on does, the first in the order first: what it writes may hold back the others. */
  #next(): void {
    const waiting = [...this.#senders].filter((sender) => sender.isWaiting);
    let lead = this.#lead();
    for (const sender of waiting.sort((a, b) => a.rank - b.rank)) {
      // One who went on before it may have ended the session.
      if (!sender.isWaiting || sender.isBehind(lead)) continue;
      this.#waiting -= 1;
      sender.goOn();
      lead = this.#lead();
    }
  }

  /** Who is first of those that are sending. */
  #lead(): Lead {
    let urgency = Number.POSITIVE_INFINITY;
    let number = Number.POSITIVE_INFINITY;
    for (const sender of this.#senders) {
      const { priority } = sender;
      if (priority.urgency > urgency || !sender.isSending) continue;
      if (priority.urgency < urgency) number = Number.POSITIVE_INFINITY;
      urgency = priority.urgency;
      if (!priority.incremental) number = Math.min(number, sender.number);
    }
    return { urgency, number };
  }

  #watch(): void {
    this.#look ??= setTimeout(() => {
      this.#look = null;
      for (const sender of this.#senders) sender.look();
      this.#next();
      if (this.#waiting > 0) this.#watch();
    }, aheadIdleMs).unref();
  }
}

/** One answer's place in the order. */
export class Sender {
  readonly #order: SendOrder;
  readonly #outlet: Outlet;
  readonly number: number;
  readonly priority: Priority;
  readonly #goOn: () => void;
  #writtenBytes = 0;
  #sentBytes = 0;
  #lookedBytes = -1;
  #isIdle = false;
  #isWaiting = false;
  /** Sent by those ahead since it waits. */
  passedBytes = 0;

  constructor(order: SendOrder, outlet: Outlet, number: number, priority: Priority, goOn: () => void) {
    this.#order = order;
    this.#outlet = outlet;
    this.number = number;
    this.priority = priority;
    this.#goOn = goOn;
  }

  /** Urgency, then order of asking. */
  get rank(): number {
    return this.priority.urgency * 2 ** 32 + this.number;
  }

  get isWaiting(): boolean {
    return this.#isWaiting;
  }

  get isSending(): boolean {
    return !this.#isIdle && this.#outlet.writableLength > 0;
  }

  isAheadOf(other: Sender): boolean {
    const own = this.priority;
    const others = other.priority;
    if (own.urgency !== others.urgency) return own.urgency < others.urgency;
    return !own.incremental && !others.incremental && this.number < other.number;
  }

  isBehind(lead: Lead): boolean {
    const { urgency, incremental } = this.priority;
    if (this.passedBytes >= passedBytesMax || urgency < lead.urgency) return false;
    return urgency > lead.urgency || (!incremental && this.number > lead.number);
  }

  /** False: `goOn` is called when it may write more. */
  write(chunk: Buffer): boolean {
    this.#writtenBytes += chunk.length;
    if (!this.#outlet.write(chunk, this.#taken)) return false;
    return !this.#waits();
  }

  /** The outlet has room again. */
  drained(): void {
    if (!this.#isWaiting && !this.#waits()) this.#goOn();
  }

  goOn(): void {
    this.#isWaiting = false;
    this.passedBytes = 0;
    this.#goOn();
  }

  /** Did the connection take anything since the last look. */
  look(): void {
    this.#isIdle = this.#sentBytes === this.#lookedBytes;
    this.#lookedBytes = this.#sentBytes;
  }

  /** The answer is out, or will never be. */
  leave(): void {
    this.#order.leave(this);
    this.#isWaiting = false;
  }

  #waits(): boolean {
    if (!this.#order.holdsBack(this)) return false;
    this.#isWaiting = true;
    this.#order.wait();
    return true;
  }

  readonly #taken = (): void => {
    const sent = this.#writtenBytes - this.#outlet.writableLength;
    const bytes = sent - this.#sentBytes;
    this.#sentBytes = sent;
    this.#isIdle = false;
    if (bytes > 0) this.#order.sent(this, bytes);
  };
}
