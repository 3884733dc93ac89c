import type { Socket } from "node:net";
import type { TLSSocket } from "node:tls";
import { err, type Result } from "../base/result.ts";
import { type Answer, AnswerReader } from "./answer.ts";
import { checkBounds } from "./bounds.ts";
import type { Budget, Trouble } from "./budget.ts";
import { openConnection, reason, seconds, type Way } from "./connect.ts";
import { plainAnswer } from "./decode.ts";

/** One request, byte for byte as it is to be sent. */
export interface Question {
  readonly method: string;
  /** The request target as it stands in the request line; any spelling. */
  readonly target: string;
  /** Host field; left out: the site's own. */
  readonly host?: string;
  /** More fields, name and value alternating. */
  readonly fields?: readonly string[];
  readonly body?: string;
  /** Over the plain HTTP port instead. */
  readonly plain?: boolean;
  /** Send on a connection of its own and close it: for spellings that a server might read as two requests. */
  readonly alone?: boolean;
  /** The answer's head is enough. */
  readonly headOnly?: boolean;
}

export type Asked = Result<Answer, Trouble>;

export interface AskerParts {
  readonly budget: Budget;
  readonly way: Way;
  /** Where plain HTTP is asked; null: nowhere. */
  readonly plainWay: Way | null;
  /** `host` or `host:port`. */
  readonly authority: string;
  readonly plainAuthority: string;
  readonly userAgent: string;
  /** Fields of every request. */
  readonly fields?: readonly string[];
}

/**
 * Asks one thing at a time and keeps one connection between questions. Every question is counted by the budget and ends
 * within its time; what comes back is an answer or the trouble in words.
 */
export class Asker {
  readonly #parts: AskerParts;
  #idle: Socket | null = null;

  constructor(parts: AskerParts) {
    this.#parts = parts;
  }

  async ask(question: Question): Promise<Asked> {
    const mayReuse = question.plain !== true && question.alone !== true;
    const idle = mayReuse ? this.#idle : null;
    if (mayReuse) this.#idle = null;
    if (idle !== null && !idle.destroyed) {
      const asked = await this.#over(idle, question);
      // The site closed the kept connection meanwhile (RFC 9112 §9.3.1): once more on a new one. All questions are harmless.
      if (asked.ok || asked.error.kind !== "closed") return asked;
    }
    const way = question.plain === true ? this.#parts.plainWay : this.#parts.way;
    if (way === null) return err({ kind: "connect", detail: "no plain HTTP port is known" });
    const timeMs = this.#parts.budget.take();
    if (typeof timeMs !== "number") return err(timeMs);
    const { budget } = this.#parts;
    const endMs = budget.nowMs() + timeMs;
    const opened = await openConnection(way, timeMs);
    budget.went(opened.ok);
    if (!opened.ok) return opened;
    return this.#over(opened.value, question, { timeMs, leftMs: Math.max(0, endMs - budget.nowMs()) });
  }

  close(): void {
    this.#idle?.destroy();
    this.#idle = null;
  }

  /** On an open connection. `time`: what the question may take, and what the connection left of it; without it, it is counted here. */
  #over(
    socket: Socket | TLSSocket,
    question: Question,
    time?: { readonly timeMs: number; readonly leftMs: number },
  ): Promise<Asked> {
    const timeMs = time?.timeMs ?? this.#parts.budget.take();
    if (typeof timeMs !== "number") {
      socket.destroy();
      return Promise.resolve(err(timeMs));
    }
    return new Promise((resolve) => {
      const bodyBytesMax = question.headOnly === true ? 0 : checkBounds.bodyBytesMax;
      const reader = new AnswerReader(bodyBytesMax, question.method === "HEAD");
      let heard = false;
      const finish = (trouble: Trouble | null, keep: boolean) => {
        clearTimeout(timer);
        socket.removeAllListeners();
        socket.on("error", () => undefined);
        const answer = reader.answer();
        if (keep && answer !== null && reader.keepsConnection && this.#idle === null) {
          this.#idle = socket;
          // Bytes that nobody asked for end the connection: they would be taken for the next answer.
          socket.on("data", () => socket.destroy());
        } else socket.destroy();
        if (answer === null) return resolve(err(trouble ?? { kind: "garbage", detail: "no answer" }));
        const plain = plainAnswer(answer);
        resolve(plain.ok ? plain : err({ kind: "garbage", detail: plain.error }));
      };
      const timer = setTimeout(
        () => finish({ kind: "timeout", detail: `no whole answer within ${seconds(timeMs)}` }, false),
        time?.leftMs ?? timeMs,
      );
      const closed = (detail: string) => {
        if (heard && reader.end() === "done") return finish(null, false);
        finish({ kind: heard ? "garbage" : "closed", detail }, false);
      };
      socket.on("data", (chunk: Buffer) => {
        heard = true;
        const state = reader.push(chunk);
        if (state === "garbage") finish({ kind: "garbage", detail: reader.fault }, false);
        else if (state === "done" || (question.headOnly === true && reader.answer() !== null))
          finish(null, question.alone !== true && question.plain !== true);
      });
      socket.on("end", () => closed("the connection was closed without an answer"));
      socket.on("error", (error: Error) => closed(`the connection broke: ${reason(error)}`));
      socket.on("close", () => closed("the connection was closed without an answer"));
      socket.write(this.#bytes(question));
    });
  }

  #bytes({ method, target, host, fields = [], body, plain, alone }: Question): Buffer {
    const { authority, plainAuthority, userAgent } = this.#parts;
    const lines = [
      `${method} ${target} HTTP/1.1`,
      `Host: ${host ?? (plain === true ? plainAuthority : authority)}`,
      `User-Agent: ${userAgent}`,
      "Accept: */*",
    ];
    const more = [...(this.#parts.fields ?? []), ...fields];
    for (let i = 0; i + 1 < more.length; i += 2) lines.push(`${more[i]}: ${more[i + 1]}`);
    if (body !== undefined) lines.push(`Content-Length: ${Buffer.byteLength(body)}`);
    if (!more.some((text) => text.toLowerCase() === "accept-encoding"))
      lines.push("Accept-Encoding: identity");
    const upgrades = more.some((text) => text.toLowerCase() === "upgrade");
    if (!upgrades && (alone === true || plain === true)) lines.push("Connection: close");
    return Buffer.concat([Buffer.from(`${lines.join("\r\n")}\r\n\r\n`, "latin1"), Buffer.from(body ?? "")]);
  }
}
