/**
 * RFC 9218: what the client said of how much it wants an answer. `urgency` 0 (first) to 7; `incremental`: parts of it are of use, so
 * that it may share the connection with others.
 */
export interface Priority {
  readonly urgency: number;
  readonly incremental: boolean;
}

/** Of what nobody said anything about (RFC 9218 §4.1). */
export const plainUrgency = 3;

/** The client said nothing: it shares, as clients that know no priorities expect. */
const unsaid: Priority = { urgency: plainUrgency, incremental: true };

/** The value of a `priority` field or of PRIORITY_UPDATE; null, or what cannot be read: not said (RFC 9218 §4). */
export function readPriority(value: string | null): Priority {
  if (value === null) return unsaid;
  return {
    urgency: urgencyIn(value) ?? unsaid.urgency,
    incremental: /(?:^|,) *i(?:=\?1)? *(?:$|,)/.test(value),
  };
}

/** The answer's own `priority` field goes before what the client said of its urgency (RFC 9218 §8); null: it has none. */
export function mergedPriority(said: Priority, own: string | null): Priority {
  const urgency = own === null ? null : urgencyIn(own);
  return urgency === null ? said : { ...said, urgency };
}

function urgencyIn(value: string): number | null {
  const urgency = /(?:^|,) *u=([0-7]) *(?:$|,)/.exec(value)?.[1];
  return urgency === undefined ? null : Number(urgency);
}
