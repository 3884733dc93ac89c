import type { Socket } from "node:net";
import { createSecureContext, type SecureContext, Server as TlsServer } from "node:tls";
import { helloBytesMax, readClientHello } from "./client-hello.ts";
import { certificateName } from "./names.ts";

/** Where an authority looks for the key authorisation (RFC 8555 §8.3). */
export const challengePath = "/.well-known/acme-challenge/";
const acmeProtocol = "acme-tls/1";
/** Open challenges at once; an order of a hundred names is the authorities' own bound. Further ones are not answered. */
const openMax = 200;
/** The hello, and then the handshake, must be there by then. */
const handshakeTimeoutMs = 10_000;

/** What authorities ask us to show while an order runs. Empty at all other times. */
export interface Challenges {
  /** HTTP-01: the answer for a path below `challengePath`; null for everything else. */
  httpAnswer(path: string): string | null;
  /** TLS-ALPN-01: is a connection to be looked at before the TLS server gets it. */
  readonly watchesHellos: boolean;
  /** Takes the connection when its hello asks for a challenge, else hands it on with nothing of it lost. */
  sort(socket: Socket, handOn: (socket: Socket) => void): void;
  addHttp(token: string, keyAuthorization: string): void;
  removeHttp(token: string): void;
  /** `name` is shown this certificate (RFC 8737 §3). */
  addTls(name: string, certificate: { readonly certPem: string; readonly keyPem: string }): void;
  removeTls(name: string): void;
}

export function createChallenges(): Challenges {
  const http = new Map<string, string>();
  const tls = new Map<string, SecureContext>();
  const server = validationServer(tls);
  return {
    httpAnswer(path) {
      return http.size === 0 || !path.startsWith(challengePath)
        ? null
        : (http.get(path.slice(challengePath.length)) ?? null);
    },
    get watchesHellos() {
      return tls.size > 0;
    },
    sort(socket, handOn) {
      // While a challenge is open every new connection is read up to its hello: the validation certificate must be
      // shown to the authority alone, and Node tells the offered protocols too late to choose a certificate by them.
      const parts: Buffer[] = [];
      const give = () => void socket.destroy();
      const timer = setTimeout(give, handshakeTimeoutMs);
      const done = () => {
        clearTimeout(timer);
        socket.off("readable", look);
        socket.off("close", done);
        socket.off("end", give);
      };
      const look = () => {
        const part: Buffer | null = socket.read();
        if (part === null) return;
        parts.push(part);
        const bytes = Buffer.concat(parts);
        const hello = readClientHello(bytes);
        if (hello === "more" && bytes.length < helloBytesMax) return;
        done();
        // Back it goes: the TLS server reads what stands in the socket's buffer first.
        socket.unshift(bytes);
        const isOurs = hello !== null && hello !== "more" && hello.protocols.includes(acmeProtocol);
        if (isOurs) server.emit("connection", socket);
        else handOn(socket);
      };
      socket.on("readable", look);
      socket.on("close", done);
      socket.on("end", give);
    },
    addHttp(token, keyAuthorization) {
      if (http.size < openMax) http.set(token, keyAuthorization);
    },
    removeHttp(token) {
      http.delete(token);
    },
    addTls(name, { certPem, keyPem }) {
      if (tls.size >= openMax) return;
      tls.set(
        certificateName(name),
        createSecureContext({ cert: certPem, key: keyPem, minVersion: "TLSv1.2" }),
      );
    },
    removeTls(name) {
      tls.delete(certificateName(name));
    },
  };
}

/** Speaks nothing but the handshake (RFC 8737 §3: the connection is closed behind it). */
function validationServer(contexts: ReadonlyMap<string, SecureContext>): TlsServer {
  const server = new TlsServer({
    ALPNProtocols: [acmeProtocol],
    handshakeTimeout: handshakeTimeoutMs,
    SNICallback: (name, done) => {
      const context = contexts.get(name.toLowerCase());
      if (context === undefined) done(new Error("no challenge for this name"));
      else done(null, context);
    },
  });
  server.on("secureConnection", (socket) => {
    socket.on("error", () => socket.destroy());
    socket.end();
  });
  server.on("tlsClientError", (_error, socket) => socket.destroy());
  return server;
}
