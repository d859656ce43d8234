// Texts of the page that do not depend on the comparison.
#include "report/page_parts.h"

namespace sluice::report {

std::string_view how_to_read() {
  return R"html(<ul class="columns">
<li><b>The figure</b> is taken on held-out text after the last step, never from the best of several evaluations. Log-perplexity is the mean
cross-entropy in nats over all target tokens, so that a difference of 0.01 is 1&#160;% in perplexity; bits per byte spread the same nats over the bytes of the text.
Lower is better.</li>
<li><b>A difference is real</b> here when its <i>p</i> after <a href="#holm">Holm's adjustment</a> is at most 0.05, so that the chance of even one false alarm
among all comparisons with the baseline is at most 5&#160;%. “Real” says nothing about large: look at the interval.</li>
<li><b>Not told apart is not equal.</b> It means that these seeds cannot show a difference. The <a href="#power">detectable difference</a> says how
large one had to be.</li>
<li><b>Pairing.</b> Where the compared keys leave text and batches alone, every variant under one seed sees the same tokens in the same order, and whatever is not part of the feed-forward layer starts
from the same values. So luck that all share cancels in the differences, and the differences are surer than the standard deviations suggest.</li>
<li><b>Two tests stand side by side.</b> The <a href="#blocks">block model</a> pools the spread of all variants and is the sharper one; the
<a href="#paired">paired t-test</a> does without equal variances and is blunt with few seeds. Where they disagree, look at the standard deviations: if one variant
spreads more than the others, believe the paired one; better still, run more seeds.</li>
<li><b>Three ways to share out the 5&#160;%</b> can part at the border. <i>p</i> by Holm is sharper than the intervals, which are Bonferroni's: it may be
below 0.05 where the interval just holds 0. The letters compare all pairs, not only those with the baseline, and are the strictest.</li>
<li><b>What an interval covers</b>: the randomness of training, that is another draw of seeds. Not covered: other data, another size, another learning rate, longer
training. The <a href="#heldout">held-out error</a> says how much the difference would move had other documents been held out.</li>
<li><b>One learning rate</b> can favour a variant. The settings say whether it was tuned, on which data and seeds; the figures above were never used for it.</li>
<li><b>Curves are to look at, not to read off.</b> Held-out points before the last may be of a part of the held-out text (<code>evaluate.max_tokens</code>); the last is
the figure itself. In the middle of a curve the learning rate has not decayed, so readings there are approximate and say little about
a run that would end there.</li>
<li><b>A run that diverged or failed</b> is shown and takes the verdict from its variant: leaving it out would flatter the variant.</li>
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
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="lower"><line class="interval" x1="1" y1="6" x2="29" y2="6"/><circle class="mark" cx="15" cy="6" r="4.5"/></g></svg>lower than the baseline</span>
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="higher"><line class="interval" x1="1" y1="6" x2="29" y2="6"/><circle class="mark" cx="15" cy="6" r="4.5"/></g></svg>higher</span>
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="same"><line class="interval" x1="1" y1="6" x2="29" y2="6"/><circle class="mark" cx="15" cy="6" r="4.5"/></g></svg>not told apart</span>
<span><svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><g class="same"><circle class="seed" cx="6" cy="6" r="2.5"/></g></svg>one seed</span>
)html";
}

}  // namespace sluice::report
