/** A member of a roster knows its place in it; -1 while it is in none. */
export interface Placed {
  place: number;
}

/**
 * What is under way, in no order. As a set of objects it would do the same, but a JavaScript `Set` that is added to and deleted from
 * all day replaces its table again and again, and each old table keeps the objects of its time alive until the next full collection:
 * every exchange would be promoted to the old generation. Here a removed member leaves nothing behind.
 */
export class Roster<T extends Placed> {
  readonly #members: T[] = [];

  get size(): number {
    return this.#members.length;
  }

  /** Takes a member that is in no roster. */
  add(member: T): void {
    member.place = this.#members.length;
    this.#members.push(member);
  }

  /** Lets a member go; the last one takes its place. One that is not in it: nothing happens. */
  delete(member: T): void {
    const at = member.place;
    if (this.#members[at] !== member) return;
    const last = this.#members.pop();
    if (last !== undefined && last !== member) {
      this.#members[at] = last;
      last.place = at;
    }
    member.place = -1;
  }

  /** The members of this moment: who walks it may delete. */
  all(): readonly T[] {
    return [...this.#members];
  }
}
