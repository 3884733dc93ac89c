import type { X509Certificate } from "node:crypto";
import type { Look } from "../../report/finding.ts";
import { lookAtCertificate, type ShownCertificate } from "../certificate.ts";
import { type Check, fail, notOverTls, pass, untold, warn } from "../check.ts";
import type { SiteView } from "../view.ts";

const dayMs = 86_400_000;
/** A certificate this close to its end, or past three quarters of its life, should have been renewed. */
const daysLeftMin = 21;

const shown = new WeakMap<SiteView, ReturnType<typeof lookAtCertificate>>();

/** One handshake for all four checks. */
async function looking(view: SiteView, judge: (certificate: ShownCertificate) => Look): Promise<Look> {
  if (!view.target.secure) return notOverTls;
  const before = shown.get(view) ?? lookAtCertificate(view.budget, view.way);
  shown.set(view, before);
  const looked = await before;
  return looked.ok ? judge(looked.value) : untold(looked.error);
}

const names: Check = {
  id: "certificate-names",
  title: "The certificate is for this name",
  why: "Browsers stop at a certificate for another name, and people learn to click such warnings away.",
  fix: "Order a certificate that names this host, and serve it for this name (SNI).",
  look: (view) =>
    looking(view, ({ leaf, misnamed }) => {
      const seen =
        leaf.subjectAltName === undefined
          ? "It has no alternative names (subjectAltName), and the common name is not read by browsers"
          : `It names ${leaf.subjectAltName}`;
      if (misnamed === null) return pass(`${seen}.`);
      return fail(
        leaf.subjectAltName === undefined
          ? `${seen}.`
          : `${seen}, and ${view.target.host} is not among them.`,
      );
    }),
};

/** What OpenSSL's words mean for who has to change something. */
const remedies: Readonly<Record<string, string>> = {
  DEPTH_ZERO_SELF_SIGNED_CERT:
    "It is signed by itself. Order one from an authority browsers know, such as Let's Encrypt.",
  SELF_SIGNED_CERT_IN_CHAIN:
    "It comes from a private authority. Give that with --ca FILE, or order a public certificate.",
  UNABLE_TO_VERIFY_LEAF_SIGNATURE:
    "The intermediate certificate is not sent. Serve the full chain (fullchain.pem).",
  UNABLE_TO_GET_ISSUER_CERT: "The chain is not whole. Serve the full chain (fullchain.pem).",
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY:
    "The chain is not whole, or ends at an authority that is not known here. Serve the full chain, or give the authority with --ca FILE.",
  CERT_HAS_EXPIRED: "Renew it, and look why the renewal did not happen.",
  CERT_NOT_YET_VALID: "Set the clocks of server and authority right.",
};

const chain: Check = {
  id: "certificate-chain",
  title: "The certificate's chain is trusted",
  why: "A chain that browsers repair by luck fails in Odoo's mobile app, in payment providers' webhooks and in curl.",
  fix: "Serve the certificate with its intermediates, from an authority that browsers know.",
  look: (view) =>
    looking(view, ({ leaf, chain: found, untrusted }) => {
      const seen = `Issued by ${oneLine(leaf.issuer)}, ${found.length} in the chain`;
      if (untrusted === null) return pass(`${seen}, trusted.`);
      return fail(`${seen}; not trusted: ${untrusted}.`, remedies[untrusted]);
    }),
};

const days: Check = {
  id: "certificate-days",
  title: "The certificate is valid for long enough",
  why: "On the day it ends every browser, app and webhook stops.",
  fix: "Renew it automatically, at two thirds of its life or when the authority says so.",
  look: (view) =>
    looking(view, ({ leaf }) => {
      const now = view.wallMs();
      const [from, until] = [Date.parse(leaf.validFrom), Date.parse(leaf.validTo)];
      const left = Math.floor((until - now) / dayMs);
      const life = Math.round((until - from) / dayMs);
      const seen = `Valid until ${new Date(until).toISOString().slice(0, 10)}: ${left} of ${life} days left`;
      if (now >= until) return fail(`${seen}; it has expired.`);
      if (now < from) return fail(`Valid only from ${new Date(from).toISOString()}.`);
      if (left < Math.min(daysLeftMin, life / 4)) return warn(`${seen}; it should have been renewed by now.`);
      return pass(`${seen}.`);
    }),
};

const key: Check = {
  id: "certificate-key",
  title: "The certificate's key and signature are strong",
  why: "Short RSA keys and SHA-1 signatures are refused by browsers.",
  fix: "Use ECDSA P-256, or RSA of 2048 bits or more.",
  look: (view) =>
    looking(view, ({ leaf }) => {
      const { asymmetricKeyType: type = "?", asymmetricKeyDetails: details } = leaf.publicKey;
      const bits = details?.modulusLength;
      const what =
        bits === undefined ? `${type} ${details?.namedCurve ?? ""}`.trim() : `${type} ${bits} bits`;
      const broken = brokenSignature(leaf);
      const seen = `Key: ${what}${broken === null ? "" : `; signed with ${broken}`}.`;
      return (bits !== undefined && bits < 2048) || broken !== null ? fail(seen) : pass(seen);
    }),
};

/** As DER, anywhere a leaf names its signature: sha1WithRSAEncryption 1.2.840.113549.1.1.5, ecdsa-with-SHA1 1.2.840.10045.4.1, md5WithRSAEncryption 1.2.840.113549.1.1.4. */
const brokenSignatures: readonly (readonly [oid: string, name: string])[] = [
  ["06092a864886f70d010105", "SHA-1"],
  ["06072a8648ce3d0401", "SHA-1"],
  ["06092a864886f70d010104", "MD5"],
];

function brokenSignature(leaf: X509Certificate): string | null {
  return brokenSignatures.find(([oid]) => leaf.raw.includes(Buffer.from(oid, "hex")))?.[1] ?? null;
}

/** The TLS feature extension (RFC 7633) by its OID, and in it status_request as the INTEGER 5. */
const featureBytes = Buffer.from("06082b06010505070118", "hex");
const statusRequest = Buffer.from([2, 1, 5]);

function demandsStaple({ raw }: X509Certificate): boolean {
  const at = raw.indexOf(featureBytes);
  // OID, OCTET STRING, SEQUENCE: no more than a few bytes lie between.
  return at !== -1 && raw.subarray(at, at + featureBytes.length + 16).includes(statusRequest);
}

const stapling: Check = {
  id: "certificate-stapling",
  title: "What the authority says of revocation comes with the certificate",
  why: "Without it browsers ask the authority who visits the site, or do not ask; a certificate that demands it is refused by Firefox.",
  fix: "Switch OCSP stapling on (nginx: ssl_stapling on, ssl_stapling_verify on and a resolver), or order a certificate without a responder.",
  look: (view) =>
    looking(view, ({ leaf, stapled }) => {
      const responder = /(?:^|\n)OCSP - URI:"?([^"\s]{1,200})/.exec(leaf.infoAccess ?? "")?.[1];
      if (stapled) return pass("An OCSP answer is stapled.");
      if (demandsStaple(leaf))
        return fail("The certificate demands a stapled OCSP answer (must-staple), and none came.");
      if (responder === undefined)
        return pass(
          "The certificate names no OCSP responder, as those of Let's Encrypt since 2025: there is nothing to staple, and settings for it do nothing.",
        );
      return warn(`The certificate names the OCSP responder ${responder}, and no answer of it is stapled.`);
    }),
};

function oneLine(name: string): string {
  return name.replaceAll("\n", ", ");
}

export const certificateChecks: readonly Check[] = [names, chain, days, key, stapling];
