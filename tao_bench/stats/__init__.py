"""All inference: accuracies, paired differences, trends, recovery and labels-equivalent, with intervals.

Everything is a *contrast*, a weighted sum of arms' mean accuracies over the same items. Its error has two
sources, estimated apart and added:

- *items*, drawn in clusters (schema, company, template). Average the seeds, then take the cluster-robust
  variance CR2, which is the k/(k-1) correction for equal clusters, with the degrees of freedom of Bell &
  McCaffrey (2002) under an exchangeable working model (Imbens & Kolesar 2016).
- *seeds*: between-seed variance / S of every arm, less what item noise alone puts into it (seed x item
  noise is already in the first part; counted twice, intervals would be too wide).

The two parts' t quantiles are averaged with the variances as weights (Cochran & Cox 1950). Satterthwaite's
degrees of freedom were tried first: with 2-3 seeds they turn large exactly when the seed variance is
underestimated, and 95 % intervals covered 88-94 % where seeds matter; these cover 93-97 % (the tests
simulate it), except where two or three seeds differ by much more than item noise: there they fall short
too. One seed says nothing about seeds: such an interval speaks of the models at hand.
"""

from tao_bench.stats.across import across, fell_p
from tao_bench.stats.contrasts import (
    MAX_MISSING,
    Estimate,
    Scores,
    accuracy,
    align,
    contrast,
    difference,
    drop_missing,
    flips,
    mcnemar,
)
from tao_bench.stats.headline import (
    LabelsEquivalent,
    Recovery,
    labels_equivalent,
    recovery,
    slope,
)
from tao_bench.stats.planning import holm, minimum_detectable_effect, pass_at_k

__all__ = [
    "MAX_MISSING",
    "Estimate",
    "LabelsEquivalent",
    "Recovery",
    "Scores",
    "accuracy",
    "across",
    "align",
    "contrast",
    "difference",
    "drop_missing",
    "fell_p",
    "flips",
    "holm",
    "labels_equivalent",
    "mcnemar",
    "minimum_detectable_effect",
    "pass_at_k",
    "recovery",
    "slope",
]
