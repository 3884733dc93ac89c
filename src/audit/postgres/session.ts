/** A session with a PostgreSQL server that only reads: one login, a few queries, bounded in time and bytes. */
import { randomBytes } from "node:crypto";
import { connect as connectTcp, isIP, type Socket } from "node:net";
import { type ConnectionOptions, connect as connectTls } from "node:tls";
import { err, ok, type Result } from "../../base/result.ts";
import type { Dsn } from "./dsn.ts";
import {
  columnsOf,
  cString,
  errorText,
  type Frame,
  FrameReader,
  frame,
  int32,
  sslRequest,
  startupMessage,
} from "./frames.ts";
import { md5Answer, Scram } from "./scram.ts";

/** The whole session ends by then. */
export const sessionTimeoutMs = 20_000;
/** All answers together, and rows of one answer. */
export const sessionBytesMax = 8_388_608;
export const rowsMax = 10_000;

export type Rows = readonly (readonly (string | null)[])[];

export class PgSession {
  readonly encrypted: boolean;
  /** How the server asked for the password: `scram-sha-256`, `md5`, `password`, or `none`. */
  readonly proof: string;
  readonly #wire: Wire;

  constructor(wire: Wire, encrypted: boolean, proof: string) {
    this.#wire = wire;
    this.encrypted = encrypted;
    this.proof = proof;
  }

  /** One statement's rows, all columns as text; or the server's sentence on why not. */
  async query(sql: string): Promise<Result<Rows, string>> {
    this.#wire.send(frame("Q", cString(sql)));
    const rows: (readonly (string | null)[])[] = [];
    let failure: string | null = null;
    for (;;) {
      const next = await this.#wire.next();
      if (!next.ok) return next;
      const { type, body } = next.value;
      if (type === "D") {
        const columns = columnsOf(body);
        if (columns === null) failure ??= "a row cannot be read";
        else if (rows.length < rowsMax) rows.push(columns);
        else failure ??= `more than ${rowsMax} rows`;
      } else if (type === "E") failure ??= errorText(body);
      else if (type === "Z") return failure === null ? ok(rows) : err(failure);
    }
  }

  close(): void {
    this.#wire.send(frame("X", Buffer.alloc(0)));
    this.#wire.close();
  }
}

/** Connects, logs in, and makes the session read-only. `rootCertificates` is the PEM text of sslrootcert. The session ends after `timeoutMs`. */
export async function openSession(
  dsn: Dsn,
  rootCertificates: string | null,
  timeoutMs: number = sessionTimeoutMs,
): Promise<Result<PgSession, string>> {
  const deadline = AbortSignal.timeout(timeoutMs);
  const wantsTls = !dsn.host.startsWith("/") && dsn.sslMode !== "disable" && dsn.sslMode !== "allow";
  const mustTls = wantsTls && dsn.sslMode !== "prefer";
  const tcp = await connected(dsn, deadline);
  if (!tcp.ok) return tcp;
  let socket = tcp.value;
  let encrypted = false;
  if (wantsTls) {
    const upgraded = await upgrade(socket, dsn, rootCertificates, deadline);
    if (!upgraded.ok) {
      socket.destroy();
      return upgraded;
    }
    if (upgraded.value !== null) {
      socket = upgraded.value;
      encrypted = true;
    } else if (mustTls) {
      socket.destroy();
      return err(`the server offers no TLS, and sslmode is ${dsn.sslMode}`);
    }
  }
  const wire = new Wire(socket, deadline);
  const proof = await login(wire, dsn, encrypted || dsn.host.startsWith("/"));
  if (!proof.ok) {
    wire.close();
    return proof;
  }
  const session = new PgSession(wire, encrypted, proof.value);
  const readOnly = await session.query(
    "SET default_transaction_read_only = on; SET statement_timeout = '5s'; SET standard_conforming_strings = on",
  );
  if (!readOnly.ok) {
    session.close();
    return readOnly;
  }
  return ok(session);
}

function connected(dsn: Dsn, deadline: AbortSignal): Promise<Result<Socket, string>> {
  const { host, port } = dsn;
  return new Promise((resolve) => {
    const socket = host.startsWith("/")
      ? connectTcp({ path: `${host}/.s.PGSQL.${port}`, signal: deadline })
      : connectTcp({ host, port, signal: deadline });
    socket.once("connect", () => {
      socket.removeAllListeners("error");
      resolve(ok(socket));
    });
    socket.once("error", (error) => {
      socket.on("error", () => {});
      resolve(err(deadline.aborted ? "no connection in time" : error.message));
    });
  });
}

/** The TLS socket; null when the server has no TLS. */
function upgrade(
  socket: Socket,
  dsn: Dsn,
  rootCertificates: string | null,
  deadline: AbortSignal,
): Promise<Result<Socket | null, string>> {
  return new Promise((resolve) => {
    const end = (answer: Result<Socket | null, string>) => {
      deadline.removeEventListener("abort", late);
      socket.removeListener("data", answered);
      resolve(answer);
    };
    const late = () => end(err("no answer about TLS in time"));
    const answered = (data: Buffer) => {
      const [first] = data;
      // More than the one byte would be unencrypted bytes smuggled before the handshake (CVE-2021-23222).
      if (data.length !== 1) return end(err("the server sends more than an answer about TLS"));
      if (first === 0x4e) return end(ok(null));
      if (first !== 0x53) return end(err("what answers there is no PostgreSQL"));
      socket.removeListener("data", answered);
      const verifies = dsn.sslMode === "verify-ca" || dsn.sslMode === "verify-full";
      const options: ConnectionOptions = {
        socket,
        rejectUnauthorized: verifies,
        ...(isIP(dsn.host) === 0 ? { servername: dsn.host } : {}),
        ...(rootCertificates === null ? {} : { ca: rootCertificates }),
        ...(dsn.sslMode === "verify-ca" ? { checkServerIdentity: () => undefined } : {}),
        ...(dsn.sslMode === "verify-full" && isIP(dsn.host) !== 0 ? { host: dsn.host } : {}),
      };
      const secure = connectTls(options);
      secure.once("secureConnect", () => {
        secure.removeAllListeners("error");
        end(ok(secure));
      });
      secure.once("error", (error) => {
        secure.on("error", () => {});
        end(err(`TLS: ${error.message}`));
      });
    };
    deadline.addEventListener("abort", late);
    socket.on("error", (error) => end(err(error.message)));
    socket.once("close", () => end(err("the server closed the connection")));
    socket.on("data", answered);
    socket.write(sslRequest);
  });
}

/** The login; answers how the password was asked for. `isPrivate`: nobody between can read. */
async function login(wire: Wire, dsn: Dsn, isPrivate: boolean): Promise<Result<string, string>> {
  wire.send(
    startupMessage({
      user: dsn.user,
      database: dsn.database,
      application_name: "odoo-gateway audit",
      client_encoding: "UTF8",
    }),
  );
  let proof = "none";
  let scram: Scram | null = null;
  for (;;) {
    const next = await wire.next();
    if (!next.ok) return next;
    const { type, body } = next.value;
    if (type === "Z") return ok(proof);
    if (type === "E") return err(errorText(body));
    if (type !== "R") continue;
    const kind = body.length >= 4 ? body.readInt32BE(0) : -1;
    const rest = body.subarray(4);
    if (kind === 0) continue;
    if (dsn.password === null && kind !== 11 && kind !== 12)
      return err(`the server asks for the password of ${dsn.user}; give it in PGPASSWORD`);
    const password = dsn.password ?? "";
    if (kind === 3) {
      if (!isPrivate) return err("the server asks for the password as it is, without TLS; it was not sent");
      proof = "password";
      wire.send(frame("p", cString(password)));
    } else if (kind === 5) {
      proof = "md5";
      wire.send(frame("p", cString(md5Answer(dsn.user, password, rest.subarray(0, 4)))));
    } else if (kind === 10) {
      if (!rest.toString("latin1").split("\0").includes("SCRAM-SHA-256"))
        return err("the server knows no SCRAM-SHA-256");
      proof = "scram-sha-256";
      scram = new Scram(password, randomBytes(18).toString("base64"));
      const first = Buffer.from(scram.first, "utf8");
      wire.send(frame("p", Buffer.concat([cString("SCRAM-SHA-256"), int32(first.length), first])));
    } else if (kind === 11 && scram !== null) {
      const final = scram.final(rest.toString("utf8"));
      if (!final.ok) return final;
      wire.send(frame("p", Buffer.from(final.value, "utf8")));
    } else if (kind === 12 && scram !== null) {
      if (!scram.proves(rest.toString("utf8")))
        return err("the server does not know the password itself: it is not the one we look for");
    } else return err(`the server asks for a proof this program does not know (${kind})`);
  }
}

/** Messages in, bytes out, on one socket. */
class Wire {
  readonly #socket: Socket;
  readonly #reader = new FrameReader();
  readonly #deadline: AbortSignal;
  #frames: Frame[] = [];
  #end: string | null = null;
  #wake: (() => void) | null = null;
  #bytes = 0;

  constructor(socket: Socket, deadline: AbortSignal) {
    this.#socket = socket;
    this.#deadline = deadline;
    socket.removeAllListeners("close");
    socket.removeAllListeners("error");
    socket.on("data", (chunk: Buffer) => this.#take(chunk));
    socket.on("error", (error) => this.#finish(error.message));
    socket.on("close", () => this.#finish("the server closed the connection"));
    deadline.addEventListener("abort", this.#late);
    if (deadline.aborted) this.#late();
  }

  readonly #late = (): void => this.#finish("not done in time");

  #take(chunk: Buffer): void {
    this.#bytes += chunk.length;
    const frames = this.#bytes > sessionBytesMax ? null : this.#reader.push(chunk);
    if (frames === null) return this.#finish("what the server sends is too long, or no PostgreSQL");
    this.#frames.push(...frames);
    this.#wake?.();
  }

  #finish(reason: string): void {
    this.#end ??= reason;
    this.#socket.destroy();
    this.#wake?.();
  }

  send(bytes: Buffer): void {
    if (this.#end === null) this.#socket.write(bytes);
  }

  async next(): Promise<Result<Frame, string>> {
    for (;;) {
      const first = this.#frames.shift();
      if (first !== undefined) return ok(first);
      if (this.#end !== null) return err(this.#end);
      await new Promise<void>((resolve) => {
        this.#wake = resolve;
      });
      this.#wake = null;
    }
  }

  close(): void {
    this.#deadline.removeEventListener("abort", this.#late);
    this.#end ??= "closed";
    this.#socket.end();
    this.#socket.destroySoon();
  }
}
