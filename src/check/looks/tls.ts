import { ok, type Result } from "../../base/result.ts";
import type { Look } from "../../report/finding.ts";
import type { Trouble } from "../budget.ts";
import { type Check, fail, notOverTls, pass, skipped, untold, warn } from "../check.ts";
import { openConnection } from "../connect.ts";
import { hybridGroup, type TlsVersion } from "../hello.ts";
import { type Offered, offerHello } from "../hello-probe.ts";
import { brokenSuites, goodSuites, tls13Suites, weakSuites } from "../suites.ts";
import type { SiteView } from "../view.ts";

type Offer = Result<Offered, Trouble>;

function offer(
  view: SiteView,
  version: TlsVersion,
  suites: Iterable<number>,
  groups?: readonly number[],
): Promise<Offer> {
  const { budget, way, target } = view;
  return offerHello(budget, way, {
    version,
    suites,
    host: target.host,
    ...(groups === undefined ? {} : { groups }),
  });
}

const offered = new WeakMap<SiteView, Map<TlsVersion, Promise<Offer>>>();

/** Is a version taken with any suite; asked once for both checks. */
function takes(view: SiteView, version: TlsVersion): Promise<Offer> {
  const known = offered.get(view) ?? new Map<TlsVersion, Promise<Offer>>();
  offered.set(view, known);
  const asking = known.get(version) ?? offer(view, version, version === "TLS 1.3" ? tls13Suites : allSuites);
  known.set(version, asking);
  return asking;
}

/** The newest version below TLS 1.3 that the site takes with any suite; null: none, so there is nothing to choose among. */
async function choosingVersion(view: SiteView): Promise<Result<TlsVersion | null, Trouble>> {
  for (const version of ["TLS 1.2", "TLS 1.1", "TLS 1.0", "SSL 3.0"] as const) {
    const answer = await takes(view, version);
    if (!answer.ok) return answer;
    if (answer.value.taken) return ok(version);
  }
  return ok(null);
}

const allSuites = [...goodSuites, ...weakSuites.keys(), ...brokenSuites.keys()];

const versions: Check = {
  id: "tls-versions",
  title: "TLS 1.2 and 1.3 are offered, older ones refused",
  why: "SSL 3.0, TLS 1.0 and 1.1 rest on broken hashes and paddings (RFC 8996); no browser Odoo supports needs them.",
  fix: "Offer TLS 1.2 and 1.3 only.",
  async look(view) {
    if (!view.target.secure) return notOverTls;
    const taken: TlsVersion[] = [];
    let trouble: Look | null = null;
    for (const version of ["SSL 3.0", "TLS 1.0", "TLS 1.1", "TLS 1.2", "TLS 1.3"] as const) {
      const answer = await takes(view, version);
      if (!answer.ok) trouble ??= skipped(`${version}: ${answer.error.detail}.`);
      else if (answer.value.taken) taken.push(version);
    }
    const old = taken.filter((version) => version !== "TLS 1.2" && version !== "TLS 1.3");
    const seen = `Accepted: ${taken.join(", ") || "none"}; offered one by one from SSL 3.0 to TLS 1.3.`;
    // An old version that was taken is told, whatever became of the others.
    if (trouble !== null && old.length === 0) return trouble;
    if (taken.length === 0)
      return fail(seen, "Nothing speaks TLS there, or it wants a name it was not given.");
    if (old.length > 0) return fail(seen);
    if (!taken.includes("TLS 1.3"))
      return warn(seen, "Offer TLS 1.3 too: it is quicker and has no weak choices.");
    return pass(seen);
  },
};

/** Mozilla's intermediate list asks for it. */
const groupBitsMin = 2_048;

/** Size of the group a site uses for DHE; null: it uses none, or did not say. */
async function groupBits({ budget, way }: SiteView): Promise<number | null> {
  const timeMs = budget.take();
  if (typeof timeMs !== "number" || way.tls === null) return null;
  const dhe = "DHE-RSA-AES128-GCM-SHA256:DHE-RSA-AES256-GCM-SHA384:DHE-RSA-CHACHA20-POLY1305";
  const opened = await openConnection({ ...way, tls: { ...way.tls, ciphers: dhe } }, timeMs);
  if (!opened.ok) return null;
  // RSA certificates alone go with these ciphers, so what is ephemeral is a group of DH.
  const info = "getEphemeralKeyInfo" in opened.value ? opened.value.getEphemeralKeyInfo() : null;
  opened.value.destroy();
  const bits: unknown = info === null ? null : Reflect.get(info, "size");
  return typeof bits === "number" ? bits : null;
}

const ciphers: Check = {
  id: "tls-ciphers",
  title: "Only ciphers with forward secrecy and authenticated encryption are offered",
  why: "RC4, 3DES, NULL, anonymous and export ciphers can be broken; without forward secrecy a stolen key opens old recordings.",
  fix: "Take Mozilla's intermediate list: ECDHE or DHE with AES-GCM or ChaCha20-Poly1305.",
  async look(view) {
    if (!view.target.secure) return notOverTls;
    const chosen = await choosingVersion(view);
    if (!chosen.ok) return untold(chosen.error);
    const version = chosen.value;
    if (version === null)
      return pass("Nothing below TLS 1.3 is spoken, and its ciphers are all of this kind.");
    const broken = await offer(view, version, brokenSuites.keys());
    if (!broken.ok) return untold(broken.error);
    if (broken.value.taken)
      return fail(`Offered only broken ciphers, the server chose ${name(broken.value.suite)}.`);
    const bits = version === "TLS 1.2" ? await groupBits(view) : null;
    if (bits !== null && bits < groupBitsMin)
      return warn(
        `Diffie-Hellman with a group of ${bits} bits is offered, which can be computed beforehand (Logjam).`,
        "Offer ECDHE only, or make a group of 2048 bits or more (nginx: ssl_dhparam).",
      );
    const weak = await offer(view, version, weakSuites.keys());
    if (!weak.ok) return untold(weak.error);
    if (weak.value.taken)
      return warn(
        `Offered only ciphers outside Mozilla's intermediate list, the server chose ${name(weak.value.suite)}.`,
      );
    return pass(
      `${brokenSuites.size} broken and ${weakSuites.size} weak ciphers were offered with ${version} and refused.`,
    );
  },
};

function name(suite: number): string {
  return brokenSuites.get(suite) ?? weakSuites.get(suite) ?? `0x${suite.toString(16).padStart(4, "0")}`;
}

const keyExchange: Check = {
  id: "tls-key-exchange",
  title: "A key exchange that also holds against quantum computers is offered",
  why: "What is recorded today can be opened later; X25519MLKEM768 closes that, and browsers use it when the server can.",
  fix: "Use a TLS library with X25519MLKEM768 (OpenSSL 3.5, Go 1.24, Node 24) and leave its default groups alone.",
  async look(view) {
    if (!view.target.secure) return notOverTls;
    const answer = await offer(view, "TLS 1.3", tls13Suites, [hybridGroup]);
    if (!answer.ok) return untold(answer.error);
    if (answer.value.taken && answer.value.group === hybridGroup) return pass("X25519MLKEM768 is accepted.");
    return warn("X25519MLKEM768 is refused; only classic curves are offered.");
  },
};

const http2: Check = {
  id: "http2",
  title: "HTTP/2 is offered",
  why: "A cold web client asks for thirty files at once; over HTTP/1.1 they queue behind six connections.",
  fix: "Switch HTTP/2 on for the HTTPS listener (ALPN h2).",
  async look(view) {
    const { way, budget } = view;
    if (way.tls === null) return notOverTls;
    const timeMs = budget.take();
    if (typeof timeMs !== "number") return untold(timeMs);
    const opened = await openConnection(
      { ...way, tls: { ...way.tls, protocols: ["h2", "http/1.1"] } },
      timeMs,
    );
    budget.went(opened.ok);
    if (!opened.ok) return untold(opened.error);
    const chosen = "alpnProtocol" in opened.value ? opened.value.alpnProtocol : false;
    opened.value.destroy();
    if (chosen === "h2") return pass("ALPN chose h2.");
    return chosen === "http/1.1" || chosen === false
      ? warn(`ALPN offered h2 and http/1.1; the server chose ${chosen === false ? "nothing" : chosen}.`)
      : skipped(`ALPN chose ${String(chosen)}.`);
  },
};

export const tlsChecks: readonly Check[] = [versions, ciphers, keyExchange, http2];
