import type { Clock } from "../base/clock.ts";
import { type Problem, problemLine } from "../base/problem.ts";
import type { EventSink } from "../observe/events.ts";

/** A standing problem is told once in this time. */
const tellAgainMs = 86_400_000;
/** So many are remembered as told; then all is told anew. */
const toldMax = 100;

/** Warns of what is wrong with certificates on disk and with names, so that a standing problem does not fill the log. */
export class Notices {
  readonly #sink: EventSink;
  readonly #clock: Clock;
  /** When a problem was told last. */
  readonly #told = new Map<string, number>();

  constructor(sink: EventSink, clock: Clock) {
    this.#sink = sink;
    this.#clock = clock;
  }

  /** For what is met again at each look. Problems with the same `key` are one. */
  warnOnce(key: string, problem: Problem): void {
    const nowMs = this.#clock.wallMs();
    if (nowMs - (this.#told.get(key) ?? Number.NEGATIVE_INFINITY) < tellAgainMs) return;
    if (this.#told.size >= toldMax) this.#told.clear();
    this.#told.set(key, nowMs);
    this.#sink.emit({ type: "warning", what: "certificates", detail: problemLine(problem) });
  }

  /** For what is done seldom: waits for the writing and tells its problem each time; false: there was one. */
  async tell(writing: Promise<Problem | null>): Promise<boolean> {
    const problem = await writing;
    if (problem !== null)
      this.#sink.emit({ type: "warning", what: "CERTS_DIR", detail: problemLine(problem) });
    return problem === null;
  }
}
