/** What a JSON-RPC answer of `/web/session/authenticate` says. */
export type UidReading = "number" | "null" | "error" | "unknown";

/**
 * Reads `result.uid` or the presence of `error` from the beginning of a JSON-RPC answer. The whole answer can be
 * longer than what is kept, so it is walked key by key instead of parsed; and not searched, because the answer echoes
 * the caller's `id`, in which an attacker can write `"result": {"uid": 1}`. Anything cut or odd is `unknown`.
 */
export function readUid(bytes: Uint8Array): UidReading {
  const walk = new Walk(Buffer.from(bytes).toString("latin1"));
  if (!walk.eat("{")) return "unknown";
  for (let key = walk.key(); key !== null; key = walk.next()) {
    if (key === "error") return "error";
    if (key === "result") {
      if (!walk.eat("{")) return "unknown";
      for (let inner = walk.key(); inner !== null; inner = walk.next()) {
        if (inner === "uid") return walk.uid();
        if (!walk.skip()) return "unknown";
      }
      return "unknown";
    }
    if (!walk.skip()) return "unknown";
  }
  return "unknown";
}

/** A position in JSON text. Bounded by the text: each step moves on or gives up. */
class Walk {
  readonly #text: string;
  #at = 0;

  constructor(text: string) {
    this.#text = text;
  }

  eat(character: string): boolean {
    this.#space();
    if (this.#text[this.#at] !== character) return false;
    this.#at += 1;
    return true;
  }

  /** A member's name and its colon; null at the end of the object or of the text. */
  key(): string | null {
    this.#space();
    const name = this.#string();
    return name !== null && this.eat(":") ? name : null;
  }

  /** The name behind the next comma. */
  next(): string | null {
    return this.eat(",") ? this.key() : null;
  }

  /** Goes past one value; false when it is cut. */
  skip(): boolean {
    this.#space();
    let depth = 0;
    while (this.#at < this.#text.length) {
      const character = this.#text[this.#at];
      if (character === '"') {
        if (this.#string() === null) return false;
        if (depth === 0) return true;
        continue;
      }
      if (character === "{" || character === "[") depth += 1;
      else if (character === "}" || character === "]") {
        if (depth === 0) return true;
        depth -= 1;
        if (depth === 0) {
          this.#at += 1;
          return true;
        }
      } else if (depth === 0 && (character === "," || character === undefined)) return true;
      this.#at += 1;
    }
    return false;
  }

  uid(): UidReading {
    this.#space();
    const value = /^(null|[1-9][0-9]{0,15})(?=[ \t\r\n,}])/.exec(
      this.#text.slice(this.#at, this.#at + 24),
    )?.[1];
    if (value === undefined) return "unknown";
    return value === "null" ? "null" : "number";
  }

  #string(): string | null {
    if (this.#text[this.#at] !== '"') return null;
    const start = this.#at + 1;
    for (let at = start; at < this.#text.length; at += 1) {
      const character = this.#text[at];
      if (character === "\\") at += 1;
      else if (character === '"') {
        this.#at = at + 1;
        return this.#text.slice(start, at);
      }
    }
    return null;
  }

  #space(): void {
    while (/[ \t\r\n]/.test(this.#text[this.#at] ?? "")) this.#at += 1;
  }
}
