import { createPrivateKey, createPublicKey, webcrypto, X509Certificate } from "node:crypto";
import { once } from "node:events";
import { writeFileSync } from "node:fs";
import type { IncomingMessage, ServerResponse } from "node:http";
import { createServer } from "node:https";
import * as x509 from "@peculiar/x509";
import { makeAuthority, makeKeyPem } from "../../src/tls/x509.ts";
import { issuedChain } from "../contracts/acme-store.ts";
import { fresh, type Owner } from "./acme-pair.ts";

const dayMs = 86_400_000;

/** Answers one request in the authority's place; false: it answers itself after all. */
export type Lie = (response: ServerResponse, request: IncomingMessage) => boolean | undefined;

/** An authority that signs what it is asked for without looking, and answers as a test wants where it should not. */
export interface LyingAuthority {
  readonly directoryUrl: string;
  /** For ACME_CA_FILE. */
  readonly caFile: string;
  /** Address of a path here. */
  at(path: string): string;
  /** Paths that were asked for, in order. */
  readonly asked: string[];
  /** By path: `/dir`, `/nonce`, `/account`, `/order`, `/order/1`, `/authz/1`, `/challenge/1`, `/finalize/1`, `/certificate/1`, `/ari`. */
  readonly lies: Map<string, Lie>;
  /** Set to be asked for renewal information. */
  ari: { readonly start: string; readonly end: string; readonly retryAfter?: string } | null;
  /** What the certificate says, where it should say something else than was ordered. */
  issued: { names?: readonly string[]; fromMs?: number; untilMs?: number };
  /** What an order lists, where it should be something else than one authorisation. */
  authorizations: readonly unknown[] | null;
  /** Orders as they came. */
  readonly ordered: Record<string, unknown>[];
  /** Name of the authorisation, where it should not be the one that was ordered. */
  authorized: string | null;
}

/** Starts one on the loopback; `http-01` for the first ordered name is what it wants to see, and never looks at. */
export async function startLyingAuthority(
  t: Owner,
  clockMs: () => number = Date.now,
): Promise<LyingAuthority> {
  const own = await issuedChain(["127.0.0.1"], Date.now());
  const keyPem = makeKeyPem();
  const life = { notBeforeMs: Date.now() - dayMs, notAfterMs: Date.now() + 900 * dayMs };
  const rootPem = await makeAuthority({ keyPem, commonName: "a lying authority", ...life });
  let names: readonly string[] = [];
  let isProved = false;
  let signed = "";
  const server = createServer({ key: own.keyPem, cert: own.certPem }, (request, response) => {
    void answer(request, response);
  }).listen(0, "127.0.0.1");
  await once(server, "listening");
  t.teardown(() => {
    server.closeAllConnections();
    server.close();
  });
  const address = server.address();
  const port = typeof address === "object" && address !== null ? address.port : 0;
  const at = (path: string) => `https://127.0.0.1:${port}${path}`;
  const caFile = fresh(".pem");
  writeFileSync(caFile, own.certPem.slice(own.certPem.lastIndexOf("-----BEGIN")));
  const self: LyingAuthority = {
    ...{ directoryUrl: at("/dir"), caFile, at, asked: [], lies: new Map() },
    ...{ ari: null, issued: {}, authorizations: null, authorized: null },
    ordered: [],
  };

  async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? "").replace(/^\/ari\/.*/, "/ari");
    self.asked.push(path);
    const parts: Buffer[] = [];
    for await (const part of request) parts.push(part);
    response.setHeader("Replay-Nonce", `nonce${self.asked.length}`);
    response.setHeader("Content-Type", "application/json");
    if (self.lies.get(path)?.(response, request) === true) return;
    const body = Buffer.concat(parts).toString();
    const payload: unknown = body === "" ? "" : JSON.parse(body).payload;
    const sent = typeof payload === "string" && payload !== "" ? JSON.parse(decode(payload)) : {};
    response.end(await reply(path, sent, response));
  }

  async function reply(
    path: string,
    sent: Record<string, unknown>,
    response: ServerResponse,
  ): Promise<string> {
    switch (path) {
      case "/dir":
        return JSON.stringify({
          ...{ newNonce: at("/nonce"), newAccount: at("/account"), newOrder: at("/order") },
          ...(self.ari === null ? {} : { renewalInfo: at("/ari") }),
        });
      case "/ari": {
        const { start, end, retryAfter } = self.ari ?? { start: "", end: "" };
        if (retryAfter !== undefined) response.setHeader("Retry-After", retryAfter);
        return JSON.stringify({ suggestedWindow: { start, end } });
      }
      case "/account":
        response.writeHead(201, { Location: at("/account/1") });
        return JSON.stringify({ status: "valid" });
      case "/order": {
        self.ordered.push(sent);
        names = (sent["identifiers"] as { value: string }[]).map(({ value }) => value);
        isProved = false;
        signed = "";
        response.writeHead(201, { Location: at("/order/1") });
        return order();
      }
      case "/order/1":
        return order();
      case "/authz/1":
        return JSON.stringify({
          status: isProved ? "valid" : "pending",
          identifier: { type: "dns", value: self.authorized ?? names[0] },
          challenges: ["http-01", "dns-01"].map((type) => ({
            type,
            url: at("/challenge/1"),
            token: "token",
          })),
        });
      case "/challenge/1":
        isProved = true;
        return JSON.stringify({
          type: "http-01",
          status: "processing",
          url: at("/challenge/1"),
          token: "token",
        });
      case "/finalize/1":
        signed = await sign(Buffer.from(String(sent["csr"]), "base64url"));
        return order();
      case "/certificate/1":
        response.setHeader("Content-Type", "application/pem-certificate-chain");
        return signed;
      default:
        return "";
    }
  }

  function order(): string {
    return JSON.stringify({
      status: signed !== "" ? "valid" : isProved ? "ready" : "pending",
      identifiers: names.map((value) => ({ type: "dns", value })),
      authorizations: self.authorizations ?? [at("/authz/1")],
      finalize: at("/finalize/1"),
      ...(signed === "" ? {} : { certificate: at("/certificate/1") }),
    });
  }

  async function sign(csr: Buffer): Promise<string> {
    const wanted = new x509.Pkcs10CertificateRequest(csr);
    const root = new x509.X509Certificate(new X509Certificate(rootPem).raw);
    const ecP256 = { name: "ECDSA", namedCurve: "P-256" };
    const key = createPrivateKey(keyPem).export({ type: "pkcs8", format: "der" });
    const signingKey = await webcrypto.subtle.importKey("pkcs8", key, ecP256, false, ["sign"]);
    const rootKey = createPublicKey(keyPem).export({ type: "spki", format: "der" });
    const issuerKey = await webcrypto.subtle.importKey("spki", rootKey, ecP256, true, ["verify"]);
    const { fromMs = clockMs() - 3_600_000, untilMs = clockMs() + 90 * dayMs } = self.issued;
    const leaf = await x509.X509CertificateGenerator.create({
      ...{ serialNumber: `01${self.asked.length.toString(16).padStart(6, "0")}`, issuer: root.subject },
      ...{ subject: "CN=test", publicKey: wanted.publicKey, signingKey },
      ...{ notBefore: new Date(fromMs), notAfter: new Date(untilMs) },
      signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
      extensions: [
        new x509.SubjectAlternativeNameExtension(
          (self.issued.names ?? names).map((value) => ({ type: "dns", value }) as const),
        ),
        await x509.AuthorityKeyIdentifierExtension.create(issuerKey),
      ],
    });
    return `${leaf.toString("pem")}\n${rootPem}`;
  }
  return self;
}

function decode(text: string): string {
  return Buffer.from(text, "base64url").toString();
}
