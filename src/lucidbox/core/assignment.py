"""Exact one-to-one assignment: pairs of rows and columns whose similarities have the greatest sum.

The linear sum assignment problem, without SciPy. Most pairs are decided by a rule that looks at rows and columns
alone; what remains is solved by shortest augmenting paths (Crouse, "On implementing 2D rectangular assignment
algorithms", 2016).
"""

import numpy as np

from lucidbox.core.array_types import Bool, Float, Int


def best_assignment(similarity: Float[np.ndarray, "n m"]) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Rows and columns paired such that the sum of their similarities is greatest.

    Args:
        similarity: finite, at least 0. Pairs of similarity 0 are left out, since they add nothing.

    Returns:
        Rows in ascending order, and the column of each.
    """
    rows, columns = np.nonzero(similarity > 0)
    chosen = assign_listed(rows, columns, similarity[rows, columns].astype(np.float64))
    return rows[chosen], columns[chosen]


def assign_listed(
    rows: Int[np.ndarray, " p"], columns: Int[np.ndarray, " p"], weights: Float[np.ndarray, " p"]
) -> Int[np.ndarray, " k"]:
    """The same for listed pairs of rows and columns; those that are not listed are not paired.

    Args:
        rows: of each pair, from 0.
        columns: of each pair, from 0; no pair is listed twice.
        weights: of each pair, finite and above 0.

    Returns:
        Places of the chosen pairs in the list, by ascending row.
    """
    places, chosen = np.arange(len(rows)), [np.zeros(0, np.int64)]
    while len(places):
        at_row, at_column, weight = rows[places], columns[places], weights[places]
        certain = _certain(at_row, at_column, weight)
        if not certain.any():
            chosen.append(places[_solve_rest(at_row, at_column, weight)])
            break
        chosen.append(places[certain])
        free_rows, free_columns = np.ones(at_row.max() + 1, bool), np.ones(at_column.max() + 1, bool)
        free_rows[at_row[certain]] = free_columns[at_column[certain]] = False
        places = places[free_rows[at_row] & free_columns[at_column]]
    found = np.concatenate(chosen)
    ordered: Int[np.ndarray, " k"] = found[np.argsort(rows[found])]
    return ordered


def _certain(
    rows: Int[np.ndarray, " p"], columns: Int[np.ndarray, " p"], weights: Float[np.ndarray, " p"]
) -> Bool[np.ndarray, " p"]:
    """Pairs that every best assignment has: those above the sum of the next best of their row and their column.

    To put such a pair into an assignment, at most one pair of its row and one of its column must leave it, which
    together are worth less.
    """
    others = _best_other(rows, weights) + _best_other(columns, weights)
    certain: Bool[np.ndarray, " p"] = weights > others
    return certain


def _best_other(groups: Int[np.ndarray, " p"], weights: Float[np.ndarray, " p"]) -> Float[np.ndarray, " p"]:
    """The best weight of the others in each pair's group, 0 where there are none."""
    best, next_best = np.zeros((2, groups.max() + 1))
    np.maximum.at(best, groups, weights)
    leads = weights == best[groups]
    np.maximum.at(next_best, groups[~leads], weights[~leads])
    next_best = np.where(np.bincount(groups[leads], minlength=len(best)) > 1, best, next_best)
    others: Float[np.ndarray, " p"] = np.where(leads, next_best[groups], best[groups])
    return others


def _solve_rest(
    rows: Int[np.ndarray, " p"], columns: Int[np.ndarray, " p"], weights: Float[np.ndarray, " p"]
) -> Int[np.ndarray, " k"]:
    """Places of the best assignment among listed pairs, as a dense problem of the rows and columns they name."""
    row_places = np.unique(rows, return_inverse=True)[1]
    column_places = np.unique(columns, return_inverse=True)[1]
    if row_places.max() > column_places.max():
        row_places, column_places = column_places, row_places
    cost = np.zeros((row_places.max() + 1, column_places.max() + 1))
    cost[row_places, column_places] = -weights
    chosen: Int[np.ndarray, " k"] = np.flatnonzero(_shortest_paths(cost)[row_places] == column_places)
    return chosen


def _shortest_paths(cost: Float[np.ndarray, "n m"]) -> Int[np.ndarray, " n"]:
    """The column of each row in an assignment of least cost of all rows; there are at least as many columns."""
    row_price, column_price = np.zeros(cost.shape[0]), np.zeros(cost.shape[1])
    owners, partners = np.full(cost.shape[1], -1), np.full(cost.shape[0], -1)
    for start in range(cost.shape[0]):
        distance, came_from = np.full(cost.shape[1], np.inf), np.full(cost.shape[1], -1)
        visited, row, reached, visited_rows = np.zeros(cost.shape[1], bool), start, 0.0, []
        while True:
            through = cost[row] - column_price
            through += reached - row_price[row]
            nearer = (through < distance) & ~visited
            distance[nearer], came_from[nearer] = through[nearer], row
            column = int(np.where(visited, np.inf, distance).argmin())
            reached, visited[column] = float(distance[column]), True
            if owners[column] < 0:
                break
            row = int(owners[column])
            visited_rows.append(row)
        row_price[start] += reached
        row_price[visited_rows] += reached - distance[partners[visited_rows]]
        column_price[visited] -= reached - distance[visited]
        row = -1
        while row != start:
            row = int(came_from[column])
            owners[column] = row
            partners[row], column = column, partners[row]
    return partners
