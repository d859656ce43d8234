// Texts of the page that do not depend on the comparison.
#include "report/page_parts.h"

namespace sluice::report {

std::string_view how_to_read() {
  return R"html(<ul class="columns">
<li><b>Metric.</b> The result of a run is measured on the held-out set after the last step, never at
its best evaluation. Log-perplexity is the mean cross-entropy in nats over all target tokens, so a
difference of 0.01 is 1&#160;% in perplexity; bits per byte divide the same nats by the bytes of the
text. Lower is better.</li>
<li><b>Significance.</b> A difference is significant if its <a href="#holm">Holm-adjusted</a>
<i>p</i>-value is at most 0.05. The family-wise error rate, the probability of even one false
positive among all comparisons with the baseline, is then at most 5&#160;%. Significant does not
mean large: see the confidence interval.</li>
<li><b>Not significant does not mean equal.</b> The data do not establish a difference. The
<a href="#power">detectable difference</a> is the size that would be detected with 80&#160;%
power.</li>
<li><b>Conditions.</b> The verdict holds only under the conditions stated below it: number of steps,
learning rate, and whether the curves were still falling. A learning rate that was not tuned can
favor a variant, and curves that are still falling can cross.</li>
<li><b>Pairing.</b> Unless the varied keys affect text or batches, all variants of a seed see the
same tokens in the same order, and everything outside the feed-forward layers starts from the same
values. Effects of a seed that all variants share cancel in the differences, which are therefore
more precise than the standard deviations suggest.</li>
<li><b>Two tests.</b> The <a href="#blocks">block model</a> pools the variance of all variants and
detects smaller differences; the <a href="#paired">paired t-test</a> does not assume equal variances
but has little power with few seeds. If they disagree, check the standard deviations: if one variant
has a larger variance than the others, trust the paired test; better still, run more seeds.</li>
<li><b>Multiple comparisons.</b> Intervals, <i>p</i>-values and letters are adjusted differently and
can disagree in borderline cases. The intervals use Bonferroni's adjustment, and Holm's procedure is
more powerful: a <i>p</i>-value can be below 0.05 although the interval just includes 0. The letters
compare all pairs, not only those with the baseline, and are the most conservative.</li>
<li><b>Coverage.</b> Intervals account for the randomness of training: they cover another draw of
seeds, but not other data, another model size, another learning rate or longer training. The
<a href="#heldout">held-out error</a> is the uncertainty of a difference due to the choice of
held-out documents.</li>
<li><b>Curves</b> show the course of training; take results from the table instead. Held-out values
before the last may be measured on part of the held-out set (<code>evaluate.max_tokens</code>); the
last is the result itself. In the middle of a curve the learning rate has not decayed, so its values
say little about a run that ends there.</li>
<li><b>Diverged or failed runs</b> are shown, and their variant gets no verdict: dropping the run
would bias the result. A variant with unfinished runs is pending; the verdict on the others is not
affected. † marks a run that did not learn.</li>
</ul>
)html";
}

std::string_view page_formulas() {
  return R"html(<p>All rules were fixed before any result was seen. Sources and derivations:
<code>docs/statistics.md</code> in the source code of Sluice. <i>y</i><sub>ij</sub> is the result of
variant <i>i</i> under seed <i>j</i>, for <i>v</i> variants and the <i>s</i> seeds that all of them
have finished.</p>
<h3 id="blocks">Block model: differences and confidence intervals</h3>
<p class="formula">y<sub>ij</sub> = μ + variant<sub>i</sub> + seed<sub>j</sub> + ε<sub>ij</sub>,
&#160; σ̂² = Σ (y<sub>ij</sub> − ȳ<sub>i·</sub> − ȳ<sub>·j</sub> + ȳ<sub>··</sub>)² /
((v − 1)(s − 1))<br/>
D<sub>i</sub> = ȳ<sub>i·</sub> − ȳ<sub>baseline·</sub>, &#160; interval D<sub>i</sub> ±
t<sub>1 − 0.05/(2(v − 1)), (v − 1)(s − 1)</sub> · √(2σ̂²/s)</p>
<p>Randomized complete block design (Cochran and Cox 1957). The level is divided among the
<i>v</i> − 1 comparisons (Bonferroni), so the simultaneous coverage is at least 95&#160;%. If
there is no variance at all, <i>p</i> = 1.</p>
<h3 id="holm">Holm-adjusted p-values</h3>
<p class="formula">p<sub>(1)</sub> ≤ … ≤ p<sub>(m)</sub>, &#160; adjusted p<sub>(i)</sub> =
max<sub>k ≤ i</sub> min(1, (m − k + 1) p<sub>(k)</sub>)</p>
<p>Holm 1979. <i>m</i> = <i>v</i> − 1 for the differences from the baseline and
<i>m</i> = <i>v</i>(<i>v</i> − 1)/2 for the letters, which compare all pairs. Two variants share a
letter if and only if their difference is not significant (Piepho 2004).</p>
<h3 id="paired">Paired t-test</h3>
<p class="formula">d<sub>j</sub> = y<sub>ij</sub> − y<sub>baseline j</sub>, &#160;
t = d̄ / (std(d) / √s) with s − 1 degrees of freedom</p>
<h3 id="power">Detectable difference</h3>
<p>The true difference that the block model finds significant with 80&#160;% power at the two-sided
level 0.05/(<i>v</i> − 1), from the noncentral <i>t</i> distribution with the measured σ̂.</p>
<h3 id="heldout">Held-out error</h3>
<p class="formula">R = Σ d<sub>k</sub> / Σ m<sub>k</sub>, &#160;
SE(R) = √(K/(K − 1) · Σ (d<sub>k</sub> − R m<sub>k</sub>)²) / Σ m<sub>k</sub></p>
<p>Over the <i>K</i> held-out documents: <i>d</i><sub>k</sub> is the difference in nats in document
<i>k</i>, averaged over the seeds, and <i>m</i><sub>k</sub> its number of target tokens (ratio
estimator, Cochran 1977).</p>
)html";
}

std::string_view dot_plot_key() {
  return R"html(<p class="key">
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="base">
<line class="interval" x1="1" y1="6" x2="29" y2="6"/><path class="mark" d="M9 6 21 0 21 12 Z"/></g>
</svg>significantly better than the baseline</span>
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="base">
<line class="interval" x1="1" y1="6" x2="29" y2="6"/><path class="mark" d="M21 6 9 0 9 12 Z"/></g>
</svg>significantly worse</span>
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="base">
<line class="interval" x1="1" y1="6" x2="29" y2="6"/>
<circle class="mark open" cx="15" cy="6" r="4.5"/></g></svg>not significantly different</span>
<span><svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><g class="base">
<circle class="seed" cx="6" cy="6" r="2.5"/></g></svg>one seed</span>
)html";
}

}  // namespace sluice::report
