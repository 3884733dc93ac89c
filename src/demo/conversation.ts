import type { Socket } from "node:net";
import { plainError } from "./answer.ts";
import type { DemoContext, DemoRequest, PortName } from "./context.ts";
import { readEffective } from "./forwarded.ts";
import {
  gevent400,
  lineTooLong,
  PARSER_BOUNDS,
  type ParserError,
  type RequestLine,
  readEmailHeaders,
  readFraming,
  readRequestLine,
  requestLineTooLong,
  tooManyHeaders,
  toWsgiFields,
} from "./http-parse.ts";
import type { Recorder } from "./record.ts";
import { type AfterAnswer, parserErrorBytes, respond, type Style } from "./respond.ts";
import { route } from "./router.ts";
import { readBody, type SocketReader } from "./socket-reader.ts";
import { mergeSlashes, readTarget } from "./target.ts";
import type { Wire } from "./wire.ts";

/** One connection of a port. */
export interface Conversation {
  readonly port: PortName;
  readonly connection: number;
  readonly socket: Socket;
  readonly reader: SocketReader;
  readonly wire: Wire;
  readonly style: Style;
}

/** Reads one request, records it, answers it. "close" also when nothing came. */
export async function oneRequest(
  talk: Conversation,
  context: DemoContext,
  recorder: Recorder,
): Promise<AfterAnswer> {
  const { dialect } = talk.style;
  const head = await readHead(talk);
  if (head === null) return "close";
  if (head.kind === "parser-error") {
    await talk.wire.write(parserErrorBytes(head, dialect, context.wallMs()));
    return "close";
  }
  const { line, block } = head;
  const fields = toWsgiFields(readEmailHeaders(block), dialect);
  const framing = readFraming(fields, dialect);
  if ((fields.get("HTTP_EXPECT") ?? "").trim().toLowerCase() === "100-continue") {
    await talk.wire.write("HTTP/1.1 100 Continue\r\n\r\n");
  }
  const body = await readBody(talk.reader, framing);
  const target = readTarget(line.target, dialect);
  if (target.host !== null) fields.set("HTTP_HOST", target.host);
  const path = mergeSlashes(target.path);
  const effective = readEffective(fields, talk.socket.remoteAddress ?? "");
  const lines = block.split(/\r?\n/).filter((text) => text !== "");
  const seen = body === "broken" ? null : body;
  recorder.add({
    port: talk.port,
    connection: talk.connection,
    method: line.method,
    target: line.target,
    version: line.version,
    lines,
    bodyBytes: seen?.byteLength ?? -1,
    bodySha256: seen?.sha256 ?? "",
    path,
    client: effective.client,
  });
  const method = line.method.toUpperCase();
  const keepAlive =
    dialect === "gevent" &&
    line.version === "HTTP/1.1" &&
    fields.get("HTTP_CONNECTION")?.trim().toLowerCase() !== "close";
  const { socket, reader, wire, style } = talk;
  if (seen === null) {
    const broken = plainError(
      400,
      "The browser (or proxy) sent a request that this server could not understand.",
    );
    await respond(broken, method, line.version, false, style, socket, reader, wire, context.wallMs());
    return "close";
  }
  const request: DemoRequest = {
    port: talk.port,
    method,
    target: line.target,
    version: line.version,
    lines,
    fields,
    path,
    query: target.query,
    params: new URLSearchParams(target.query),
    body: seen,
    effective,
  };
  if (context.latency) await context.delays.wait(usualMs(path));
  const answer = await route(request, target.path, context);
  return respond(answer, method, line.version, keepAlive, style, socket, reader, wire, context.wallMs());
}

/** Median milliseconds to the first byte, measured on Odoo 19 with one client. */
function usualMs(path: string): number {
  if (path.includes("/static/")) return 4;
  if (path === "/web/login") return 19;
  if (path.startsWith("/web/dataset/")) return 3;
  if (path.startsWith("/odoo") || path === "/web") return 13;
  if (path.startsWith("/demo/")) return 0;
  return 7;
}

interface Head {
  readonly kind: "head";
  readonly line: RequestLine;
  /** The field lines with their line ends, latin-1. */
  readonly block: string;
}

/** Null: silence, an early end, or an empty line; the connection is closed without a byte. */
async function readHead(talk: Conversation): Promise<Head | ParserError | null> {
  const { dialect } = talk.style;
  const bounds = PARSER_BOUNDS[dialect];
  const first = await talk.reader.line(bounds.requestLineBytesMax);
  if (first === "long") return requestLineTooLong;
  if (typeof first === "string") return null;
  const line = readRequestLine(first.toString("latin1").replace(/\r+$/, ""), dialect);
  if (line === null || line.kind === "parser-error") return line;
  let block = "";
  for (let count = 0; ; count += 1) {
    const next = await talk.reader.line(bounds.headerLineBytesMax);
    if (next === "long") return dialect === "gevent" ? gevent400 : lineTooLong;
    if (typeof next === "string") return null;
    const text = next.toString("latin1");
    if (text === "" || text === "\r") return { kind: "head", line, block };
    if (count >= bounds.headerLinesMax) return dialect === "gevent" ? gevent400 : tooManyHeaders;
    block += `${text}\n`;
  }
}
