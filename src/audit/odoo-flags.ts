/** Options of Odoo's command line, and variables its images make options of, that undo what the guides ask of odoo.conf. */
import { openEnds, takesAnything } from "./conf/dbfilter.ts";

interface Bad {
  readonly name: RegExp;
  readonly value: { readonly test: (value: string) => boolean };
  readonly words: string;
}

const openFilter: Pick<Bad, "value" | "words"> = {
  value: { test: (value) => openEnds(value).length > 0 || takesAnything(value) },
  words: "does not hold the end of a database's name",
};

const isNo = /^(?:false|no|off|0)$/i;
const isYes = /^(?:true|yes|on|1)$/i;
const blinding = "hides the failed log-ins that fail2ban and CrowdSec read";
export const badVariables: readonly Bad[] = [
  { name: /^(?:ODOO_)?LOG_LEVEL$/, value: /^(?:warn|warning|error|critical)$/i, words: blinding },
  { name: /^(?:ODOO_)?LIST_DB$/, value: isYes, words: "lists the databases to everybody" },
  { name: /^(?:ODOO_)?PROXY_MODE$/, value: isNo, words: "makes Odoo take the gateway for every client" },
  {
    name: /^(?:ODOO_)?(?:DEV_MODE|DEV)$/,
    value: /^(?!(?:false|no|off|0|)$)/i,
    words: "is for developers' machines",
  },
  { name: /^(?:ODOO_)?(?:TEST_ENABLE|WITH_DEMO)$/, value: isYes, words: "has no place in production" },
  { name: /^(?:ODOO_)?(?:DB_?FILTER)$/, ...openFilter },
];

export const badFlags: readonly (Pick<Bad, "value" | "words"> & { readonly flag: RegExp })[] = [
  { flag: /^--dev$/, value: /./, words: "is for developers' machines" },
  { flag: /^--log-level$/, value: /^(?:warn|error|critical)$/, words: blinding },
  { flag: /^--test-(?:enable|tags|file)$/, value: /^/, words: "runs tests in production" },
  {
    flag: /^--(?:xmlrpc-interface|xmlrpc-port|longpolling-port)$/,
    value: /^/,
    words: "is the name of an earlier version",
  },
  { flag: /^--db-filter$/, ...openFilter },
];
