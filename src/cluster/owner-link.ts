import type { Ask, FromWorker, Reply, Tell } from "./messages.ts";

/** Questions without an answer yet. Past it a question is answered with null at once. */
const pendingMax = 32_768;

type Question = Ask extends infer One ? (One extends Ask ? Omit<One, "id"> : never) : never;

/** The worker's end of what it asks the supervisor. Questions and news of one turn of the event loop travel together, in order. */
export class OwnerLink {
  readonly #send: (message: FromWorker) => void;
  /** The owner bounds how long an attempt may wait, and a lost supervisor answers everything with null. */
  readonly #pending = new Map<number, (reply: Reply | null) => void>();
  #items: (Ask | Tell)[] = [];
  #next = 0;
  #lost = false;

  constructor(send: (message: FromWorker) => void) {
    this.#send = send;
  }

  /** The reply; null when there will be none: too many are waited for, or the supervisor is gone. */
  ask(question: Question): Promise<Reply | null> {
    if (this.#lost || this.#pending.size >= pendingMax) return Promise.resolve(null);
    this.#next += 1;
    const id = this.#next;
    this.#put({ ...question, id });
    return new Promise((resolve) => this.#pending.set(id, resolve));
  }

  /** Sent at once: who hears of an answer must not be quicker than the supervisor. */
  tell(news: Tell): void {
    this.mention(news);
    this.flush();
  }

  /** Sent at the end of this turn. */
  mention(news: Tell): void {
    if (!this.#lost) this.#put(news);
  }

  replied(replies: readonly Reply[]): void {
    for (const reply of replies) {
      const resolve = this.#pending.get(reply.id);
      this.#pending.delete(reply.id);
      resolve?.(reply);
    }
  }

  /** Sends what waits for the end of this turn. */
  flush(): void {
    if (this.#items.length === 0 || this.#lost) return;
    const items = this.#items;
    this.#items = [];
    this.#send({ type: "batch", items });
  }

  /** The supervisor is gone. */
  lose(): void {
    this.#lost = true;
    for (const resolve of this.#pending.values()) resolve(null);
    this.#pending.clear();
  }

  #put(item: Ask | Tell): void {
    if (this.#items.push(item) === 1) setImmediate(() => this.flush());
  }
}
