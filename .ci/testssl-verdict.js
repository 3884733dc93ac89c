// Reads testssl.sh's findings (--jsonfile) and ends with 0 when none stands above LOW and all that SSL Labs' guide 2009r asks
// for grade A holds. testssl.sh 3.0 has no grade of its own, so the conditions are looked up one by one.
import { readFileSync } from "node:fs";

const [path = ""] = process.argv.slice(2);
const findings = JSON.parse(readFileSync(path, "utf8"));
const found = new Map(findings.map(({ id, finding }) => [id.trim(), finding]));

// Looked at with `openssl s_client` at the end of its input, which ends whether or not the ticket of TLS 1.3 has come by then: on a quiet machine it often has
// not, whatever the server. Sessions are resumed in test/tls/server and test/cluster/workers.
const isRace = ({ id, severity, finding }) =>
  id.trim() === "sessionresumption_ticket" && severity === "WARN" && /connect problem/.test(finding);
const isBad = (one) => !["OK", "INFO", "LOW", "DEBUG"].includes(one.severity) && !isRace(one);
const bad = findings.filter(isBad);

/** Condition, finding, and what it has to say. TLS 1.0 or 1.1, or no TLS 1.3, cap the grade at B and A-. */
const conditions = [
  ["no SSL 2", "SSLv2", /^not offered/],
  ["no SSL 3", "SSLv3", /^not offered/],
  ["no TLS 1.0", "TLS1", /^not offered/],
  ["no TLS 1.1", "TLS1_1", /^not offered/],
  ["TLS 1.2", "TLS1_2", /^offered/],
  ["TLS 1.3", "TLS1_3", /^offered/],
  ["no NULL suites", "cipherlist_NULL", /^not offered/],
  ["no anonymous suites", "cipherlist_aNULL", /^not offered/],
  ["no export suites", "cipherlist_EXPORT", /^not offered/],
  ["no weak suites", "cipherlist_LOW", /^not offered/],
  ["no 3DES", "cipherlist_3DES_IDEA", /^not offered/],
  ["AEAD only", /^cipherlist_(?:AVERAGE|OBSOLETED)$/, /^not offered/],
  ["forward secrecy", /^P?FS$/, /^offered/],
  ["key of 256 EC or 2048 RSA bits", "cert_keySize", /^(?:EC (?:256|384)|RSA (?:2048|3072|4096)) bits/],
  ["signed with SHA-2", "cert_signatureAlgorithm", /SHA(?:256|384|512)/],
  ["the chain is trusted", "cert_chain_of_trust", /^passed/],
  ["secure renegotiation", "secure_renego", /^supported/],
  ["no downgrade", "fallback_SCSV", /^(?:supported|no protocol below TLS 1.2 offered)/],
];
const missing = conditions.filter(([, id, says]) => {
  const key = typeof id === "string" ? id : [...found.keys()].find((one) => id.test(one));
  return !says.test(found.get(key) ?? "");
});
// A+ asks for half a year of HSTS; anything beyond A is a matter of the operator's settings.
const hstsDays = Number(/^(\d+) days/.exec(found.get("HSTS_time") ?? "")?.[1] ?? 0);
const grade = missing.length > 0 ? "below A" : hstsDays >= 180 ? "A+" : "A";

for (const { severity, id, finding } of bad) console.log(`testssl: ${severity} ${id}: ${finding}`);
for (const [what, id] of missing)
  console.log(`testssl: grade A wants ${what}; ${id} says "${found.get(id) ?? "nothing"}"`);
const seconds = found.get("scanTime");
const { length } = findings;
console.log(
  `testssl: ${length} findings, ${bad.length} above LOW, grade by the guide's conditions ${grade}, ${seconds} s`,
);
process.exitCode = bad.length === 0 && missing.length === 0 && length > 40 ? 0 : 1;
