import { mkdtempSync, rmSync } from "node:fs";
import { createServer as createHttp, type IncomingMessage } from "node:http";
import { createServer as createTcp, type Server, type Socket } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createServer as createTls, type TlsOptions } from "node:tls";
import { acceptFor } from "../../src/message/handshake.ts";
import { makeAuthority, makeKeyPem, makeServerCertificate } from "../../src/tls/x509.ts";

/** What a scripted site answers. */
export interface SiteAnswer {
  readonly status: number;
  /** Name and value alternating. */
  readonly fields: readonly string[];
  readonly body: string;
}

export interface SiteRequest {
  readonly method: string;
  readonly target: string;
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
  /** Over the plain port. */
  readonly plain: boolean;
}

export interface SiteScript {
  /** Changes what a hardened site would answer; null: the connection is closed. */
  readonly change?: (request: SiteRequest, good: SiteAnswer) => SiteAnswer | null;
  readonly tls?: TlsOptions;
  /** Names of the certificate and its life in days from now, which may be past. */
  readonly names?: readonly string[];
  readonly days?: readonly [from: number, until: number];
  /** Sends the leaf alone. */
  readonly leafOnly?: boolean;
}

export interface Site {
  readonly url: string;
  readonly httpPort: number;
  readonly httpsPort: number;
  /** PEM of the authority. */
  readonly authority: string;
  readonly requests: readonly SiteRequest[];
  close(): Promise<void>;
}

const security = [
  ...[
    "Strict-Transport-Security",
    "max-age=31536000; includeSubDomains",
    "X-Content-Type-Options",
    "nosniff",
  ],
  ...["X-Frame-Options", "SAMEORIGIN", "Referrer-Policy", "strict-origin-when-cross-origin"],
  ...["Permissions-Policy", "camera=(self), microphone=(self), geolocation=(self)"],
  ...["Content-Security-Policy", "script-src 'self' 'unsafe-inline' 'unsafe-eval'; frame-ancestors 'self'"],
];

const goodCiphers = "TLS_AES_128_GCM_SHA256:TLS_AES_256_GCM_SHA384:ECDHE-ECDSA-AES128-GCM-SHA256";

/** The log-in page of the scripted site. */
export const loginPage = `<html lang="en-US"><head><script src="/web/assets/1/abc/web.assets_frontend.min.js"></script></head>
<body><form class="oe_login_form"><input type="hidden" name="csrf_token" value="t0ken"/></form> Odoo</body></html>`;

/** What a site answers that does everything right. */
function goodAnswer({ path, plain, target, headers, method, body }: SiteRequest): SiteAnswer {
  const own = headers.host === undefined || headers.host.startsWith("odoo.test");
  if (plain) return { status: 301, fields: ["Location", `https://odoo.test${target}`], body: "" };
  if (!own) return { status: 421, fields: security, body: "" };
  // A first wrong password has its answer; a row of them is what is limited.
  if (path === "/web/login" && method === "POST" && !/login=(?:admin|demo)&/.test(body))
    return { status: 429, fields: [...security, "Retry-After", "12"], body: "" };
  if (path === "/web/login") {
    const cookie = ["Set-Cookie", "session_id=abc; Path=/; HttpOnly; Secure; SameSite=Lax"];
    return { status: 200, fields: [...security, "Content-Type", "text/html", ...cookie], body: loginPage };
  }
  if (path.startsWith("/web/assets/"))
    return {
      status: 200,
      fields: [
        ...security,
        "Content-Encoding",
        "br",
        "Vary",
        "Accept-Encoding",
        "Cache-Control",
        "public, max-age=31536000, immutable",
      ],
      body: "x",
    };
  if (path === "/web//health")
    return { status: 308, fields: [...security, "Location", `https://${headers.host}/web/health`], body: "" };
  return { status: 404, fields: security, body: "not here" };
}

/** Starts a site on loopback that is named odoo.test and answers by script; HTTPS, and a plain port beside it. */
export async function startSite(script: SiteScript = {}): Promise<Site> {
  const folder = mkdtempSync(join(tmpdir(), "gateway-site-"));
  const open = new Set<Socket>();
  const requests: SiteRequest[] = [];
  const http = createHttp({ keepAlive: true }, (message, response) => {
    const plain = !("encrypted" in message.socket);
    let body = "";
    message.on("data", (chunk: Buffer) => {
      body += chunk.toString("latin1");
    });
    message.on("end", () => {
      const target = message.url ?? "";
      const path = target.split("?")[0] ?? "";
      const request = { method: message.method ?? "", target, path, headers: message.headers, body, plain };
      requests.push(request);
      const good = goodAnswer(request);
      const answer = script.change === undefined ? good : script.change(request, good);
      if (answer === null) return void message.socket.destroy();
      // Written by hand: Node joins or refuses doubled fields.
      const lines = [
        `HTTP/1.1 ${answer.status} x`,
        `Content-Length: ${Buffer.byteLength(answer.body)}`,
        "Connection: close",
      ];
      for (let i = 0; i + 1 < answer.fields.length; i += 2)
        lines.push(`${answer.fields[i]}: ${answer.fields[i + 1]}`);
      message.socket.end(`${lines.join("\r\n")}\r\n\r\n${answer.body}`);
      response.destroy();
    });
  });
  http.on("upgrade", (message, socket) => {
    const request = {
      ...{ method: "GET", target: message.url ?? "", path: message.url ?? "", headers: message.headers },
      ...{ body: "", plain: false },
    };
    requests.push(request);
    const isOwn = message.headers.origin?.startsWith("https://odoo.test") === true;
    const key = message.headers["sec-websocket-key"] ?? "";
    const fields = ["Upgrade", "websocket", "Connection", "Upgrade", "Sec-WebSocket-Accept", acceptFor(key)];
    const good = isOwn ? { status: 101, fields, body: "" } : { status: 403, fields: [], body: "" };
    const answer = script.change === undefined ? good : script.change(request, good);
    if (answer === null) return void socket.destroy();
    const lines = [`HTTP/1.1 ${answer.status} x`];
    for (let i = 0; i + 1 < answer.fields.length; i += 2)
      lines.push(`${answer.fields[i]}: ${answer.fields[i + 1]}`);
    if (answer.status !== 101) lines.push(`Content-Length: ${answer.body.length}`, "Connection: close");
    socket.write(`${lines.join("\r\n")}\r\n\r\n${answer.body}`);
    if (answer.status !== 101) socket.end();
  });
  http.on("clientError", (_error, socket) =>
    socket.end("HTTP/1.1 400 x\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"),
  );
  const made = await makeCertificates(script);
  const tls = createTls(
    {
      cert: made.served,
      key: made.keyPem,
      ciphers: goodCiphers,
      ALPNProtocols: ["h2", "http/1.1"],
      ...script.tls,
    },
    (socket) => http.emit("connection", socket),
  );
  tls.on("tlsClientError", (_error, socket) => socket.destroy());
  const plain = createTcp((socket) => http.emit("connection", socket));
  for (const server of [tls, plain])
    server.on("connection", (socket: Socket) => {
      open.add(socket);
      socket.on("error", () => socket.destroy());
      socket.on("close", () => open.delete(socket));
    });
  const [httpsPort, httpPort] = [await listen(tls), await listen(plain)];
  return {
    url: `https://odoo.test:${httpsPort}`,
    httpPort,
    httpsPort,
    authority: made.authorityPem,
    requests,
    async close() {
      const closed = [tls, plain].map((server) => new Promise((resolve) => server.close(resolve)));
      for (const socket of open) socket.destroy();
      await Promise.all(closed);
      rmSync(folder, { recursive: true, force: true });
    },
  };
}

async function makeCertificates({ names = ["odoo.test"], days = [-1, 89], leafOnly = false }: SiteScript) {
  const now = Date.now();
  const at = (day: number) => now + day * 86_400_000;
  const [authorityKeyPem, keyPem] = [makeKeyPem(), makeKeyPem()];
  const authorityPem = await makeAuthority({
    ...{ keyPem: authorityKeyPem, commonName: "scripted authority" },
    ...{ notBeforeMs: at(-800), notAfterMs: at(800) },
  });
  const [from, until] = days;
  const leafPem = await makeServerCertificate({
    ...{ authorityPem, authorityKeyPem, keyPem, names: [...names] },
    ...{ notBeforeMs: at(from), notAfterMs: at(until) },
  });
  return { authorityPem, keyPem, served: leafOnly ? leafPem : leafPem + authorityPem };
}

export function listen(server: Server): Promise<number> {
  return new Promise((resolve) => {
    server.listen(0, "127.0.0.1", () => {
      const at = server.address();
      resolve(typeof at === "object" && at !== null ? at.port : 0);
    });
  });
}
