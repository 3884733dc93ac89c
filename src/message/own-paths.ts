/**
 * Where browsers send what the content security policy blocked, or would have. Odoo has no route below `/.well-known/` but those of its own names
 * (odoo-wire d), scanners' rules leave it alone, and the name says nothing of the gateway: it stands in a field of every page.
 */
export const cspReportPath = "/.well-known/csp-report";
