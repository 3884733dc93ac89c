import { connect, type Socket } from "node:net";
import { connect as connectTls } from "node:tls";
import type { RecordedRequest } from "../../../src/demo/record.ts";
import type { TestGateway } from "../../support/gateway.ts";
import type { RawCase } from "./case.ts";

/** One answer as a strict client reads it. */
interface Answer {
  readonly status: number;
  readonly head: string;
  readonly body: string;
}

/** Longest wait for anything in one case; a case that needs it has failed. */
const caseTimeoutMs = 4_000;
/** Statuses behind which the gateway always closes: it did not trust the message. */
const closing: ReadonlySet<number> = new Set([0, 400, 405, 408, 411, 413, 414, 417, 421, 426, 431, 501, 505]);

let serial = 0;

/** An address of this machine for each case, so that no limit of one case holds for the next. */
export function nextClient(): string {
  serial += 1;
  return `127.7.${serial >> 8}.${serial & 255}`;
}

/** Runs one case and answers everything that is wrong with what came of it; empty when all is well. */
export async function runCase(gateway: TestGateway, one: RawCase): Promise<string[]> {
  const problems: string[] = [];
  const client = nextClient();
  gateway.demo.forget();
  const wire = new Wire(open(gateway, client, one.plain === true));
  wire.socket.write(typeof one.bytes === "string" ? Buffer.from(one.bytes, "latin1") : one.bytes);
  const text = one.bytes.toString("latin1");
  const headRequest = text.startsWith("HEAD ");
  const first = await wire.answer(headRequest);
  const status = first?.status ?? 0;
  const forwarded = one.expect === "forwarded" || (one.expect === "either" && status === 200);
  if (forwarded) {
    if (status < 200 || status === 502 || status === 504 || gateway.demo.requests.length === 0)
      problems.push(`answered ${status} instead of forwarding`);
  } else if (one.expect === "either" ? status !== 400 : !one.expect.includes(status)) {
    problems.push(`answered ${status} instead of ${String(one.expect)}`);
  }
  for (const word of one.notInAnswer ?? []) {
    if (first?.head.toLowerCase().includes(word.toLowerCase()) === true)
      problems.push(`the answer's head holds ${word}`);
  }
  const reaches =
    forwarded || one.expect !== "either" ? (one.reaches ?? (forwarded ? [startOf(text)] : [])) : [];
  const closed = one.closed ?? (!forwarded && closing.has(status));
  if (closed) {
    const more = Math.max(0, reaches.length - 1);
    for (let i = 0; i < more; i += 1) {
      if ((await wire.answer(false)) === null) problems.push("an answer is missing");
    }
    const rest = await wire.rest();
    if (rest === null) problems.push("the connection stays open");
    else if (rest !== "") problems.push(`more bytes than answers: ${JSON.stringify(rest.slice(0, 120))}`);
  } else {
    for (let i = 1; i < reaches.length; i += 1) await wire.answer(false);
    for (const wanted of one.answers ?? []) {
      const got = (await wire.answer(false))?.status;
      if (got !== wanted) problems.push(`a further answer is ${got} instead of ${wanted}`);
    }
    problems.push(...(await probe(wire, client)));
  }
  wire.socket.destroy();
  problems.push(...judgeUpstream(gateway.demo.requests, reaches, one.never ?? [], client));
  return problems;
}

/** The next request on the same connection must get its own answer, and nothing must come before or behind it. */
async function probe(wire: Wire, client: string): Promise<string[]> {
  if (wire.isOver) return ["the connection was closed"];
  const mark = `/demo/echo?probe=${client}`;
  wire.socket.write(`GET ${mark} HTTP/1.1\r\nHost: odoo.test\r\nConnection: close\r\n\r\n`);
  const answer = await wire.answer(false);
  if (answer === null) return ["the connection did not serve the next request"];
  // Where plain HTTP is redirected, the Location names the target; elsewhere Odoo's echo does.
  if (!answer.body.includes(mark) && !answer.head.includes(mark))
    return [`the next request got another answer: ${answer.status} ${answer.body.slice(0, 80)}`];
  const rest = await wire.rest();
  return rest === "" ? [] : [`bytes behind the last answer: ${JSON.stringify(rest)}`];
}

/** What is wrong with what reached Odoo: other requests than expected, or one that breaks what always holds. */
export function judgeUpstream(
  all: readonly RecordedRequest[],
  reaches: readonly string[],
  never: readonly string[],
  client: string,
): string[] {
  const problems: string[] = [];
  const seen = all.filter((request) => !request.target.startsWith("/demo/echo?probe="));
  const starts = seen.map((request) => `${request.method} ${request.target}`);
  if (starts.join("\n") !== reaches.join("\n"))
    problems.push(`Odoo got ${JSON.stringify(starts)} instead of ${JSON.stringify(reaches)}`);
  for (const request of all) {
    const text = `${request.target}\n${request.lines.join("\n")}`.toLowerCase();
    if (request.target.includes("smuggled")) problems.push("a smuggled request reached Odoo");
    for (const word of ["evil", ...never]) {
      if (text.includes(word.toLowerCase())) problems.push(`Odoo got ${word}`);
    }
    problems.push(...judgeRequest(request, client));
  }
  return problems;
}

/** What holds for everything that reaches Odoo, whatever was sent. */
export function judgeRequest(request: RecordedRequest, client: string): string[] {
  const problems: string[] = [];
  const lines = request.lines.map((line) => line.toLowerCase());
  if (/^\/(?:web\/database|xmlrpc\/(?:2\/)?db)(?:\/|$)/.test(request.path))
    problems.push(`Odoo ran ${request.path}`);
  const exactly: readonly (readonly [string, string])[] = [
    ["x-forwarded-for", client],
    ["x-forwarded-host", "odoo.test"],
    ["x-forwarded-proto", "https"],
    ["x-real-ip", client],
    ["host", "odoo.test"],
  ];
  for (const [name, value] of exactly) {
    const found = lines.filter((line) => line.startsWith(`${name}:`));
    if (found.length !== 1 || found[0] !== `${name}: ${value}`)
      problems.push(`Odoo got ${JSON.stringify(found)} for ${name}`);
  }
  const names = lines.map((line) => line.slice(0, line.indexOf(":")));
  for (const name of names) {
    if (name === "" || name.includes("_") || /[^!#$%&'*+\-.^_`|~0-9a-z]/.test(name))
      problems.push(`Odoo got a field named ${JSON.stringify(name)}`);
  }
  const tunnel = names.includes("sec-websocket-key");
  const banned = ["transfer-encoding", "te", "trailer", "keep-alive", "expect", "http2-settings"];
  for (const name of tunnel ? banned : [...banned, "upgrade"]) {
    if (names.includes(name)) problems.push(`Odoo got ${name}`);
  }
  for (const name of ["content-length", "cookie", "content-type", "connection"]) {
    if (names.filter((other) => other === name).length > 1) problems.push(`Odoo got two ${name}`);
  }
  if (request.client !== client) problems.push(`Odoo takes ${request.client} for the client`);
  return problems;
}

function startOf(text: string): string {
  const line = text.slice(0, text.indexOf("\r\n")).trim().split(/ +/);
  return `${line[0]} ${line[1]}`;
}

/** A TLS or plain socket to the gateway from that address. */
export function open(gateway: TestGateway, client: string, plain = false): Socket {
  const at = { host: "127.0.0.1", localAddress: client };
  return plain
    ? connect({ ...at, port: gateway.httpPort })
    : connectTls({
        ...at,
        port: gateway.httpsPort,
        servername: "odoo.test",
        rejectUnauthorized: false,
        ALPNProtocols: ["http/1.1"],
      });
}

/** Reads answers off a socket one after the other, as strictly as a client that fears response splitting. */
export class Wire {
  readonly socket: Socket;
  #held: Buffer = Buffer.alloc(0);
  #over = false;
  #wake: (() => void) | null = null;

  constructor(socket: Socket) {
    this.socket = socket;
    socket.on("data", (chunk: Buffer) => {
      this.#held = Buffer.concat([this.#held, chunk]);
      this.#wake?.();
    });
    const over = () => {
      this.#over = true;
      this.#wake?.();
    };
    socket.on("error", over);
    socket.on("end", over);
    socket.on("close", over);
  }

  get isOver(): boolean {
    return this.#over;
  }

  /** The next final answer; null when the connection ends or stalls before it is whole. */
  async answer(headRequest: boolean): Promise<Answer | null> {
    const deadline = new Deadline();
    try {
      for (;;) {
        const end = await this.#until(deadline, () => this.#held.indexOf("\r\n\r\n"));
        if (end === null) return null;
        const head = this.#take(end + 4).toString("latin1", 0, end);
        const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(head)?.[1] ?? 0);
        if (status >= 100 && status < 200 && status !== 101) continue;
        const body = await this.#body(deadline, head, status, headRequest);
        return body === null ? null : { status, head, body };
      }
    } finally {
      deadline.clear();
    }
  }

  /** Everything until the end of the connection; null when it does not end. */
  async rest(): Promise<string | null> {
    const deadline = new Deadline();
    const ended = await this.#until(deadline, () => (this.#over ? 0 : -1));
    deadline.clear();
    return ended === null ? null : this.#held.toString("latin1");
  }

  async #body(
    deadline: Deadline,
    head: string,
    status: number,
    headRequest: boolean,
  ): Promise<string | null> {
    if (headRequest || status === 204 || status === 304 || status === 101) return "";
    const length = /\r\ncontent-length: (\d+)(?:\r\n|$)/i.exec(head)?.[1];
    if (length !== undefined) {
      const bytes = Number(length);
      const there = await this.#until(deadline, () => (this.#held.length >= bytes ? 0 : -1));
      return there === null ? null : this.#take(bytes).toString("latin1");
    }
    if (/\r\ntransfer-encoding: chunked(?:\r\n|$)/i.test(head)) return this.#chunks(deadline);
    // Without a length the end of the connection is the end of the answer.
    const ended = await this.#until(deadline, () => (this.#over ? 0 : -1));
    return ended === null ? null : this.#take(this.#held.length).toString("latin1");
  }

  async #chunks(deadline: Deadline): Promise<string | null> {
    let body = "";
    for (;;) {
      const end = await this.#until(deadline, () => this.#held.indexOf("\r\n"));
      if (end === null) return null;
      const bytes = Number.parseInt(this.#take(end + 2).toString("latin1", 0, end), 16);
      const there = await this.#until(deadline, () => (this.#held.length >= bytes + 2 ? 0 : -1));
      if (there === null || Number.isNaN(bytes)) return null;
      body += this.#take(bytes + 2).toString("latin1", 0, bytes);
      if (bytes === 0) return body;
    }
  }

  #take(bytes: number): Buffer {
    const taken = this.#held.subarray(0, bytes);
    this.#held = this.#held.subarray(bytes);
    return taken;
  }

  /** What `look` finds (0 or more), as soon as it does; null when the connection or the time ends first. */
  async #until(deadline: Deadline, look: () => number): Promise<number | null> {
    for (;;) {
      const found = look();
      if (found >= 0) return found;
      if (this.#over || deadline.isOver) return null;
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
        deadline.wake = resolve;
      });
    }
  }
}

class Deadline {
  isOver = false;
  wake: (() => void) | null = null;
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setTimeout(() => {
      this.isOver = true;
      this.wake?.();
    }, caseTimeoutMs);
  }

  clear(): void {
    clearTimeout(this.#timer);
  }
}
