import { createPrivateKey, webcrypto } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import * as x509 from "@peculiar/x509";
import t from "tap";
import { problemLine } from "../../src/base/problem.ts";
import { loadCertificateFiles } from "../../src/tls/certificate.ts";
import { makeAuthority, makeKeyPem, makeServerCertificate } from "../../src/tls/x509.ts";

const dayMs = 86_400_000;
const nowMs = Date.now();
const directory = mkdtempSync(join(tmpdir(), "gateway-chain-"));
t.teardown(() => rmSync(directory, { recursive: true, force: true }));

async function keysOf(pem: string): Promise<webcrypto.CryptoKeyPair> {
  const der = createPrivateKey(pem).export({ type: "pkcs8", format: "der" });
  const ecP256 = { name: "ECDSA", namedCurve: "P-256" };
  const privateKey = await webcrypto.subtle.importKey("pkcs8", der, ecP256, true, ["sign"]);
  const { d: _secret, key_ops: _uses, ...jwk } = await webcrypto.subtle.exportKey("jwk", privateKey);
  return { privateKey, publicKey: await webcrypto.subtle.importKey("jwk", jwk, ecP256, true, ["verify"]) };
}

/** Root, intermediate and leaf, each with days from now to its end; what is said of the chain without, or with, its root. */
async function said(
  days: { root: number; between: number; leaf: number },
  withRoot: boolean,
): Promise<string> {
  const life = (until: number) => ({ notBeforeMs: nowMs - 400 * dayMs, notAfterMs: nowMs + until * dayMs });
  const [rootKey, betweenKey, keyPem] = [makeKeyPem(), makeKeyPem(), makeKeyPem()];
  const root = await makeAuthority({ keyPem: rootKey, commonName: "root", ...life(days.root) });
  const between = await x509.X509CertificateGenerator.create({
    ...{ serialNumber: "0102", subject: "CN=between", issuer: new x509.X509Certificate(root).subject },
    ...{ notBefore: new Date(nowMs - 400 * dayMs), notAfter: new Date(nowMs + days.between * dayMs) },
    publicKey: (await keysOf(betweenKey)).publicKey,
    signingKey: (await keysOf(rootKey)).privateKey,
    signingAlgorithm: { name: "ECDSA", hash: "SHA-256" },
    extensions: [
      new x509.BasicConstraintsExtension(true, 0, true),
      new x509.KeyUsagesExtension(x509.KeyUsageFlags.keyCertSign, true),
    ],
  });
  const authorityPem = `${between.toString("pem")}\n`;
  const leaf = await makeServerCertificate({
    ...{ authorityPem, authorityKeyPem: betweenKey, keyPem, names: ["erp.example.com"] },
    ...{ notBeforeMs: nowMs - dayMs, notAfterMs: nowMs + days.leaf * dayMs },
  });
  const [certFile, keyFile] = [join(directory, "chain.pem"), join(directory, "key.pem")];
  writeFileSync(certFile, leaf + authorityPem + (withRoot ? root : ""));
  writeFileSync(keyFile, keyPem, { mode: 0o600 });
  const loaded = loadCertificateFiles(certFile, keyFile, ["erp.example.com"], nowMs);
  return (loaded.ok ? loaded.value.warnings : loaded.error).map(problemLine).join("\n");
}

t.test("an intermediate that has ended is told, a root that has is not", async (t) => {
  t.equal(await said({ root: 900, between: 300, leaf: 60 }, false), "");
  t.match(
    await said({ root: 900, between: -3, leaf: 60 }, false),
    /certificate 2 \(CN=between\) expired on 2.*; get the authority's present chain/,
  );
  t.equal(await said({ root: -3, between: 300, leaf: 60 }, true), "");
});

t.test("a certificate of six days is not always about to end", async (t) => {
  t.equal(await said({ root: 900, between: 300, leaf: 5 }, false), "");
  t.match(await said({ root: 900, between: 300, leaf: 0.4 }, false), /expires on 2/);
});
