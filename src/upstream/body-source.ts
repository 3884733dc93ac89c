/** Who takes a request's body. `gone`: the rest of it will not come. Exactly one of `end` and `gone` comes last. */
export interface BodyTaker {
  data(chunk: Buffer): void;
  end(): void;
  gone(): void;
}

/** A request's body as the edge has it. */
export interface BodySource {
  /** The whole of it, when it came with the head: nothing is waited for then, and `take` is not called. */
  readonly whole: Buffer | null;
  /** Hands over what came and what comes; called at most once. */
  take(taker: BodyTaker): void;
  pause(): void;
  resume(): void;
}
