"""Exact one-to-one assignment: pairs of rows and columns whose similarities have the greatest sum.

The linear sum assignment problem, without SciPy. Most pairs are decided by a rule that looks at rows and columns
alone; what remains is solved by shortest augmenting paths (Crouse, "On implementing 2D rectangular assignment
algorithms", 2016).
"""

import numpy as np

from lucidbox.core.array_types import Float, Int


def assign(similarity: Float[np.ndarray, "n m"]) -> tuple[Int[np.ndarray, " k"], Int[np.ndarray, " k"]]:
    """Rows and columns paired such that the sum of their similarities is greatest.

    Args:
        similarity: finite, at least 0. Pairs of similarity 0 are left out, since they add nothing.

    Returns:
        Rows in ascending order, and the column of each.
    """
    rows, columns = np.nonzero(similarity > 0)
    weights = similarity[rows, columns].astype(np.float64)
    decided = [(rows[:0], columns[:0])]
    while len(rows):
        certain = _certain(rows, columns, weights)
        if len(certain) == 0:
            decided.append(_solve_rest(rows, columns, weights))
            break
        decided.append((rows[certain], columns[certain]))
        open_rows, open_columns = np.ones(similarity.shape[0], bool), np.ones(similarity.shape[1], bool)
        open_rows[rows[certain]] = open_columns[columns[certain]] = False
        left = open_rows[rows] & open_columns[columns]
        rows, columns, weights = rows[left], columns[left], weights[left]
    found_rows, found_columns = (np.concatenate(parts) for parts in zip(*decided, strict=True))
    order = np.argsort(found_rows)
    return found_rows[order], found_columns[order]


def _certain(
    rows: Int[np.ndarray, " k"], columns: Int[np.ndarray, " k"], weights: Float[np.ndarray, " k"]
) -> Int[np.ndarray, " j"]:
    """Entries that some best assignment has: those not below the sum of the next best of their row and column.

    To put such an entry into an assignment, at most one entry of its row and one of its column must leave it,
    which together are not worth more.
    """
    best_of_row, next_in_row = _best_and_next(rows, weights)
    best_of_column, next_in_column = _best_and_next(columns, weights)
    both = best_of_row & best_of_column
    certain: Int[np.ndarray, " j"] = np.flatnonzero(both & (weights >= next_in_row + next_in_column))
    return certain


def _best_and_next(
    groups: Int[np.ndarray, " k"], weights: Float[np.ndarray, " k"]
) -> tuple[np.ndarray, np.ndarray]:
    """Whether each entry is the (one) best of its group, and for those the weight of the next best, or 0."""
    order = np.lexsort((-weights, groups))
    ordered = groups[order]
    first = np.ones(len(order), bool)
    first[1:] = ordered[1:] != ordered[:-1]
    following = np.zeros(len(order))
    following[:-1] = np.where(first[1:], 0.0, weights[order[1:]])
    best, next_best = np.zeros(len(order), bool), np.zeros(len(order))
    best[order], next_best[order] = first, following
    return best, next_best


def _solve_rest(
    rows: Int[np.ndarray, " k"], columns: Int[np.ndarray, " k"], weights: Float[np.ndarray, " k"]
) -> tuple[Int[np.ndarray, " j"], Int[np.ndarray, " j"]]:
    """The best assignment among listed entries, as a dense problem of the rows and columns that they name."""
    row_names, row_places = np.unique(rows, return_inverse=True)
    column_names, column_places = np.unique(columns, return_inverse=True)
    dense = np.zeros((len(row_names), len(column_names)))
    dense[row_places, column_places] = weights
    turned = dense.shape[0] > dense.shape[1]
    partners = _shortest_paths(-(dense.T if turned else dense))
    first = np.arange(len(partners))
    row_of, column_of = (partners, first) if turned else (first, partners)
    worth = dense[row_of, column_of] > 0
    return row_names[row_of[worth]], column_names[column_of[worth]]


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
