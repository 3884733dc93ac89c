import type { Clock } from "../base/clock.ts";
import { once } from "../base/once.ts";
import type { Ban, BanTable } from "../guard/ban-table.ts";
import type { Attempt, Entry, JailDoor } from "../guard/jail.ts";
import type { OwnerLink } from "./owner-link.ts";

/** Without the supervisor no attempt can be judged, and this process is about to end. */
const unknown: Entry = Object.freeze({ kind: "slow", limit: "guesses-in-flight", retryAfterSeconds: 5 });

/** The jail of a worker: bans are a replica that the supervisor keeps up to date, attempts to log in are asked of it. */
export class RemoteJail implements JailDoor {
  readonly #link: OwnerLink;
  readonly #bans: BanTable;
  readonly #clock: Pick<Clock, "wallMs">;

  constructor(link: OwnerLink, bans: BanTable, clock: Pick<Clock, "wallMs">) {
    this.#link = link;
    this.#bans = bans;
    this.#clock = clock;
  }

  banOf(address: string): Ban | null {
    return this.#bans.holds(address, this.#clock.wallMs());
  }

  async banAfter(address: string): Promise<Ban | null> {
    const ban = this.banOf(address);
    if (ban !== null) return ban;
    // Questions and news travel in order, so that the supervisor has counted what was settled before.
    const reply = await this.#link.ask({ ask: "ban", address });
    return reply?.answer === "ban" ? reply.ban : null;
  }

  async enter(attempt: Attempt): Promise<Entry> {
    const ban = this.banOf(attempt.address);
    if (ban !== null) return { kind: "banned", ban };
    const reply = await this.#link.ask({ ask: "enter", attempt });
    if (reply?.answer !== "entry") return unknown;
    const { id, entry } = reply;
    if (entry.kind !== "go") return entry;
    return { kind: "go", settle: once((outcome) => this.#link.tell({ tell: "settle", id, outcome })) };
  }

  failed(attempt: Attempt): void {
    this.#link.tell({ tell: "failed", attempt });
  }

  scanned({ client, address }: Pick<Attempt, "client" | "address">): void {
    this.#link.tell({ tell: "scanned", client, address });
  }
}
