"""How the contact sheet looks: in the reader's own font, light or dark as their system is."""

STYLE = """\
:root { color-scheme: light dark; --line: #8883; --dim: #6b6b6b; --even: #8884; --odd: #8887; }
:root { --k0: #c4382d; --k1: #2869b8; --k2: #7d4bb5; --k3: #a86208; }
:root { --k4: #28803f; --k5: #b03678; --k6: #167d86; --k7: #6b6b2a; }
* { box-sizing: border-box; }
body { margin: 0 auto; max-width: 84rem; padding: 1rem 1.25rem 4rem; font: 14px/1.45 system-ui, sans-serif;
  font-variant-numeric: tabular-nums; background: Canvas; color: CanvasText; }
h1 { font-size: 1.4rem; margin: 0 0 .25rem; overflow-wrap: anywhere; }
h2 { font-size: 1rem; margin: 0; }
p { margin: .1rem 0; }
header { margin-bottom: 1.25rem; }
.warning::before { content: "⚠ "; }
.bar { position: relative; height: 1.6rem; margin: .75rem 0; border-radius: .25rem; overflow: hidden; }
.bar { background: var(--line); }
.bar > * { position: absolute; top: 0; bottom: 0; }
.bar > i { min-width: 2px; bottom: 45%; }
.bar > a:hover { outline: 2px solid CanvasText; outline-offset: -2px; }
.scene0 { background: var(--even); }
.scene1 { background: var(--odd); }
section { display: grid; grid-template-columns: 13.5rem 1fr; grid-template-rows: auto 1fr; gap: .1rem 1rem;
  padding: .6rem 0; border-top: 1px solid var(--line);
  content-visibility: auto; contain-intrinsic-size: auto 9rem; }
section > h2 { grid-column: 1; }
section > p { grid-column: 1; color: var(--dim); }
section > .strip { grid-column: 2; grid-row: 1 / span 2; }
section > blockquote { grid-column: 2; margin: .15rem 0; }
section:target { background: #8882; }
section.event { border: 0; padding: .1rem 0 .6rem; contain-intrinsic-size: auto 2rem; }
section p > span, section p > b { white-space: nowrap; }
.strip { display: flex; flex-wrap: wrap; gap: .35rem; }
.event .strip img { max-height: 66px; width: auto; }
figure { margin: 0; }
figure img { display: block; border-radius: .2rem; background: #8882; max-width: 100%; }
figcaption { font-size: .75rem; color: var(--dim); text-align: center; }
.chip { display: inline-block; padding: 0 .45em; border-radius: .7em; font-weight: 600; font-size: .85em; }
.chip { color: #fff; }
.score { padding: 0 .1em; border-bottom: 2px solid; }
.score { border-image: linear-gradient(to right, currentColor var(--score), #8884 0) 1; }
.c0 { background: var(--k0); } .c1 { background: var(--k1); } .c2 { background: var(--k2); }
.c3 { background: var(--k3); } .c4 { background: var(--k4); } .c5 { background: var(--k5); }
.c6 { background: var(--k6); } .c7 { background: var(--k7); }
@media (prefers-color-scheme: dark) { :root { --dim: #a0a0a0; } }
@media (max-width: 46rem) {
  section { grid-template-columns: 1fr; }
  section > .strip, section > blockquote { grid-column: 1; grid-row: auto; }
}
@media print { section { break-inside: avoid; content-visibility: visible; } }
"""
