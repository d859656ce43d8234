// Texts of the page that do not depend on the comparison.
#include "report/page_parts.h"

namespace sluice::report {

std::string_view how_to_read() {
  return R"html(<ul class="columns">
<li><b>Metric.</b> The result of a run is measured on the held-out set after the last step, never at
its best evaluation. Log-perplexity is the mean cross-entropy in nats over all target tokens, so a
difference of 0.01 is 1&#160;% in perplexity; bits per byte divide the same nats by the bytes of the
text. Lower is better.</li>
<li><b>Verdict.</b> <i>Better</i> or <i>worse</i>: the variant beats the baseline, or loses, in
nearly every seed and by amounts that chance would rarely produce. <i>Equivalent</i>: whatever the
difference is, it is smaller than the margin that was fixed beforehand. <i>Undecided</i>: these
seeds show neither; it does not mean equal.</li>
<li><b>The test.</b> If a variant had no effect, each seed could as well have given the opposite
difference. The <a href="#flips">sign-flip test</a> flips the signs of the seeds in all ways and
counts how often the flipped results look at least as extreme as the real ones: that share is
<i>p</i>. A difference is significant if <i>p</i> is at most 0.05, or at a declared look at most its
level. The family-wise error rate, the probability of even one false positive among all comparisons
with the baseline, is then at most 5&#160;%, unless results are strongly skewed. Fewer than six
seeds can never reach 0.05. Significant does not mean large: see the interval.</li>
<li><b>Better in.</b> The number of seeds in which the variant is better than the baseline, and the
95&#160;% interval of the probability: what to expect from a single run of each.</li>
<li><b>When to judge.</b> Tests are made when all seeds are finished, or at the looks that the
configuration declares. Stopping as soon as <i>p</i> is small would produce false positives.</li>
<li><b>Power.</b> The <a href="#power">detectable difference</a> is the size that would be detected
with 80&#160;% power.</li>
<li><b>Conditions.</b> The verdict holds only under the conditions stated below it: number of steps,
learning rate, and whether the curves were still falling. A learning rate that was not tuned can
favor a variant, and curves that are still falling can cross.</li>
<li><b>Pairing.</b> Unless the varied keys affect text or batches, all variants of a seed see the
same tokens in the same order, and everything outside the feed-forward layers starts from the same
values. Effects of a seed that all variants share cancel in the differences, which are therefore
more precise than the standard deviations suggest.</li>
<li><b>Tuning.</b> If values were tuned, the verdict is about variants at the best value of a grid.
It is named if a chosen value is at the edge of the grid, where a better one may lie outside, or if
the grid is coarser than the difference: a value between two of the grid could then reverse the
verdict.</li>
<li><b>Secondary tests.</b> The <a href="#blocks">pooled t-test</a> assumes that all variants have
the same variance and errs more often than stated if they do not; the <a href="#paired">paired
t-test</a> assumes normal differences only. They are shown for comparison; the verdict does not use
them.</li>
<li><b>Multiple comparisons.</b> Intervals and <i>p</i>-values are adjusted for the comparisons with
the baseline, the letters for all pairs. They can disagree in borderline cases: a <i>p</i>-value can
be below the level although the interval just includes 0, and the letters are the most
conservative.</li>
<li><b>Coverage.</b> Intervals account for the randomness of training: they cover another draw of
seeds, but not other data, another model size, another learning rate or longer training. The
<a href="#heldout">held-out error</a> is the uncertainty of a difference due to the choice of
held-out documents.</li>
<li><b>Curves</b> show the course of training; take results from the table instead. Held-out values
before the last may be measured on part of the held-out set (<code>evaluate.max_tokens</code>); the
last is the result itself. In the middle of a curve the learning rate has not decayed, so its values
say little about a run that ends there.</li>
<li><b>Diverged or failed runs</b> are shown, and their variant gets no verdict: dropping the run
would bias the result. Unfinished runs that a verdict needs are awaited. † marks a run that did not
learn.</li>
</ul>
)html";
}

std::string_view page_formulas() {
  return R"html(<p>The rules do not depend on the results. Sources and derivations:
<code>docs/statistics.md</code> in the source code of Sluice. <i>y</i><sub>ij</sub> is the result of
variant <i>i</i> under seed <i>j</i>, for <i>v</i> variants and the <i>s</i> seeds that all of them
have finished.</p>
<h3 id="flips">Sign-flip test</h3>
<p class="formula">d<sub>ij</sub> = y<sub>ij</sub> − y<sub>baseline j</sub>, &#160;
T<sub>i</sub>(e) = |Σ<sub>j</sub> e<sub>j</sub> d<sub>ij</sub>| / √(Σ<sub>j</sub>
d<sub>ij</sub>²), &#160; e<sub>j</sub> = ±1<br/>
p<sub>(i)</sub> = share of the flips e with max<sub>k ≥ i</sub> T<sub>(k)</sub>(e) ≥
T<sub>(i)</sub>, &#160; adjusted p<sub>(i)</sub> = max<sub>k ≤ i</sub> p<sub>(k)</sub></p>
<p>Max-T step-down (Westfall and Young 1993), T<sub>(1)</sub> the largest. Signs are flipped per
seed, jointly for all comparisons; all 2<sup>s</sup> flips up to 16 seeds, otherwise a fixed sample.
Exact if the differences of a seed without effect are as probable with the opposite signs. The
intervals contain the true differences that the test does not reject; the other comparisons are then
centered at their means. Equivalence: the interval lies within the margin. The letters use the same
test over all pairs (display: Piepho 2004).</p>
<h3 id="blocks">Pooled t-test (secondary)</h3>
<p class="formula">y<sub>ij</sub> = μ + variant<sub>i</sub> + seed<sub>j</sub> + ε<sub>ij</sub>,
&#160; σ̂² = Σ (y<sub>ij</sub> − ȳ<sub>i·</sub> − ȳ<sub>·j</sub> + ȳ<sub>··</sub>)² /
((v − 1)(s − 1))<br/>
t = (ȳ<sub>i·</sub> − ȳ<sub>baseline·</sub>) / √(2σ̂²/s) with (v − 1)(s − 1) degrees of freedom</p>
<p>Randomized complete block design (Cochran and Cox 1957). <i>p</i>-values of both t-tests are
adjusted by Holm's procedure (1979).</p>
<h3 id="paired">Paired t-test (secondary)</h3>
<p class="formula">t = d̄ / (std(d) / √s) with s − 1 degrees of freedom</p>
<h3 id="power">Detectable difference</h3>
<p>The true difference that a paired t-test finds significant with 80&#160;% power at the two-sided
level 0.05/(<i>v</i> − 1), from the noncentral <i>t</i> distribution with the measured σ̂: an
approximation of the sign-flip test.</p>
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
<circle class="mark open" cx="15" cy="6" r="4.5"/></g></svg>undecided</span>
<span><svg width="30" height="12" viewBox="0 0 30 12" aria-hidden="true"><g class="base">
<line class="interval" x1="1" y1="6" x2="29" y2="6"/>
<circle class="mark" cx="15" cy="6" r="4.5"/></g></svg>equivalent within the margin</span>
<span><svg width="12" height="12" viewBox="0 0 12 12" aria-hidden="true"><g class="base">
<circle class="seed" cx="6" cy="6" r="2.5"/></g></svg>one seed</span>
)html";
}

}  // namespace sluice::report
