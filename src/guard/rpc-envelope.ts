import { type Found, JsonScan, type JsonTrouble, type Wanted } from "./json-scan.ts";
import type { XmlCall } from "./xml-call.ts";

/** What an RPC body asks Odoo for, as far as the gateway needs it. Never the password. */
export interface RpcEnvelope {
  readonly service: string;
  readonly method: string;
  /** `args[0]` of `common` log-ins and of `object` calls: the database; null when it is no text. */
  readonly database: string | null;
  /** `args[1]`: the log-in name of `common` calls, the user's number of `object` calls; null when it has not one reading. */
  readonly user: string | null;
  /** `args[3]` and `args[4]` of `object` calls; null elsewhere. */
  readonly model: string | null;
  readonly modelMethod: string | null;
}

/** Why a body is not sent on: the scanner's trouble, or no envelope in it. */
export type EnvelopeRefusal = JsonTrouble | "no-call";

export type EnvelopeReading =
  | { readonly ok: true; readonly value: RpcEnvelope }
  | { readonly ok: false; readonly error: EnvelopeRefusal };

const user: Wanted = { as: "user" };
const wanted: Wanted = {
  members: {
    params: {
      as: "params",
      members: {
        service: { as: "service" },
        method: { as: "method" },
        args: { items: [{ as: "database" }, user, null, { as: "model" }, { as: "modelMethod" }] },
      },
    },
  },
};

/**
 * Reads the envelope of a `/jsonrpc` body in pieces. Odoo takes `params` as `dict(params)`, so a list of pairs is as good as an object
 * to it: only an object has one reading here. Its `service` and `method` must be texts; the top-level
 * `method` means nothing to Odoo. A batch (a list at the top) is no call, Odoo refuses it too.
 */
export class EnvelopeReader {
  readonly #scan = new JsonScan(wanted);

  /** False: what follows cannot change the refusal. */
  push(piece: Uint8Array): boolean {
    return this.#scan.push(piece);
  }

  end(): EnvelopeReading {
    const scanned = this.#scan.end();
    if (!scanned.ok) return { ok: false, error: scanned.trouble };
    const { found } = scanned;
    const service = textOf(found.get("service"));
    const method = textOf(found.get("method"));
    if (found.get("params")?.kind !== "object" || service === null || method === null)
      return { ok: false, error: "no-call" };
    const ofObject = service === "object";
    return {
      ok: true,
      value: {
        service,
        method,
        database: textOf(found.get("database")),
        user: scalarOf(found.get("user")),
        model: ofObject ? textOf(found.get("model")) : null,
        modelMethod: ofObject ? textOf(found.get("modelMethod")) : null,
      },
    };
  }
}

/** The same for an XML-RPC call of `service`, the last part of its path. */
export function xmlEnvelope(service: string, { method, args }: XmlCall): RpcEnvelope {
  const [database, caller, , model, modelMethod] = args;
  const ofObject = service === "object";
  const text = (value: XmlCall["args"][number] | undefined) => (value?.kind === "text" ? value.text : null);
  return {
    service,
    method,
    database: text(database),
    user: caller?.text ?? null,
    model: ofObject ? text(model) : null,
    modelMethod: ofObject ? text(modelMethod) : null,
  };
}

/** One sentence for the answer; never text of the client's. */
export function envelopeRefusalText(refusal: EnvelopeRefusal): string {
  switch (refusal) {
    case "not-utf8":
      return "The call is not UTF-8 (RFC 8259 §8.1).";
    case "byte-order-mark":
      return "The call begins with a byte order mark (RFC 8259 §8.1).";
    case "malformed":
      return "The call is not JSON (RFC 8259).";
    case "too-deep":
      return "The call is nested too deeply.";
    case "name-repeated":
      return "A name stands twice in the call, so that it can be read in two ways (RFC 8259 §4).";
    case "names-too-many":
      return "The call's envelope has too many or too long names.";
    case "trailing-bytes":
      return "There is something behind the end of the call.";
    case "unfinished":
      return "The call is not complete.";
    case "no-call":
      return "The call names no service and method in an object params.";
  }
}

function textOf(found: Found | undefined): string | null {
  return found?.kind === "text" ? found.text : null;
}

function scalarOf(found: Found | undefined): string | null {
  return found?.kind === "text" || found?.kind === "number" ? found.text : null;
}
