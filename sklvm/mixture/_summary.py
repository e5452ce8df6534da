"""The components of a table in the columns' own units and categories."""

import numpy as np
from sklearn.utils.validation import check_is_fitted

from sklvm.mixture._marginals import marginals


class ComponentSummaryMixin:
    """`component_summary` for mixtures of tables, whose `marginals` are known."""

    def component_summary(self):
        r"""Each component in the columns' own units, what distinguishes it first.

        How much a column distinguishes a component is

        .. math:: KL(p(x_d | z = k) \| p(x_d)) = E[\log p(x_d | z = k) - \log p(x_d)],

        the nats by which a cell of that component speaks, on average, for it. It lies
        between 0 and -log p(z = k); its mean over components, with their shares, is the
        mutual information of the column and the component. Columns that depend on each
        other within a component each count in full.

        Returns
        -------
        summary : DataFrame
            A row for each component, the heaviest first, and each column. The index has
            "component", as in the labels of `predict`, and "column"; so
            ``summary.loc[k]`` is one component, and ``summary.xs(name,
            level="column")`` one column in all of them. The columns are

            - "share": p(z = k).
            - "kl": the divergence above in nats; rows of a component are sorted by it.
            - "description": mean ± standard deviation of gaussian columns and counts;
              of lognormal ones the median and the range from 16 to 84 %; the share of
              the second category of bernoulli ones; of categorical ones the shares of
              the categories, those first that are more frequent than overall and
              contribute most to the divergence, then the others by their share.
            - "overall": the same, and the same categories, in the whole mixture.

        Examples
        --------
        >>> import numpy as np
        >>> import pandas as pd
        >>> from sklvm import MixtureEM
        >>> rng = np.random.default_rng(0)
        >>> z = rng.integers(2, size=400)
        >>> gold = rng.random(400) < 0.2 + 0.6 * z
        >>> age = rng.normal(30 + 25 * z, 5).round()
        >>> X = pd.DataFrame({"plan": np.where(gold, "gold", "free"), "age": age})
        >>> model = MixtureEM(n_components=2, random_state=0).fit(X)
        >>> summary = model.component_summary()
        >>> summary.loc[0, "description"].to_dict()
        {'age': '54.4 ± 4.8', 'plan': 'gold: 83 %, free: 17 %'}
        """
        check_is_fitted(self)
        try:
            import pandas as pd
        except ImportError as error:
            raise ImportError(
                "component_summary returns a DataFrame and needs pandas; install it, "
                "or read components_."
            ) from error
        columns = marginals(self)
        kl = np.array([marginal.divergences() for marginal in columns])
        rows = [
            (k, columns[d].name, self.weights_[k], kl[d, k], *columns[d].describe(k))
            for k in np.argsort(-self.weights_, kind="stable")
            for d in np.argsort(-kl[:, k], kind="stable")
        ]
        names = "component column share kl description overall".split()
        return pd.DataFrame(rows, columns=names).set_index(names[:2])
