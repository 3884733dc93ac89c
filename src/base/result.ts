/** Expected trouble is a value. `Result` carries it; `throw` is kept for bugs. */
export type Result<T, E> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly error: E };

export function ok<T>(value: T): { readonly ok: true; readonly value: T } {
  return { ok: true, value };
}

export function err<E>(error: E): { readonly ok: false; readonly error: E } {
  return { ok: false, error };
}

/** Marks a branch that the types say cannot be reached; reaching it is our bug. */
export function unreachable(value: never): never {
  throw new Error(`unreachable: ${String(value)}`);
}
