/** A hot function with the requests it is called for. */
export interface Subject {
  readonly name: string;
  /** Calls of the function in one step. */
  readonly calls: number;
  /** Calls it for each of its requests; what comes out keeps the compiler from leaving the work away. */
  step(): unknown;
}
