/** What a JSON-RPC answer says. */
export type RpcAnswer =
  | {
      readonly kind: "result";
      /** The result itself when it is a scalar. */
      readonly value: "number" | "false" | "null" | "other";
      /** Its member `uid`, when it is an object. */
      readonly uid: "number" | "null" | "unknown";
    }
  /** `name` is `error.data.name`, the class of Odoo's exception; empty when it is not there. */
  | { readonly kind: "error"; readonly name: string }
  | { readonly kind: "unknown" };

const unknownAnswer: RpcAnswer = Object.freeze({ kind: "unknown" });

/**
 * Reads the beginning of a JSON-RPC answer of Odoo. The whole answer can be longer than what is kept, so it is walked key by key
 * instead of parsed; and not searched, because the answer echoes the caller's `id`, in which an attacker can write
 * `"result": {"uid": 1}`. Anything cut or odd is `unknown`.
 */
export function readRpcAnswer(bytes: Uint8Array): RpcAnswer {
  const walk = new Walk(textOf(bytes));
  if (!walk.eat("{")) return unknownAnswer;
  for (let key = walk.key(); key !== null; key = walk.next()) {
    if (key === "error") return { kind: "error", name: nameOfError(walk) };
    if (key === "result") return readResult(walk);
    if (!walk.skip()) return unknownAnswer;
  }
  return unknownAnswer;
}

/** The top-level `name` of a /json/2 error; empty when there is none. */
export function readErrorName(bytes: Uint8Array): string {
  const walk = new Walk(textOf(bytes));
  return walk.eat("{") ? memberText(walk, "name") : "";
}

function readResult(walk: Walk): RpcAnswer {
  if (!walk.eat("{")) return { kind: "result", value: walk.scalar(), uid: "unknown" };
  for (let inner = walk.key(); inner !== null; inner = walk.next()) {
    if (inner === "uid") {
      const uid = walk.scalar();
      return { kind: "result", value: "other", uid: uid === "number" || uid === "null" ? uid : "unknown" };
    }
    if (!walk.skip()) break;
  }
  return { kind: "result", value: "other", uid: "unknown" };
}

function nameOfError(walk: Walk): string {
  if (!walk.eat("{")) return "";
  for (let key = walk.key(); key !== null; key = walk.next()) {
    if (key === "data") return walk.eat("{") ? memberText(walk, "name") : "";
    if (!walk.skip()) return "";
  }
  return "";
}

function memberText(walk: Walk, name: string): string {
  for (let key = walk.key(); key !== null; key = walk.next()) {
    if (key === name) return walk.text() ?? "";
    if (!walk.skip()) return "";
  }
  return "";
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString("latin1");
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

  /** What kind of scalar stands here; `other` for everything else, and for a number that may be cut. */
  scalar(): "number" | "false" | "null" | "other" {
    this.#space();
    const value = /^(null|false|[1-9][0-9]{0,15})(?=[ \t\r\n,}])/.exec(
      this.#text.slice(this.#at, this.#at + 24),
    )?.[1];
    if (value === undefined) return "other";
    return value === "null" || value === "false" ? value : "number";
  }

  /** A text value, escapes left as they are; null when there is none. */
  text(): string | null {
    this.#space();
    return this.#string();
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
