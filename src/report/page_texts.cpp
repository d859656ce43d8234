// Texts of the page that do not depend on the comparison.
#include "report/page_parts.h"

namespace sluice::report {

std::string_view how_to_read() {
  return R"html(<ul class="columns">
<li><b>The figure</b> is measured on held-out text after the last step, never the best of several evaluations. Log-perplexity is the mean
cross-entropy in nats over all target tokens, so a difference of 0.01 is 1&#160;% in perplexity; bits per byte divide the same nats by the bytes of the text.
Lower is better.</li>
<li><b>A difference is significant</b> when its <i>p</i> after <a href="#holm">Holm's adjustment</a> is at most 0.05: the chance of even one false finding
among all comparisons with the baseline is then at most 5&#160;%. Significant does not mean large: look at the interval.</li>
<li><b>Not told apart does not mean equal.</b> These seeds cannot show a difference. The <a href="#power">detectable difference</a> says how
large it would have to be.</li>
<li><b>The conditions</b> under the verdict belong to it: number of steps, learning rate, and whether the curves still fell. A learning rate that was not tuned
can favour a variant, and curves that still fall can cross.</li>
<li><b>Pairing.</b> Unless the compared keys change text or batches, every variant of one seed sees the same tokens in the same order, and everything outside the
feed-forward layer starts from the same values. What a seed does to all variants alike cancels in the differences, which are therefore more precise than the standard deviations
suggest.</li>
<li><b>Two tests.</b> The <a href="#blocks">block model</a> pools the spread of all variants and detects smaller differences; the
<a href="#paired">paired t-test</a> does not assume equal variances, but detects little with few seeds. If they disagree, look at the standard deviations: if one variant
spreads more than the others, trust the paired test; better, run more seeds.</li>
<li><b>Three ways to share the 5&#160;%</b> can disagree at the border. <i>p</i> by Holm rejects more than the intervals, which are Bonferroni's: it may be
below 0.05 where the interval just contains 0. The letters compare all pairs, not only those with the baseline, and are the strictest.</li>
<li><b>What an interval covers</b>: the randomness of training, that is another draw of seeds. Not covered: other data, another size, another learning rate, longer
training. The <a href="#heldout">held-out error</a> says how much the difference would change with other held-out documents.</li>
<li><b>Curves</b> show the course of training; do not read figures from them. Held-out points before the last may cover a part of the held-out text
(<code>evaluate.max_tokens</code>); the last is the figure itself. In the middle of a curve the learning rate has not decayed, so readings there say little about
a run that would end there.</li>
<li><b>A run that diverged or failed</b> is shown, and its variant gets no verdict; dropping the run would bias the result. A variant whose runs are not finished is
pending; the others keep their verdict. † marks a run that has learned nothing.</li>
</ul>
)html";
}

std::string_view page_formulas() {
  return R"html(<p>Fixed before the data. Sources and derivations: <code>docs/statistics.md</code> in the source of Sluice. <i>y</i><sub>ij</sub> is the figure of
variant <i>i</i> under seed <i>j</i>, for <i>v</i> variants and <i>s</i> seeds that all of them have finished.</p>
<h3 id="blocks">Differences and intervals: variants within seeds</h3>
<p class="formula">y<sub>ij</sub> = μ + variant<sub>i</sub> + seed<sub>j</sub> + ε<sub>ij</sub>, &#160; σ̂² = Σ (y<sub>ij</sub> − ȳ<sub>i·</sub> − ȳ<sub>·j</sub> + ȳ<sub>··</sub>)² / ((v − 1)(s − 1))<br/>
D<sub>i</sub> = ȳ<sub>i·</sub> − ȳ<sub>baseline·</sub>, &#160; interval D<sub>i</sub> ± t<sub>1 − 0.05/(2(v − 1)), (v − 1)(s − 1)</sub> · √(2σ̂²/s)</p>
<p>Randomised complete blocks (Cochran and Cox 1957). The level is shared among the <i>v</i> − 1 comparisons (Bonferroni), so that all intervals hold together
with 95&#160;%. No spread at all gives <i>p</i> = 1.</p>
<h3 id="holm">Adjusted p</h3>
<p class="formula">p<sub>(1)</sub> ≤ … ≤ p<sub>(m)</sub>, &#160; adjusted p<sub>(i)</sub> = max<sub>k ≤ i</sub> min(1, (m − k + 1) p<sub>(k)</sub>)</p>
<p>Holm 1979. For the differences to the baseline <i>m</i> = <i>v</i> − 1; for the letters, which compare all pairs, <i>m</i> = <i>v</i>(<i>v</i> − 1)/2. Two variants share
a letter exactly where their difference is not significant (Piepho 2004).</p>
<h3 id="paired">Paired t-test</h3>
<p class="formula">d<sub>j</sub> = y<sub>ij</sub> − y<sub>baseline j</sub>, &#160; t = d̄ / (std(d) / √s) with s − 1 degrees of freedom</p>
<h3 id="power">Detectable difference</h3>
<p>The true difference that the block model declares significant with 80&#160;% probability at level 0.05/(<i>v</i> − 1), two-sided, from the noncentral
<i>t</i> distribution at the measured σ̂.</p>
<h3 id="heldout">Held-out error</h3>
<p class="formula">R = Σ d<sub>k</sub> / Σ m<sub>k</sub>, &#160; SE(R) = √(K/(K − 1) · Σ (d<sub>k</sub> − R m<sub>k</sub>)²) / Σ m<sub>k</sub></p>
<p>Over the <i>K</i> held-out documents: <i>d</i><sub>k</sub> is the difference in nats on document <i>k</i>, averaged over the seeds, and <i>m</i><sub>k</sub> its
target tokens (ratio estimator, Cochran 1977).</p>
)html";
}

std::string_view dot_plot_key() {
  return R"html(<p class="key">
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="base"><line class="interval" x1="1" y1="6" x2="29" y2="6"/><path class="mark" d="M9 6 21 0 21 12 Z"/></g></svg>better than the baseline</span>
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="base"><line class="interval" x1="1" y1="6" x2="29" y2="6"/><path class="mark" d="M21 6 9 0 9 12 Z"/></g></svg>worse</span>
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="base"><line class="interval" x1="1" y1="6" x2="29" y2="6"/><circle class="mark open" cx="15" cy="6" r="4.5"/></g></svg>not told apart</span>
<span><svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><g class="base"><circle class="seed" cx="6" cy="6" r="2.5"/></g></svg>one seed</span>
)html";
}

}  // namespace sluice::report
