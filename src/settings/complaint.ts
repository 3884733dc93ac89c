import { err, type Result } from "../base/result.ts";

/** What is wrong with a value; the reader of settings adds name and place. */
export interface Complaint {
  /** Stands behind the setting's name: `"x" is no port`. */
  readonly thing: string;
  readonly remedy: string;
}

/** A value read from text, or what is wrong with it. */
export type Read<T> = Result<T, Complaint>;

export function complain(thing: string, remedy = ""): { readonly ok: false; readonly error: Complaint } {
  return err({ thing, remedy });
}

/** A value in quotes for a message: control characters escaped, user and password of a URL hidden, cut at 80. */
export function shown(text: string): string {
  const hidden = text.includes("@")
    ? text.replace(/^(\s*(?:[A-Za-z][A-Za-z0-9+.-]*:)?\/*).*@/s, "$1***@")
    : text;
  return JSON.stringify(hidden.length > 80 ? `${hidden.slice(0, 80)}…` : hidden);
}
