import { cleanText } from "../base/clean.ts";
import type { AccessRecord } from "./events.ts";
import { agentLengthMax, methodLengthMax, targetLengthMax } from "./line.ts";

const months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];

/**
 * The line of an access record in the form that Apache and nginx call `combined`, for programs that read only that (GoAccess, AWStats), with its
 * line feed. Times are UTC. No user, whose name is Odoo's to know, and no Referer, which may hold tokens: both are `-`.
 */
export function combinedLine(record: AccessRecord): string {
  const { client, wallMs, method, target, protocol, status, bytesOut, userAgent } = record;
  // What was no request to our reader has neither method nor target.
  const request =
    method === "-" && target === "-"
      ? "-"
      : `${quotable(method, methodLengthMax)} ${quotable(target, targetLengthMax)} ${protocolOf(protocol)}`;
  const agent = userAgent === "" ? "-" : quotable(userAgent, agentLengthMax);
  return `${client} - - [${timeOf(wallMs)}] "${request}" ${status} ${bytesOut} "-" "${agent}"\n`;
}

/** As nginx writes it. */
function protocolOf(protocol: string): string {
  return protocol === "HTTP/2" ? "HTTP/2.0" : protocol;
}

/** A client's text cannot end its field; backslashes first, so that none of ours can be read as his. */
function quotable(text: string, lengthMax: number): string {
  const escaped = text.replaceAll("\\", "\\x5c").replaceAll('"', "\\x22");
  return cleanText(escaped, lengthMax);
}

/** `01/Dec/2026:02:40:20 +0000`. */
function timeOf(wallMs: number): string {
  const iso = new Date(wallMs).toISOString();
  const month = months[Number(iso.slice(5, 7)) - 1] ?? "";
  return `${iso.slice(8, 10)}/${month}/${iso.slice(0, 4)}:${iso.slice(11, 19)} +0000`;
}
