// The page's style sheet. Colors only identify variants; verdicts are shapes. The seven colors are
// distinguishable with the common forms of color blindness and have a contrast of at least 3:1 on
// both backgrounds; lines are also labeled by name.
#include "report/page_parts.h"

namespace sluice::report {
namespace {

constexpr std::string_view kStyle = R"css(
:root {
  color-scheme: light dark;
  --paper: #ffffff; --ink: #1b1d21; --soft: #5a6069; --rule: #d9dce1; --tint: #f5f6f8;
  --link: #0b5cad;
  --c0: #0072b2; --c1: #d55e00; --c2: #00875f; --c3: #b3478b; --c4: #96700b; --c5: #4d94d6;
  --c6: #6f4bb5;
}
@media (prefers-color-scheme: dark) {
  :root {
    --paper: #15171b; --ink: #e6e8eb; --soft: #a3a9b3; --rule: #353a42; --tint: #1e2126;
    --link: #7db7f5;
    --c0: #4ba3e3; --c1: #f0813a; --c2: #35b88c; --c3: #df86be; --c4: #d3a93c; --c5: #9ccbf5;
    --c6: #a98ae8;
  }
}
* { box-sizing: border-box; }
html { -webkit-text-size-adjust: 100%; text-size-adjust: 100%; }
body {
  margin: 0; background: var(--paper); color: var(--ink);
  font: 1.0625rem/1.6 Charter, "Bitstream Charter", "Iowan Old Style", "Palatino Linotype",
    Palatino, Georgia, "DejaVu Serif", serif;
}
main { max-width: 74rem; margin: 0 auto; padding: 2.5rem 1.5rem 4rem; }
h1, h2, h3, table, figcaption, svg, .facts, nav, .note, pre, code, .key {
  font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif;
}
h1 {
  font-size: 1.9rem; line-height: 1.2; margin: 0 0 .75rem; overflow-wrap: anywhere;
  letter-spacing: -.01em;
}
h2 {
  font-size: 1.25rem; margin: 3rem 0 .75rem; padding-top: 1rem; border-top: 1px solid var(--rule);
}
h3 { font-size: 1rem; margin: 1.75rem 0 .5rem; }
p, ul, ol, dl { max-width: 44rem; margin: .6rem 0; overflow-wrap: anywhere; }
ul, ol { padding-left: 1.3rem; }
li { margin: .3rem 0; }
a { color: var(--link); }
.lead { font-size: 1.2rem; line-height: 1.5; }
.conditions { font-size: 1rem; line-height: 1.5; }
nav { font-size: .875rem; margin: 1.25rem 0; display: flex; flex-wrap: wrap; gap: .25rem 1.1rem; }
.facts {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(15rem, 1fr)); gap: .8rem 1.5rem;
  margin: 1.5rem 0; max-width: none;
}
.facts div { border-top: 2px solid var(--ink); padding-top: .35rem; min-width: 0; }
.facts dt { font-size: .78rem; color: var(--soft); }
.facts dd {
  margin: 0; font-size: .95rem; line-height: 1.35; overflow-wrap: anywhere;
  font-variant-numeric: tabular-nums;
}
.note {
  background: var(--tint); border-left: 4px solid var(--ink); padding: .7rem 1rem; max-width: 44rem;
  font-size: .95rem; line-height: 1.5;
}
.small { font-size: .92rem; line-height: 1.5; color: var(--soft); }
.columns { columns: 26rem; column-gap: 3rem; max-width: none; }
.columns li { break-inside: avoid; }
.columns li:first-child { margin-top: 0; }
.scroll {
  overflow: auto; max-height: 36rem; margin: 1rem 0; border-top: 2px solid var(--ink);
  border-bottom: 1px solid var(--ink);
}
.table { position: relative; --end: .6rem; }
.swipe, .table::after { display: none; }
.swipe {
  font: .82rem/1.4 system-ui, "Segoe UI", "Helvetica Neue", Arial, "DejaVu Sans", sans-serif;
  color: var(--soft); margin: 1rem 0 -.7rem;
}
.table::after {
  content: ""; position: absolute; right: 0; bottom: 1px; width: 2rem; height: calc(100% - 3.4rem);
  pointer-events: none;
  background: linear-gradient(to right, transparent, var(--paper));
}
.table th:last-child, .table td:last-child { padding-right: var(--end); }
.most { --end: 2.2rem; }
.most .swipe, .most::after { display: block; }
.scroll:focus-visible { outline: 2px solid var(--link); outline-offset: 2px; }
table {
  border-collapse: collapse; width: 100%; font-size: .84rem; line-height: 1.35;
  font-variant-numeric: tabular-nums;
}
th, td { padding: .38rem .6rem; text-align: left; vertical-align: baseline; white-space: nowrap; }
th:first-child, td:first-child { padding-left: .2rem; }
thead th {
  position: sticky; top: 0; background: var(--paper); vertical-align: bottom; white-space: normal;
  min-width: 4.4rem; font-weight: 600; border-bottom: 1px solid var(--ink);
}
tbody th { font-weight: 600; position: sticky; left: 0; background: var(--paper); }
tbody tr:nth-child(even), tbody tr:nth-child(even) th { background: var(--tint); }
.n { text-align: right; }
td:last-child { max-width: 34rem; overflow-wrap: anywhere; }
figure { margin: 1.25rem 0; }
figcaption {
  font-size: .86rem; line-height: 1.45; color: var(--soft); max-width: 44rem; margin-top: .4rem;
}
svg { display: block; max-width: 100%; height: auto; overflow: visible; font-size: 12.5px; }
svg svg { overflow: hidden; }
.narrow { display: none; }
.pair {
  display: grid; grid-template-columns: repeat(auto-fit, minmax(min(30rem, 100%), 1fr));
  gap: 0 2rem;
}
.panels {
  display: grid; grid-template-columns: repeat(auto-fill, minmax(14rem, 1fr)); gap: 1.1rem 1rem;
}
.key {
  display: flex; flex-wrap: wrap; gap: .2rem 1.4rem; font-size: .82rem; color: var(--soft);
  margin: .5rem 0 0; max-width: none;
}
.key span { display: inline-flex; align-items: center; gap: .4rem; }
.key svg { display: inline-block; flex: none; }
.samples td { white-space: pre-wrap; overflow-wrap: anywhere; min-width: 18rem; }
pre {
  background: var(--tint); padding: .8rem 1rem; overflow: auto;
  font: .82rem/1.5 ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  max-height: 40rem; margin: .8rem 0;
}
code {
  font: .88em ui-monospace, "SF Mono", Menlo, Consolas, "DejaVu Sans Mono", monospace;
  overflow-wrap: anywhere;
}
.formula { margin: .5rem 0 .9rem 1.3rem; font-style: italic; }
footer {
  margin-top: 3.5rem; padding-top: 1rem; border-top: 1px solid var(--rule); font-size: .85rem;
  color: var(--soft); overflow-wrap: anywhere;
}
text { fill: var(--ink); }
.tick, .title { fill: var(--soft); font-size: 12px; font-variant-numeric: tabular-nums; }
.value { font-size: 12px; font-variant-numeric: tabular-nums; }
.name { font-weight: 600; }
.missing { fill: var(--soft); font-style: italic; }
.e { text-anchor: end; }
.m { text-anchor: middle; }
.grid { stroke: var(--rule); stroke-width: 1; }
.axis { stroke: var(--soft); stroke-width: 1; }
.margin { stroke: var(--ink); stroke-width: 1; stroke-dasharray: 4 4; }
.zero { stroke: var(--ink); stroke-width: 1.2; }
.v0 { --c: var(--c0); } .v1 { --c: var(--c1); } .v2 { --c: var(--c2); } .v3 { --c: var(--c3); }
.v4 { --c: var(--c4); } .v5 { --c: var(--c5); } .v6 { --c: var(--c6); } .base { --c: var(--ink); }
.line { fill: none; stroke: var(--c); stroke-width: 1.7; stroke-linejoin: round; }
.dashed .line { stroke-dasharray: 5 3; }
.band { fill: var(--c); fill-opacity: .16; stroke: none; }
.leader { fill: none; stroke: var(--c); stroke-width: 1; stroke-opacity: .75; }
.end { fill: var(--c); stroke: var(--paper); stroke-width: 1; }
.hollow { fill: var(--paper); stroke: var(--c); stroke-width: 1.6; }
.faint .line { stroke-opacity: .45; stroke-width: 1.2; }
.interval { stroke: var(--c); stroke-width: 2; }
.mark { fill: var(--c); stroke: var(--paper); stroke-width: 1; }
.mark.open { fill: var(--paper); stroke: var(--c); stroke-width: 2; }
.seed { fill: var(--c); fill-opacity: .55; }
.paper { fill: none; stroke: var(--ink); stroke-width: 1.3; }
@media (max-width: 74rem) {
  .more { --end: 2.2rem; }
  .more .swipe, .more::after { display: block; }
}
@media (max-width: 48rem) {
  main { padding: 1.25rem 1rem 3rem; }
  body { font-size: 1rem; }
  h1 { font-size: 1.5rem; }
  .lead { font-size: 1.08rem; }
  .wide { display: none; }
  .narrow { display: block; }
  .facts { grid-template-columns: repeat(2, minmax(0, 1fr)); gap: .7rem 1rem; }
  .many { --end: 2.2rem; }
  .many .swipe, .many::after { display: block; }
  .many tbody th {
    border-right: 1px solid var(--rule); max-width: 45vw; overflow: hidden; text-overflow: ellipsis;
  }
}
@page { margin: 15mm; }
@media print {
  :root {
    --paper: #fff; --ink: #000; --soft: #444; --rule: #ccc; --tint: #f6f6f6; --link: #000;
    --c0: #0072b2; --c1: #d55e00; --c2: #00875f; --c3: #b3478b; --c4: #96700b; --c5: #4d94d6;
    --c6: #6f4bb5;
  }
  body { font-size: 10pt; }
  main { max-width: none; padding: 0; }
  nav, .table .swipe, .table::after { display: none; }
  h2, h3 { break-after: avoid; }
  figure, tr, .note { break-inside: avoid; }
  .scroll, pre { overflow: visible; max-height: none; }
  pre { white-space: pre-wrap; overflow-wrap: anywhere; }
  table { font-size: 6.8pt; }
  .small, figcaption { font-size: 8.5pt; }
  th, td { padding: .2rem .25rem; white-space: normal; }
  td.n { white-space: nowrap; }
  tbody th { position: static; }
  thead th { position: static; min-width: 0; }
  .wide { display: block; }
  .narrow { display: none; }
}
)css";

}  // namespace

std::string_view page_style() { return kStyle; }

}  // namespace sluice::report
