import { systemClock } from "../base/clock.ts";
import type { Problem } from "../base/problem.ts";
import { buildPlan } from "../plan.ts";
import { unservedHosts } from "../policy/unserved-hosts.ts";
import { openToStrangers } from "../proving.ts";
import { lookAtFilestore } from "../start/filestore-folder.ts";
import { policiesDirOf, readPolicy } from "../start/policy-files.ts";
import { loadCertificateFiles } from "../tls/certificate.ts";
import { printProblems, printWarnings, settingsToStart } from "./settings.ts";

/** `odoo-gateway validate`: settings, policies, own certificate files and the filestore; the exit status. */
export function validate(): number {
  const loaded = settingsToStart();
  if (!loaded.ok) {
    printProblems(loaded.error);
    return 1;
  }
  const { settings, warnings } = loaded.value;
  const problems: Problem[] = [];
  const more: Problem[] = [...warnings];
  const policy = readPolicy(settings);
  if (!policy.ok) problems.push(...policy.error);
  else {
    more.push(...unservedHosts(policy.value, settings));
    const httpsPort = settings.httpsListen.port;
    const secret = Buffer.alloc(32);
    const parts = { revision: 1, settings, policy: policy.value, httpsPort, secret, clock: systemClock };
    problems.push(...openToStrangers(buildPlan(parts)));
  }
  if (settings.odooFilestore !== null) {
    const look = lookAtFilestore(settings.odooFilestore);
    problems.push(...look.problems);
    more.push(...look.warnings);
  }
  if (settings.tlsMode === "files" && settings.tlsCertFile !== null && settings.tlsKeyFile !== null) {
    const names = [...settings.domains, ...settings.redirectDomains].map(({ host }) => host);
    const certificate = loadCertificateFiles(settings.tlsCertFile, settings.tlsKeyFile, names, Date.now());
    if (certificate.ok) more.push(...certificate.value.warnings);
    else problems.push(...certificate.error);
  }
  printWarnings(more);
  if (!policy.ok || problems.length > 0) {
    printProblems(problems);
    return 1;
  }
  const { rules, skipped, limits } = policy.value;
  process.stdout.write(
    `settings and policies are good: preset ${settings.preset}, ${rules.length} rules and ${limits.size} limits from ` +
      `${policiesDirOf(settings)} (${skipped.length} rules are for other settings), ` +
      `serving ${settings.domains.map(({ host }) => host).join(", ")}\n`,
  );
  for (const { shown, format } of settings.alerts.hooks)
    process.stdout.write(`people are told at ${shown} as ${format}; odoo-gateway alert test tries it\n`);
  return 0;
}
