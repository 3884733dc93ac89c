import type { AlertName, Severity } from "./conditions.ts";

/** What one message says; the generic JSON form is this with moments as ISO 8601. */
export interface AlertMessage {
  readonly name: AlertName | "OdooGatewayTest";
  readonly state: "firing" | "resolved" | "test";
  readonly severity: Severity;
  readonly sinceWallMs: number;
  /** null: it is not over. */
  readonly endedWallMs: number | null;
  /** How often it has begun since the last message about it; 1: once. */
  readonly times: number;
  /** It was told before, and holds on. */
  readonly isReminder: boolean;
  readonly summary: string;
  readonly meaning: string;
  readonly remedy: string;
}

/** Who says it. */
export interface AlertSender {
  /** First name of DOMAIN. */
  readonly site: string;
  /** The host's name. */
  readonly instance: string;
  /** Of the gateway. */
  readonly version: string;
}

/** What `alert test` sends. */
export function testMessage(wallMs: number): AlertMessage {
  return {
    name: "OdooGatewayTest",
    state: "test",
    severity: "warning",
    sinceWallMs: wallMs,
    endedWallMs: null,
    times: 1,
    isReminder: false,
    summary: "This is a test",
    meaning: "Messages of this gateway arrive here. Nothing is wrong.",
    remedy: "Nothing: somebody ran odoo-gateway alert test.",
  };
}
