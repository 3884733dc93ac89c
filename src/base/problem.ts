/**
 * A problem is an operator's mistake: it names the place, the thing and the remedy, and all problems
 * are reported at once. (A client's fault is a refusal, an upstream's a failure, our own a bug.)
 */
export interface Problem {
  /** Where: `policies/20-login.yaml:9:17`, `gateway.yaml:3:1`, or `environment`. */
  readonly place: string;
  /** What is wrong, naming the key and the value: `match.path "web/login" must begin with "/"`. */
  readonly thing: string;
  /** What to do about it, one sentence; empty when `thing` already says it. */
  readonly remedy: string;
}

/** One line for a terminal or a log: `place thing; remedy`. */
export function problemLine(problem: Problem): string {
  const tail = problem.remedy === "" ? "" : `; ${problem.remedy}`;
  return `${problem.place} ${problem.thing}${tail}`;
}
