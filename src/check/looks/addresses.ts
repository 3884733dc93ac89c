import type { Ip } from "../../base/ip.ts";
import { lookAtCertificate } from "../certificate.ts";
import { type Check, fail, pass, skipped, untold } from "../check.ts";
import { openConnection } from "../connect.ts";
import type { SiteView } from "../view.ts";

/** Further addresses that are looked at; a name with more has a content network behind it. */
const othersMax = 4;

/** What is wrong with an address, in words; null: nothing. `mute`: this machine cannot reach such addresses at all. */
type Verdict = { readonly wrong: string | null } | { readonly mute: string } | { readonly spent: string };

/** This machine has no way to such addresses (IPv6, mostly), which says nothing of the site. */
const noWay = /ENETUNREACH|EHOSTUNREACH|EAFNOSUPPORT|EADDRNOTAVAIL|EINVAL/;

async function lookAt(view: SiteView, ip: Ip): Promise<Verdict> {
  const way = { ...view.way, address: ip.text };
  if (way.tls !== null) {
    const looked = await lookAtCertificate(view.budget, way);
    if (looked.ok) {
      const { misnamed, leaf } = looked.value;
      return {
        wrong: misnamed === null ? null : `shows a certificate for ${leaf.subjectAltName ?? "no name"}`,
      };
    }
    const { kind, detail } = looked.error;
    if (kind === "spent" || kind === "late") return { spent: detail };
    return noWay.test(detail) ? { mute: detail } : { wrong: `does not answer (${detail})` };
  }
  const timeMs = view.budget.take();
  if (typeof timeMs !== "number") return { spent: timeMs.detail };
  const opened = await openConnection(way, timeMs);
  if (opened.ok) {
    opened.value.destroy();
    return { wrong: null };
  }
  const { detail } = opened.error;
  return noWay.test(detail) ? { mute: detail } : { wrong: `does not answer (${detail})` };
}

const addresses: Check = {
  id: "addresses",
  title: "Every address of the name leads to the site",
  why: "Browsers and certificate authorities take any of a name's addresses, IPv6 first: one that leads nowhere or elsewhere makes the site slow for some and failing for others, and lets renewals fail.",
  fix: "Make each A and AAAA record lead to the gateway, which listens on both families, or take the record out.",
  async look(view) {
    const { otherIps, ip } = view;
    if (otherIps.length === 0)
      return view.isLookedUp
        ? pass(`The name has one address, ${ip.text}.`)
        : skipped("The address was given, so the name was not looked up.");
    const [wrong, mute, good]: [string[], string[], string[]] = [[], [], []];
    for (const other of otherIps.slice(0, othersMax)) {
      const verdict = await lookAt(view, other);
      if ("spent" in verdict) {
        if (wrong.length === 0) return untold({ kind: "spent", detail: verdict.spent });
        break;
      }
      if ("mute" in verdict) mute.push(`${other.text} (${verdict.mute})`);
      else if (verdict.wrong === null) good.push(other.text);
      else wrong.push(`${other.text} ${verdict.wrong}`);
    }
    const more = otherIps.length - othersMax;
    const rest = [
      ...(mute.length === 0 ? [] : [`not reachable from this machine: ${mute.join(", ")}`]),
      ...(more > 0 ? [`${more} more were not looked at`] : []),
    ];
    const tail = rest.length === 0 ? "" : `; ${rest.join("; ")}`;
    if (wrong.length > 0) return fail(`Looked at by ${ip.text}, but ${wrong.join("; ")}${tail}.`);
    return good.length === 0
      ? skipped(`Looked at by ${ip.text} alone${tail}.`)
      : pass(`${[ip.text, ...good].join(", ")} show the same name${tail}.`);
  },
};

export const addressChecks: readonly Check[] = [addresses];
