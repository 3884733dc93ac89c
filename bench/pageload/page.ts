import { pseudoBinary, pseudoScript, pseudoStyle, pseudoText } from "../../src/demo/pseudo-code.ts";
import {
  DOCUMENT,
  FAVICON,
  MANIFEST,
  MENUS,
  PRINT_STYLE,
  type Resource,
  SCRIPT,
  SCRIPT_WORK_MS,
  STAGES,
  STYLE,
} from "./resources.ts";

/**
 * What stands in the replayed files: text of the recorded size that compresses like the real one, and a page and a
 * script that make the recorded requests in the recorded order, with the real script's work in between.
 */
export function contentOf(resource: Resource, seed: number): Buffer {
  if (resource === SCRIPT) return pseudoScript(seed, resource.bytes, "", client());
  if (resource.type.startsWith("application/javascript"))
    return pseudoScript(seed, resource.bytes, "", "", resource.url.includes("emoji"));
  if (resource.type.startsWith("text/css")) return pseudoStyle(seed, resource.bytes);
  if (resource === DOCUMENT) return padded(page(), resource.bytes);
  if (resource.type.startsWith("text/html")) return padded("<!DOCTYPE html><p>page</p>\n", resource.bytes);
  if (resource.type.includes("json")) return json(seed, resource.bytes);
  if (resource.type.includes("svg"))
    return padded('<svg xmlns="http://www.w3.org/2000/svg"/>', resource.bytes);
  return pseudoBinary(seed, resource.bytes, Buffer.alloc(0));
}

/** In Odoo's own order: the print style first, the script in the way of all that follows, the style behind it. */
function page(): string {
  return `<!DOCTYPE html>
<html><head><meta charset="utf-8"/><title>Odoo</title>
<link type="image/x-icon" rel="shortcut icon" href="${FAVICON.url}"/>
<link rel="manifest" href="${MANIFEST.url}" crossorigin="use-credentials"/>
<script>fetch("${MENUS.url}",{cache:"no-store"}).then(function(answer){return answer.json()});</script>
<link type="text/css" rel="stylesheet" href="${PRINT_STYLE.url}" media="print"/>
<script type="text/javascript" src="${SCRIPT.url}"></script>
<link type="text/css" rel="stylesheet" href="${STYLE.url}" media="screen"/>
</head><body class="o_web_client"></body></html>
`;
}

/** Reading the filler is part of the script's work, so its end counts from the script's last byte. */
function client(): string {
  const stages = STAGES.map(({ workMs, resources }) => [
    workMs,
    resources.map((one) => [one.method, one.url]),
  ]);
  return `
(function(){
function workUntil(ms){while(performance.now()<ms){}}
var own=performance.getEntriesByName(document.currentScript.src)[0];
workUntil(own.responseEnd+${SCRIPT_WORK_MS});
var stages=${JSON.stringify(stages)};
function ask(one){return fetch(one[1],one[0]==="POST"?{method:"POST",headers:{"Content-Type":"application/json"},body:"{}"}:{}).then(function(answer){return answer.arrayBuffer()})}
function next(at){
if(at===stages.length){document.documentElement.dataset.loaded="yes";return}
workUntil(performance.now()+stages[at][0]);
Promise.all(stages[at][1].map(ask)).then(function(){next(at+1)},function(error){document.documentElement.dataset.loaded=String(error)});
}
addEventListener("load",function(){setTimeout(next,0,0)});
})();
`;
}

function padded(text: string, bytes: number): Buffer {
  const missing = bytes - Buffer.byteLength(text) - 7;
  return Buffer.from(missing < 0 ? text : `${text}<!--${pseudoText(text.length, missing)}-->`);
}

function json(seed: number, bytes: number): Buffer {
  const empty = JSON.stringify({ jsonrpc: "2.0", result: "" });
  return Buffer.from(JSON.stringify({ jsonrpc: "2.0", result: pseudoText(seed, bytes - empty.length) }));
}
