import type { Note } from "../note.ts";
import { hardening } from "./hardening.ts";
import { odooOptions } from "./odoo-options.ts";
import { publishedPorts } from "./ports.ts";
import type { ComposeFile } from "./read.ts";
import { running } from "./running.ts";
import { composeSecrets } from "./secrets.ts";

/** Everything a compose file tells. Each file is looked at by itself: what a second one overrides is not known here. */
export function auditCompose(compose: ComposeFile): readonly Note[] {
  return [
    ...publishedPorts(compose),
    ...composeSecrets(compose),
    ...hardening(compose),
    ...running(compose),
    ...odooOptions(compose),
  ];
}
