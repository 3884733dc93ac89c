import type { RawFields, RequestFacts } from "../message/facts.ts";
import { JsonScan, type Wanted } from "./json-scan.ts";
import { answerBytesMax, type Door, doorOf } from "./login-door.ts";
import { type AskedCall, type LoginReading, readLogin } from "./login-outcome.ts";
import type { RpcEnvelope } from "./rpc-envelope.ts";

/** What the watch may see of the request beside the facts: the call, where it was read, and the body's beginning. */
export interface AskedBody {
  readonly call: RpcEnvelope | null;
  /** The first bytes of the body. */
  readonly memory: Uint8Array;
  /** `memory` is all of it. */
  readonly whole: boolean;
}

/** `{"jsonrpc": "2.0", "id": 7, "result": …`: most answers of the web client's calls, told by their first bytes. */
const resultFirst = /^\{\s*"jsonrpc"\s*:\s*"2\.0"\s*,\s*"id"\s*:\s*(?:[0-9]{1,16}|null)\s*,\s*"result"\s*:/;
const resultFirstBytes = 128;
const nothingTried: LoginReading = Object.freeze({ outcome: "unknown", loggedIn: false });

/**
 * Watches one attempt: takes Odoo's answer as it passes, keeps at most `answerBytesMax` bytes of it, and tells at any time
 * how the attempt ended as far as it can be told. Nothing is held back and nothing is changed.
 */
export class LoginWatch {
  readonly door: Door;
  readonly #facts: RequestFacts;
  readonly #call: AskedCall | null;
  readonly #bytesMax: number;
  #status = 0;
  #fields: RawFields = [];
  #parts: Uint8Array[] = [];
  #bytes = 0;
  #told = false;

  constructor(door: Door, facts: RequestFacts, call: AskedCall | null) {
    this.door = door;
    this.#facts = facts;
    this.#call = call;
    this.#bytesMax = answerBytesMax(door);
  }

  /**
   * Is the password or key sent with each call (programs). A success is then one call among thousands and no news; a failure
   * is an attempt like any other.
   */
  get isEachCall(): boolean {
    return this.door === "xml-object" || this.door === "key" || this.#call?.service === "object";
  }

  /** Does the request itself say that something is tried; a web client's call mostly tries nothing. */
  get isAttempt(): boolean {
    return this.door !== "call" || this.#call !== null;
  }

  /** Must the body be seen before the outcome is asked for. */
  get wantsBody(): boolean {
    return this.#bytesMax > 0;
  }

  head(status: number, fields: RawFields): void {
    this.#status = status;
    this.#fields = fields;
  }

  data(chunk: Uint8Array): void {
    if (this.#told || this.#bytes >= this.#bytesMax) return;
    const part = chunk.subarray(0, this.#bytesMax - this.#bytes);
    this.#parts.push(part);
    this.#bytes += part.length;
    if (this.door !== "call" || this.#parts.length > 1) return;
    if (!resultFirst.test(bufferOf(part).toString("latin1", 0, resultFirstBytes))) return;
    this.#told = true;
    this.#parts = [part.subarray(0, resultFirstBytes)];
  }

  /** A form was answered with 500: the bus port says so of a wrong password, and an Odoo in trouble of a right one. */
  get sawTrouble(): boolean {
    return this.#status === 500 && (this.door === "form" || this.door === "second-factor");
  }

  /** More of the answer would tell nothing new. */
  get hasSeenAll(): boolean {
    return this.#told || this.#bytes >= this.#bytesMax;
  }

  /** The answer's beginning, as far as it was kept. */
  get beginning(): Uint8Array {
    const only = this.#parts[0];
    if (this.#parts.length === 1 && only !== undefined) return only;
    return Buffer.concat(this.#parts);
  }

  /** How the attempt ended; also when the client left before the end, since it may have read as much as we have. */
  get reading(): LoginReading {
    // A result, and nothing was tried: the rule for most of what a web client does.
    if (this.#told && this.#call === null) return nothingTried;
    const answer = { status: this.#status, fields: this.#fields, body: this.beginning };
    return readLogin(this.#facts, answer, this.door, this.#call);
  }
}

/** A watch for this exchange; null when it tries nothing. */
export function watchLogin(facts: RequestFacts, body: AskedBody | null): LoginWatch | null {
  const door = doorOf(facts);
  if (door === null) return null;
  return new LoginWatch(door, facts, body === null ? null : askedCall(door, body));
}

function askedCall(door: Door, body: AskedBody): AskedCall | null {
  if (body.call !== null) return body.call;
  return door === "call" ? passwordCall(body) : null;
}

/** Methods of `res.users` and `res.users.identitycheck` that check a password. */
const passwordMethods: readonly string[] = ["authenticate", "change_password", "run_check"];
const calledMethod: Wanted = { members: { params: { members: { method: { as: "method" } } } } };

/**
 * Which password-checking method a web client's call names. The path of such a call is decoration to Odoo, the body decides. It is
 * only read when it holds such a word, or an escape that could spell one; of a body that is not all in memory the word
 * alone must do.
 */
function passwordCall(body: AskedBody): AskedCall | null {
  const memory = bufferOf(body.memory);
  const text = memory.toString("latin1");
  const named = passwordMethods.find((method) => text.includes(method));
  if (named === undefined && !text.includes("\\u00")) return null;
  if (!body.whole) return named === undefined ? null : { service: null, method: named };
  const scan = new JsonScan(calledMethod);
  scan.push(memory);
  const scanned = scan.end();
  const method = scanned.ok ? scanned.found.get("method") : undefined;
  if (method?.kind !== "text" || !passwordMethods.includes(method.text)) return null;
  return { service: null, method: method.text };
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
