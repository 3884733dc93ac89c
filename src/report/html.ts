import { escapeMarkup as esc } from "../base/markup.ts";
import { countsOf, type Finding, type Outcome, outcomes, type Report } from "./finding.ts";
import { placeText } from "./table.ts";

const words: Readonly<Record<Outcome, string>> = {
  fail: "to be closed",
  warn: "to be looked at",
  skipped: "not looked at",
  pass: "as it should be",
};

/**
 * The report as one page that needs nothing else: no script, no picture, no font, nothing loaded. Its own policy says so,
 * because part of the text was chosen by the site that was looked at.
 */
export function htmlText(report: Report): string {
  const counts = countsOf(report.findings);
  const title = `odoo-gateway ${report.command}: ${report.subject}`;
  const facts: (readonly [string, string])[] = [
    ["looked at", report.subject],
    ["started", report.startedAt.replace(/\.\d+Z$/, " UTC").replace("T", " ")],
    ["lasted", `${(report.lastedMs / 1000).toFixed(1)} s`],
    ["odoo-gateway", report.version],
    ...report.facts,
  ];
  return `<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'">
<meta name="referrer" content="no-referrer">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${esc(title)}</title>
<style>${style}</style>
</head>
<body>
<main>
<h1>odoo-gateway ${report.command}</h1>
<dl class="facts">
${facts.map(([name, value]) => `<div><dt>${esc(name)}</dt><dd>${esc(value)}</dd></div>`).join("\n")}
</dl>
<ul class="counts">
${outcomes.map((outcome) => `<li class="${outcome}"><b>${counts[outcome]}</b> ${outcome}<small>${words[outcome]}</small></li>`).join("\n")}
</ul>
${outcomes.map((outcome) => section(outcome, report.findings)).join("")}</main>
</body>
</html>
`;
}

function section(outcome: Outcome, all: readonly Finding[]): string {
  const findings = all.filter((finding) => finding.outcome === outcome);
  if (findings.length === 0) return "";
  return `<section class="${outcome}" aria-labelledby="of-${outcome}">
<h2 id="of-${outcome}">${outcome} <small>${findings.length}, ${words[outcome]}</small></h2>
${findings.map((finding) => article(finding, anchorOf(finding, all))).join("\n")}
</section>
`;
}

/** A check can have several findings; only the first has the id alone, since an id stands once in a page. */
function anchorOf(finding: Finding, all: readonly Finding[]): string {
  const index = all.filter(({ id }) => id === finding.id).indexOf(finding);
  return index === 0 ? finding.id : `${finding.id}-${index + 1}`;
}

function article(finding: Finding, anchor: string): string {
  const isOpen = finding.outcome === "fail" || finding.outcome === "warn" ? " open" : "";
  const at =
    finding.place === null ? "" : `<dt>where</dt><dd><code>${esc(placeText(finding.place))}</code></dd>`;
  return `<details${isOpen} id="${esc(anchor)}">
<summary><span class="mark">${finding.outcome}</span> <span class="title">${esc(finding.title)}</span> <code>${esc(finding.id)}</code></summary>
<dl>${at}<dt>seen</dt><dd>${esc(finding.seen)}</dd><dt>why</dt><dd>${esc(finding.why)}</dd><dt>fix</dt><dd>${esc(finding.fix)}</dd></dl>
</details>`;
}

const style = `
:root{--fail:#b3261e;--warn:#8a5a00;--skipped:#5c6470;--pass:#1b6e3c;--line:#d9dde3;--soft:#f6f7f9;--text:#1b1f24;--dim:#5c6470;--page:#fff}
@media (prefers-color-scheme:dark){:root{--fail:#ff8a80;--warn:#f0b95a;--skipped:#9aa4b2;--pass:#6fd19a;--line:#333a44;--soft:#1c2128;--text:#e6e9ee;--dim:#9aa4b2;--page:#14181d}}
*{box-sizing:border-box}
body{margin:0;background:var(--page);color:var(--text);font:16px/1.5 system-ui,sans-serif}
main{max-width:60rem;margin:0 auto;padding:2rem 1.25rem 4rem}
h1{font-size:1.6rem;margin:0 0 1rem}
h2{font-size:1.15rem;margin:2.25rem 0 .75rem;text-transform:capitalize}
h2 small,.counts small{color:var(--dim);font-weight:400;text-transform:none}
.facts{display:grid;grid-template-columns:repeat(auto-fill,minmax(20rem,1fr));gap:.25rem 2rem;margin:0 0 1.5rem;font-size:.92rem}
.facts div{display:flex;gap:.75rem;border-bottom:1px solid var(--line);padding:.25rem 0;overflow-wrap:anywhere}
.facts dt{color:var(--dim);min-width:6.5rem;flex:none}
.facts dd{margin:0}
.counts{list-style:none;display:grid;grid-template-columns:repeat(auto-fit,minmax(9rem,1fr));gap:.75rem;padding:0;margin:0}
.counts li{border:1px solid var(--line);border-top:4px solid var(--c);border-radius:6px;padding:.6rem .9rem;text-transform:capitalize}
.counts b{display:block;font-size:1.9rem;line-height:1.1;color:var(--c)}
.counts small{display:block}
.fail{--c:var(--fail)}.warn{--c:var(--warn)}.skipped{--c:var(--skipped)}.pass{--c:var(--pass)}
section h2{color:var(--c)}
details{border:1px solid var(--line);border-left:4px solid var(--c);border-radius:6px;margin:.5rem 0}
summary{cursor:pointer;padding:.55rem .9rem;display:flex;flex-wrap:wrap;gap:.25rem .75rem;align-items:baseline}
summary:focus-visible{outline:2px solid var(--c);outline-offset:2px}
summary .title{font-weight:600;flex:1 1 18rem}
.mark{color:var(--c);font-weight:700;font-size:.78rem;text-transform:uppercase;min-width:4.2rem}
code{font:.86em ui-monospace,monospace;color:var(--dim);overflow-wrap:anywhere}
details dl{display:grid;grid-template-columns:4.2rem 1fr;gap:.35rem .75rem;margin:0;padding:.6rem .9rem .8rem;border-top:1px solid var(--line);background:var(--soft)}
details dt{color:var(--dim)}
details dd{margin:0;overflow-wrap:anywhere}
@media print{details{break-inside:avoid}body{font-size:12px}main{padding:0}}
`;
