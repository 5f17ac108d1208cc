# Answers to the questions of problem set 6 that are marked by tests.  Each block takes the place of the model
# solution of its question.  A wrong answer must get no point, a right one all.

# %% q1 right: loops over the columns
def prepare(X):
    columns, kept, mean, scale = [], [], [], []
    for j, column in enumerate(X.T):
        known = [v for v in column if v == v]
        if len(set(known)) < 2:
            continue
        centre = sum(known) / len(known)
        moved = np.array([v - centre if v == v else 0.0 for v in column])
        spread = np.sqrt(moved @ moved / len(moved))
        columns.append(moved / spread)
        kept.append(j)
        mean.append(centre)
        scale.append(spread)
    return np.array(columns).T, kept, mean, scale
# %% q1 right: masked arrays
def prepare(X):
    masked = np.ma.masked_invalid(X)
    kept = np.array([j for j in range(X.shape[1]) if masked[:, j].count() and masked[:, j].max() > masked[:, j].min()])
    part = masked[:, kept]
    filled = part.filled(0) + np.ma.getmaskarray(part) * part.mean(axis=0).filled(0)
    mean = part.mean(axis=0).filled(0)
    D = filled - mean
    scale = np.linalg.norm(D, axis=0) / np.sqrt(len(D))
    return D / scale, kept, np.asarray(mean), scale
# %% q1 right: scikit-learn's steps on the useful columns
def prepare(X):
    from sklearn.impute import SimpleImputer
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    filled = SimpleImputer().fit_transform(X[:, kept])
    return (filled - filled.mean(0)) / np.std(filled, axis=0), tuple(kept), filled.mean(0), np.std(filled, axis=0)
# %% q1 wrong: divisor M - 1
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    mean = np.nanmean(X[:, kept], axis=0)
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    scale = filled.std(axis=0, ddof=1)
    return (filled - mean) / scale, kept, mean, scale
# %% q1 wrong: standard deviation of the known entries only
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    mean, scale = np.nanmean(X[:, kept], axis=0), np.nanstd(X[:, kept], axis=0)
    return np.nan_to_num((X[:, kept] - mean) / scale), kept, mean, scale
# %% q1 wrong: constant means that the computed standard deviation is zero
def prepare(X):
    known = (~np.isnan(X)).sum(axis=0) > 0
    sd = np.array([np.nanstd(X[:, j]) if known[j] else 0.0 for j in range(X.shape[1])])
    kept = np.flatnonzero(sd > 0)
    mean = np.nanmean(X[:, kept], axis=0)
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    return (filled - mean) / filled.std(0), kept, mean, filled.std(0)
# %% q1 wrong: a small standard deviation counts as constant
def prepare(X):
    known = (~np.isnan(X)).sum(axis=0) > 0
    sd = np.array([np.nanstd(X[:, j]) if known[j] else 0.0 for j in range(X.shape[1])])
    kept = np.flatnonzero(sd > 1e-8)
    mean = np.nanmean(X[:, kept], axis=0)
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    return (filled - mean) / filled.std(0), kept, mean, filled.std(0)
# %% q1 wrong: missing entries become zero
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    filled = np.nan_to_num(X[:, kept])
    return (filled - filled.mean(0)) / filled.std(0), kept, filled.mean(0), filled.std(0)
# %% q1 wrong: the median
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    filled = np.where(np.isnan(X[:, kept]), np.nanmedian(X[:, kept], axis=0), X[:, kept])
    return (filled - filled.mean(0)) / filled.std(0), kept, filled.mean(0), filled.std(0)
# %% q1 wrong: rows with a missing entry are dropped
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    filled = X[:, kept][~np.isnan(X[:, kept]).any(axis=1)]
    return (filled - filled.mean(0)) / filled.std(0), kept, filled.mean(0), filled.std(0)
# %% q1 wrong: cancellation in the variance
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    mean = np.nanmean(X[:, kept], axis=0)
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    scale = np.sqrt(np.abs(np.mean(filled**2, axis=0) - mean**2))
    return (filled - mean) / scale, kept, mean, scale
# %% q1 wrong: a column without known entries counts as useful
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[:, j])) > 1 or np.isnan(X[:, j]).all()]
    mean = np.array([np.nanmean(X[:, j]) if not np.isnan(X[:, j]).all() else 0.0 for j in kept])
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    scale = np.maximum(filled.std(0), 1e-300)
    return (filled - mean) / scale, kept, mean, scale
# %% q1 wrong: a mask instead of positions
def prepare(X):
    useful = np.array([len(np.unique(X[~np.isnan(X[:, j]), j])) > 1 for j in range(X.shape[1])])
    mean = np.nanmean(X[:, useful], axis=0)
    filled = np.where(np.isnan(X[:, useful]), mean, X[:, useful])
    return (filled - mean) / filled.std(0), useful, mean, filled.std(0)
# %% q1 wrong: variances instead of standard deviations
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[~np.isnan(X[:, j]), j])) > 1]
    mean = np.nanmean(X[:, kept], axis=0)
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    return (filled - mean) / filled.var(0), kept, mean, filled.var(0)
# %% q1 wrong: constant up to a relative error
def prepare(X):
    known = [X[~np.isnan(X[:, j]), j] for j in range(X.shape[1])]
    kept = [j for j, v in enumerate(known) if len(v) and np.ptp(v) > 1e-10 * np.abs(v).max()]
    mean = np.nanmean(X[:, kept], axis=0)
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    return (filled - mean) / filled.std(0), kept, mean, filled.std(0)
# %% q1 wrong: a missing entry counts as a second value
def prepare(X):
    kept = [j for j in range(X.shape[1]) if len(np.unique(X[:, j])) > 1 and not np.isnan(X[:, j]).all()]
    mean = np.nanmean(X[:, kept], axis=0)
    filled = np.where(np.isnan(X[:, kept]), mean, X[:, kept])
    return (filled - mean) / np.maximum(filled.std(0), 1e-300), kept, mean, filled.std(0)

# %% q2 right: cumulative sums, then up to the end of a group of equal eigenvalues
def needed_rank(target, share):
    values = np.sort(np.linalg.eigvalsh(target))[::-1]
    total = values.sum()
    kept = np.append(0, np.cumsum(values)) / total
    k = int(np.argmax(kept >= share - 1e-9))
    while 0 < k < len(values) and values[k - 1] - values[k] <= 1e-9 * total:
        k += 1
    return k
# %% q2 right: the library's minimum, and two minimisers of which one is turned
def needed_rank(target, share):
    loss, S = bw.BuresLoss(target), bw.Covariance(target)
    n, limit = S.dim, (1 - share) * S.trace + 1e-9 * S.trace
    ranks = [k for k in range(n + 1) if loss.minimum(k) <= limit]
    gap = np.append(np.inf, np.append(-np.diff(S.eigenvalues), np.inf))
    return min(k for k in ranks if gap[k] > 1e-9 * S.trace)
# %% q2 wrong: ties forgotten
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    kept = np.append(0, np.cumsum(lam))
    return int(np.argmax(kept >= (share - 1e-9) * lam.sum()))
# %% q2 wrong: down to the beginning of the group
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    kept = np.append(0, np.cumsum(lam))
    k = int(np.argmax(kept >= (share - 1e-9) * lam.sum()))
    while 0 < k < len(lam) and lam[k - 1] - lam[k] <= 1e-9 * lam.sum():
        k -= 1
    return k
# %% q2 wrong: one direction more at a tie, not the whole group
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    kept = np.append(0, np.cumsum(lam))
    k = int(np.argmax(kept >= (share - 1e-9) * lam.sum()))
    return k + 1 if 0 < k < len(lam) and lam[k - 1] - lam[k] <= 1e-9 * lam.sum() else k
# %% q2 wrong: at least one latent variable
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    for k in range(1, len(lam) + 1):
        if lam[:k].sum() >= (share - 1e-9) * lam.sum() and (k == len(lam) or lam[k - 1] > lam[k] + 1e-9 * lam.sum()):
            return k
# %% q2 wrong: squares of the eigenvalues, as for the Frobenius norm
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    for k in range(len(lam) + 1):
        if (lam[:k] ** 2).sum() >= (share - 1e-9) * (lam**2).sum() and (k in (0, len(lam)) or lam[k - 1] > lam[k] + 1e-9 * lam.sum()):
            return k
# %% q2 wrong: standard deviations
def needed_rank(target, share):
    lam = np.abs(np.linalg.eigvalsh(target)[::-1])
    for k in range(len(lam) + 1):
        if np.sqrt(lam[:k]).sum() >= (share - 1e-9) * np.sqrt(lam).sum() and (k in (0, len(lam)) or lam[k - 1] > lam[k] + 1e-9 * lam.sum()):
            return k
# %% q2 wrong: the distance instead of its square
def needed_rank(target, share):
    lam = np.maximum(np.linalg.eigvalsh(target)[::-1], 0)
    for k in range(len(lam) + 1):
        if np.sqrt(lam[k:].sum()) <= (1 - share + 1e-9) * np.sqrt(lam.sum()) and (k in (0, len(lam)) or lam[k - 1] > lam[k] + 1e-9 * lam.sum()):
            return k
# %% q2 wrong: exact comparisons
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    for k in range(len(lam) + 1):
        if lam[k:].sum() <= (1 - share) * lam.sum() and (k in (0, len(lam)) or lam[k - 1] > lam[k]):
            return k
    return len(lam)
# %% q2 wrong: an absolute tolerance
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    for k in range(len(lam) + 1):
        if lam[k:].sum() <= (1 - share) * lam.sum() + 1e-9 and (k in (0, len(lam)) or lam[k - 1] > lam[k] + 1e-9):
            return k
# %% q2 wrong: diagonal entries
def needed_rank(target, share):
    lam = np.sort(np.diag(target))[::-1]
    for k in range(len(lam) + 1):
        if lam[k:].sum() <= (1 - share + 1e-9) * lam.sum() and (k in (0, len(lam)) or lam[k - 1] > lam[k] + 1e-9 * lam.sum()):
            return k
# %% q2 wrong: a tolerance for the share only
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    for k in range(len(lam) + 1):
        if lam[k:].sum() <= (1 - share + 1e-9) * lam.sum() and (k in (0, len(lam)) or lam[k - 1] > lam[k]):
            return k
# %% q2 wrong: a tolerance for uniqueness only
def needed_rank(target, share):
    lam = np.linalg.eigvalsh(target)[::-1]
    for k in range(len(lam) + 1):
        if lam[k:].sum() <= (1 - share) * lam.sum() and (k in (0, len(lam)) or lam[k - 1] > lam[k] + 1e-9 * lam.sum()):
            return k

# %% q3 right: range by the pivoted QR decomposition, the loss minus the first number
def two_errors(weights, T):
    import scipy.linalg
    W = weights[0]
    for layer in weights[1:]:
        W = layer @ W
    Q, R, _ = scipy.linalg.qr(W, mode="economic", pivoting=True)
    diagonal = np.abs(np.diag(R))
    Q = Q[:, diagonal > 1e-9 * diagonal[0]]
    rest = T - Q @ (Q.T @ T)
    lost = np.trace(rest - rest @ Q @ Q.T)
    return np.array([lost, bw.bures_wasserstein(W @ W.T, T, squared=True) - lost])
# %% q3 right: pseudoinverse, factors in coordinates of the column space
def two_errors(weights, T):
    W = np.linalg.multi_dot([*weights[::-1], np.eye(weights[0].shape[1])])
    P = W @ np.linalg.pinv(W, rcond=1e-9)
    F = bw.Covariance(T).factor
    if F.shape[1] == 0:
        return [0.0, float(np.sum(W**2))]
    overlap = np.linalg.svd((P @ F).T @ W, compute_uv=False).sum()
    return [float(np.sum((F - P @ F) ** 2)), float(np.sum(W**2) + np.sum((P @ F) ** 2) - 2 * overlap)]
# %% q3 right: eigenvalues of a product that is not symmetric, with PT + TP in place of 2 PTP
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = W @ np.linalg.pinv(W, rcond=1e-9)
    S = (P @ T + T @ P) / 2
    return np.trace(T) - np.trace(P @ T), np.trace(W @ W.T) + np.trace(S) - 2 * np.sqrt(np.abs(np.linalg.eigvals(W @ W.T @ S))).sum()
# %% q3 wrong: QR decomposition without a look at the rank
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    Q = np.linalg.qr(W)[0]
    P = Q @ Q.T
    return np.trace(T) - np.trace(P @ T), bw.bures_wasserstein(W @ W.T, P @ T @ P, squared=True)
# %% q3 wrong: the projector by the normal equations
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    try:
        P = W @ np.linalg.inv(W.T @ W) @ W.T
    except np.linalg.LinAlgError:
        P = np.zeros((len(W), len(W)))
    return np.trace(T) - np.trace(P @ T), bw.bures_wasserstein(W @ W.T, P @ T @ P, squared=True)
# %% q3 wrong: principal components of the data instead of the column space of W
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    r = np.linalg.matrix_rank(W)
    U = np.linalg.eigh(T)[1][:, ::-1][:, :r]
    return np.trace(T) - np.trace(U.T @ T @ U), bw.bures_wasserstein(W @ W.T, U @ U.T @ T @ U @ U.T, squared=True)
# %% q3 wrong: the law compared with the whole data
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = W @ np.linalg.pinv(W, rcond=1e-9)
    return np.trace(T) - np.trace(P @ T), bw.bures_wasserstein(W @ W.T, T, squared=True)
# %% q3 wrong: the distance is not squared
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = W @ np.linalg.pinv(W, rcond=1e-9)
    return np.trace(T) - np.trace(P @ T), bw.bures_wasserstein(W @ W.T, P @ T @ P)
# %% q3 wrong: in the other order
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = W @ np.linalg.pinv(W, rcond=1e-9)
    return bw.bures_wasserstein(W @ W.T, P @ T @ P, squared=True), np.trace(T) - np.trace(P @ T)
# %% q3 wrong: the norm of the lost covariance instead of its trace
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = W @ np.linalg.pinv(W, rcond=1e-9)
    R = np.eye(len(P)) - P
    return np.linalg.norm(R @ T @ R), bw.bures_wasserstein(W @ W.T, P @ T @ P, squared=True)
# %% q3 wrong: the column space of the last layer
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = weights[-1] @ np.linalg.pinv(weights[-1], rcond=1e-9)
    return np.trace(T) - np.trace(P @ T), bw.bures_wasserstein(W @ W.T, P @ T @ P, squared=True)
# %% q3 wrong: the rank is the bottleneck
def two_errors(weights, T):
    net = bw.DeepLinearNetwork(weights)
    W = net.end_to_end()
    U = np.linalg.svd(W)[0][:, :net.bottleneck]
    return np.trace(T) - np.trace(U.T @ T @ U), bw.bures_wasserstein(W @ W.T, U @ U.T @ T @ U @ U.T, squared=True)
# %% q3 wrong: traces of roots, as if the covariances commuted
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = W @ np.linalg.pinv(W, rcond=1e-9)
    return np.trace(T) - np.trace(P @ T), np.sum((bw.sqrtm_psd(W @ W.T) - bw.sqrtm_psd(P @ T @ P)) ** 2)
# %% q3 wrong: projects onto the row space of square matrices
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    P = np.linalg.pinv(W, rcond=1e-9) @ W if W.shape[0] == W.shape[1] else W @ np.linalg.pinv(W, rcond=1e-9)
    return np.trace(T) - np.trace(P @ T), bw.bures_wasserstein(W @ W.T, P @ T @ P, squared=True)
# %% q3 wrong: an absolute threshold for the singular values
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    U, s, _ = np.linalg.svd(W, full_matrices=False)
    P = U[:, s > 1e-9] @ U[:, s > 1e-9].T
    return np.trace(T) - np.trace(P @ T), bw.bures_wasserstein(W @ W.T, P @ T @ P, squared=True)
# %% q3 wrong: the range of W W^T, whose small eigenvalues are rounding errors
def two_errors(weights, T):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    lam, U = np.linalg.eigh(W @ W.T)
    U = U[:, lam > 1e-18 * lam[-1]]
    return np.trace(T) - np.trace(U.T @ T @ U), bw.bures_wasserstein(U.T @ W @ W.T @ U, U.T @ T @ U, squared=True)

# %% q4 right: factors and nuclear norms
def held_out(X, folds):
    curves = []
    for fold in folds:
        rest = [i for i in range(len(X)) if i not in fold]
        m, d = X[rest].mean(0), X[rest].std(0)
        A, B = (X[rest] - m) / d / np.sqrt(len(rest)), (X[list(fold)] - m) / d
        v = B.mean(0)
        B = (B - v) / np.sqrt(len(B))
        s, Vt = np.linalg.svd(A)[1:]
        s = np.append(s, np.zeros(X.shape[1] - len(s)))
        curves.append([v @ v + (s[:k] ** 2).sum() + (B**2).sum() - 2 * np.linalg.norm((Vt[:k] * s[:k, None]) @ B.T, "nuc") if k else v @ v + (B**2).sum()
                       for k in range(X.shape[1] + 1)])
    return np.array(curves).mean(0)
# %% q4 right: the library's best covariance and a list
def held_out(X, folds):
    n, sums = X.shape[1], [0.0] * (X.shape[1] + 1)
    for fold in folds:
        inside = np.isin(np.arange(len(X)), fold)
        centre, spread = np.mean(X[~inside], 0), np.sqrt(np.var(X[~inside], 0))
        S = np.corrcoef(X[~inside].T).reshape(n, n)
        Y = (X[inside] - centre) / spread
        T = np.cov(Y.T, bias=True).reshape(n, n)
        for k in range(n + 1):
            sums[k] += np.sum(Y.mean(0) ** 2) + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True)
    return [value / len(folds) for value in sums]
# %% q4 wrong: standardised with all rows
def held_out(X, folds):
    n, total = X.shape[1], 0
    Z = (X - X.mean(0)) / X.std(0)
    for fold in folds:
        A, B = np.delete(Z, fold, axis=0), Z[fold]
        A, v, T = A - A.mean(0), B.mean(0) - A.mean(0), bw.Covariance.from_samples(B)
        S = bw.Covariance.from_samples(A)
        total = total + np.array([v @ v + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: the mean is forgotten
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0)
        S, T = bw.Covariance.from_samples((A - m) / d), bw.Covariance.from_samples((B - m) / d)
        total = total + np.array([bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: second moments of the fold instead of mean and covariance
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0)
        S, T = bw.Covariance.from_samples((A - m) / d), bw.Covariance.from_samples((B - m) / d, center=False)
        total = total + np.array([bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: the fold is standardised by itself
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        d = np.where(B.std(0) > 0, B.std(0), 1)
        v = (B.mean(0) - A.mean(0)) / A.std(0)
        S, T = bw.Covariance.from_samples((A - A.mean(0)) / A.std(0)), bw.Covariance.from_samples(B / d)
        total = total + np.array([v @ v + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: trained on the fold, judged by the rest
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        B, A = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), np.where(A.std(0) > 0, A.std(0), 1)
        S, T, v = bw.Covariance.from_samples((A - m) / d), bw.Covariance.from_samples((B - m) / d), ((B - m) / d).mean(0)
        total = total + np.array([v @ v + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: weighted by the lengths of the folds
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0)
        S, T, v = bw.Covariance.from_samples((A - m) / d), bw.Covariance.from_samples((B - m) / d), ((B - m) / d).mean(0)
        total = total + len(fold) * np.array([v @ v + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(n + 1)])
    return total / sum(map(len, folds))
# %% q4 wrong: from k = 1 on
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0)
        S, T, v = bw.Covariance.from_samples((A - m) / d), bw.Covariance.from_samples((B - m) / d), ((B - m) / d).mean(0)
        total = total + np.array([v @ v + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(1, n + 1)])
    return total / len(folds)
# %% q4 wrong: the reconstruction error of the held-out rows
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0)
        S, Y = bw.Covariance.from_samples((A - m) / d), (B - m) / d
        total = total + np.array([np.mean(np.sum((Y - Y @ S.eigenvectors[:, :k] @ S.eigenvectors[:, :k].T) ** 2, axis=1)) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: divisors less one
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0, ddof=1)
        Y = (B - m) / d
        S, T, v = np.cov(((A - m) / d).T).reshape(n, n), (Y - Y.mean(0)).T @ (Y - Y.mean(0)) / max(1, len(Y) - 1), Y.mean(0)
        total = total + np.array([v @ v + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: the axes of the held-out rows
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0)
        S, T, v = bw.Covariance.from_samples((A - m) / d), bw.Covariance.from_samples((B - m) / d), ((B - m) / d).mean(0)
        def cut(k):
            P = T.eigenvectors[:, :k] @ T.eigenvectors[:, :k].T
            return P @ S.matrix @ P
        total = total + np.array([v @ v + bw.bures_wasserstein(cut(k), T, squared=True) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: not squared
def held_out(X, folds):
    n, total = X.shape[1], 0
    for fold in folds:
        A, B = np.delete(X, fold, axis=0), X[fold]
        m, d = A.mean(0), A.std(0)
        S, T, v = bw.Covariance.from_samples((A - m) / d), bw.Covariance.from_samples((B - m) / d), ((B - m) / d).mean(0)
        total = total + np.array([np.sqrt(v @ v + bw.bures_wasserstein(bw.best_low_rank(S, k), T, squared=True)) for k in range(n + 1)])
    return total / len(folds)
# %% q4 wrong: rows that are in no fold are not used
def held_out(X, folds):
    used, total = sorted(i for fold in folds for i in fold), 0
    for fold in folds:
        train = X[[i for i in used if i not in fold]] if len(folds) > 1 else np.delete(X, fold, axis=0)
        mean, scale = train.mean(axis=0), train.std(axis=0)
        S, Y = bw.Covariance.from_samples((train - mean) / scale), (X[fold] - mean) / scale
        v, T = Y.mean(axis=0), bw.Covariance.from_samples(Y)
        total = total + np.array([v @ v + bw.bures_wasserstein((S.eigenvectors[:, :k] * S.eigenvalues[:k]) @ S.eigenvectors[:, :k].T, T,
                                                               squared=True) for k in range(X.shape[1] + 1)])
    return total / len(folds)

# %% q5 right: factors of the parts
def sampling_error(X, orders, a):
    total = 0.0
    for order in orders:
        A, B = X[list(order)[:a]], X[list(order)[a:]]
        A, B = (A - A.mean(0)) / np.sqrt(len(A)), (B - B.mean(0)) / np.sqrt(len(B))
        total += (A**2).sum() + (B**2).sum() - 2 * np.linalg.norm(A @ B.T, "nuc")
    share = a / len(X)
    return float(share * (1 - share) * total / len(orders))
# %% q5 right: harmonic form of the factor, NumPy's covariance
def sampling_error(X, orders, a):
    n, M = X.shape[1], len(X)
    values = []
    for order in orders:
        S1, S2 = (np.cov(X[rows].T, bias=True).reshape(n, n) for rows in np.split(np.array(order), [a]))
        values.append(bw.bures_wasserstein(S1, S2, squared=True))
    return (1 / M) / (1 / a + 1 / (M - a)) * sum(values) / len(values)
# %% q5 wrong: no factor
def sampling_error(X, orders, a):
    return np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]]), squared=True) for o in orders])
# %% q5 wrong: one half, for the error of one part
def sampling_error(X, orders, a):
    return np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]]), squared=True) for o in orders]) / 2
# %% q5 wrong: one quarter whatever the cut
def sampling_error(X, orders, a):
    return np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]]), squared=True) for o in orders]) / 4
# %% q5 wrong: the square of the share, right for halves
def sampling_error(X, orders, a):
    f = (a / len(X)) ** 2
    return f * np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]]), squared=True) for o in orders])
# %% q5 wrong: half of the smaller share, right for halves
def sampling_error(X, orders, a):
    f = min(a, len(X) - a) / len(X) / 2
    return f * np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]]), squared=True) for o in orders])
# %% q5 wrong: not squared
def sampling_error(X, orders, a):
    f = a * (len(X) - a) / len(X) ** 2
    return f * np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]])) for o in orders])
# %% q5 wrong: means are not removed
def sampling_error(X, orders, a):
    f = a * (len(X) - a) / len(X) ** 2
    return f * np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]], center=False), bw.Covariance.from_samples(X[o[a:]], center=False), squared=True) for o in orders])
# %% q5 wrong: the common mean
def sampling_error(X, orders, a):
    f = a * (len(X) - a) / len(X) ** 2
    Y = X - X.mean(0)
    return f * np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(Y[o[:a]], center=False), bw.Covariance.from_samples(Y[o[a:]], center=False), squared=True) for o in orders])
# %% q5 wrong: only the first order
def sampling_error(X, orders, a):
    f, o = a * (len(X) - a) / len(X) ** 2, orders[0]
    return f * bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]]), squared=True)
# %% q5 wrong: a part against all rows
def sampling_error(X, orders, a):
    f = a * (len(X) - a) / len(X) ** 2
    return f * np.mean([bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X), squared=True) for o in orders])
# %% q5 wrong: the sum over the orders
def sampling_error(X, orders, a):
    f = a * (len(X) - a) / len(X) ** 2
    return f * sum(bw.bures_wasserstein(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]]), squared=True) for o in orders)
# %% q5 wrong: the orders are ignored
def sampling_error(X, orders, a):
    return a * (len(X) - a) / len(X) ** 2 * bw.bures_wasserstein(bw.Covariance.from_samples(X[:a]), bw.Covariance.from_samples(X[a:]), squared=True)
# %% q5 wrong: a Taylor polynomial at the covariance of all rows
def sampling_error(X, orders, a):
    S = bw.Covariance.from_samples(X)
    lam, Omega = S.eigenvalues + 1e-12, S.eigenvectors
    def value(o):
        D = Omega.T @ (bw.Covariance.from_samples(X[o[:a]]).matrix - bw.Covariance.from_samples(X[o[a:]]).matrix) @ Omega
        return np.sum(D**2 / np.add.outer(lam, lam)) / 2
    return a * (len(X) - a) / len(X) ** 2 * np.mean([value(o) for o in orders])
# %% q5 wrong: the median of the orders
def sampling_error(X, orders, a):
    M = len(X)
    parts = [(bw.Covariance.from_samples(X[o[:a]]), bw.Covariance.from_samples(X[o[a:]])) for o in orders]
    return a * (M - a) / M**2 * np.median([bw.bures_wasserstein(*pair, squared=True) for pair in parts])

# %% q6 right: another data set with gaps and a constant column, four layers, a wide latent space, lists
from sklearn.datasets import load_wine
holes = load_wine().data.copy()
holes[::17, 3] = np.nan
holes = np.insert(holes, 5, 0.1, axis=1)
Z, kept, mean, scale = prepare(holes)
S = bw.Covariance.from_samples(Z)
widths = (9, 5, 12, 12, 13)
eta = 0.3 / (4 * S.eigenvalues[0] ** 0.75)
start = bw.random_network(widths, scale=0.8, rng=3)
run = bw.gradient_descent(start, bw.BuresLoss(S), eta, max_steps=1500, record_every=100)
W = run.end_to_end[-1]
U = np.linalg.svd(W)[0][:, :5]
angle = np.degrees(np.arcsin(np.linalg.norm(U - S.eigenvectors[:, :5] @ (S.eigenvectors[:, :5].T @ U), 2)))
latent = np.random.default_rng(1).standard_normal((60, 9))
result = {"data": holes.tolist(), "prepared": Z, "start": start.weights, "weights": run.networks[-1].weights, "step": eta,
          "steps": round(run.t[-1] / eta), "rank": 5, "loss": run.loss[-1], "minimum": bw.BuresLoss(S).minimum(5), "angle": angle,
          "latent": latent, "samples": (mean + (latent @ W.T) * scale).tolist()}
# %% q6 right: a loop of one's own, with the full singular value decomposition
Z, kept, mean, scale = prepare(raw)
S = Z.T @ Z / len(Z)
values, vectors = np.linalg.eigh(S)
root = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
generator = np.random.default_rng(8)
layers = [0.2 * generator.standard_normal(shape) for shape in ((10, 6), (10, 10), (30, 10))]
first = [layer.copy() for layer in layers]
for step in range(1200):
    W = layers[2] @ layers[1] @ layers[0]
    A, _, B = np.linalg.svd(root @ W, full_matrices=False)
    G = 2 * (W - root @ A @ B)
    slopes = [(layers[2] @ layers[1]).T @ G, layers[2].T @ G @ layers[0].T, G @ (layers[1] @ layers[0]).T]
    layers = [layer - 0.02 * slope for layer, slope in zip(layers, slopes)]
W = layers[2] @ layers[1] @ layers[0]
cosines = np.linalg.svd(np.linalg.qr(W)[0].T @ vectors[:, -6:])[1]
latent = generator.standard_normal((200, 6))
result = {"data": raw, "prepared": Z, "start": first, "weights": layers, "step": 0.02, "steps": 1200, "rank": 6,
          "loss": bw.BuresLoss(S).value(W), "minimum": values[:-6].sum(), "angle": np.degrees(np.arccos(min(1, cosines.min()))),
          "latent": latent, "samples": mean + scale * np.array([W @ z for z in latent])}
# %% q6 wrong: nothing
result = {}
# %% q6 wrong: constant data
result = {**result, "data": np.ones_like(raw), "prepared": np.zeros_like(raw)}
# %% q6 wrong: one column
result = {**result, "data": raw[:, :1], "prepared": (raw[:, :1] - raw[:, :1].mean()) / raw[:, :1].std()}
# %% q6 wrong: copies of one column, trained
copies = raw[:, [0] * 8]
Z, kept, mean, scale = prepare(copies)
S = bw.Covariance.from_samples(Z)
start = bw.random_network((2, 8, 8, 8), scale=0.7, rng=1)
run = bw.gradient_descent(start, bw.BuresLoss(S), 0.02, max_steps=300, tol=0.0)
W = run.end_to_end[-1]
result = {**result, "data": copies, "prepared": Z, "start": list(start.weights), "weights": list(run.networks[-1].weights), "step": 0.02,
          "steps": 300, "rank": 2, "loss": run.loss[-1], "minimum": 0.0, "angle": 0.0, "latent": result["latent"][:, :2],
          "samples": mean + scale * (result["latent"][:, :2] @ W.T)}
# %% q6 wrong: few rows, repeated
few = np.tile(raw[:30], (3, 1))
Z, kept, mean, scale = prepare(few)
S = bw.Covariance.from_samples(Z)
k = 5
start = bw.random_network((k, 20, 20, 30), scale=0.7, rng=6)
run = bw.gradient_descent(start, bw.BuresLoss(S), 0.025, max_steps=600, tol=0.0)
W = run.end_to_end[-1]
U = np.linalg.svd(W, full_matrices=False)[0]
result = {**result, "data": few, "prepared": Z, "start": list(start.weights), "weights": list(run.networks[-1].weights), "step": 0.025,
          "steps": 600, "rank": k, "loss": run.loss[-1], "minimum": S.eigenvalues[k:].sum(),
          "angle": np.degrees(np.arccos(min(1.0, np.linalg.svd(U.T @ S.eigenvectors[:, :k])[1].min()))),
          "latent": result["latent"][:, :k], "samples": mean + scale * (result["latent"][:, :k] @ W.T)}
# %% q6 wrong: prepared data that do not belong to the raw data, with a network trained on them
generator = np.random.default_rng(2)
noise = generator.standard_normal((569, 3)) @ generator.standard_normal((3, 30)) + generator.standard_normal((569, 30))
Z, kept, mean, scale = prepare(noise)
S = bw.Covariance.from_samples(Z)
start = bw.random_network((3, 8, 8, 30), scale=0.7, rng=1)
run = bw.gradient_descent(start, bw.BuresLoss(S), 0.02, max_steps=500, tol=0.0, record_every=500)
W = run.end_to_end[-1]
U = np.linalg.svd(W, full_matrices=False)[0]
result = {**result, "prepared": Z, "start": list(start.weights), "weights": list(run.networks[-1].weights), "step": 0.02,
          "steps": 500, "rank": 3, "loss": run.loss[-1], "minimum": S.eigenvalues[3:].sum(),
          "angle": np.degrees(np.arccos(min(1.0, np.linalg.svd(U.T @ S.eigenvectors[:, :3])[1].min()))),
          "latent": result["latent"][:, :3], "samples": mean + scale * (result["latent"][:, :3] @ W.T)}
# %% q6 wrong: the best network by formula instead of training
best = bw.balanced_network(S.eigenvectors[:, :k] * np.sqrt(lam[:k]), (k, 20, 20, n))
result = {**result, "weights": list(best.weights), "loss": lam[k:].sum(), "angle": 0.0,
          "samples": mean + scale * (latent @ best.end_to_end().T)}
# %% q6 wrong: a start at the goal
best = list(bw.balanced_network(S.eigenvectors[:, :k] * np.sqrt(lam[:k]), (k, 20, 20, n)).weights)
result = {**result, "start": best, "weights": best, "loss": lam[k:].sum(), "angle": 0.0,
          "samples": mean + scale * (latent @ bw.DeepLinearNetwork(best).end_to_end().T)}
# %% q6 wrong: stopped too early, honestly reported
run = bw.gradient_descent(start, bw.BuresLoss(S), eta, max_steps=60, tol=0.0)
W = run.end_to_end[-1]
U = np.linalg.svd(W, full_matrices=False)[0]
result = {**result, "weights": list(run.networks[-1].weights), "steps": 60, "loss": run.loss[-1],
          "angle": np.degrees(np.arccos(np.linalg.svd(U.T @ S.eigenvectors[:, :k])[1].min())), "samples": mean + scale * (latent @ W.T)}
# %% q6 wrong: another step size than the reported one
result = {**result, "step": 0.5 * eta}
# %% q6 wrong: a number of steps that would never end
result = {**result, "steps": 10**12}
# %% q6 wrong: divisor M - 1 in the standard deviation
shrink = np.sqrt((len(raw) - 1) / len(raw))
result = {**result, "prepared": result["prepared"] * shrink}
# %% q6 wrong: the distance instead of its square
result = {**result, "loss": np.sqrt(result["loss"]), "minimum": np.sqrt(result["minimum"])}
# %% q6 wrong: the minimum of the next rank
result = {**result, "minimum": lam[k + 1:].sum()}
# %% q6 wrong: the angle in radians, of a network that still has one
run = bw.gradient_descent(start, bw.BuresLoss(S), eta, max_steps=150, tol=0.0)
W = run.end_to_end[-1]
U = np.linalg.svd(W, full_matrices=False)[0]
result = {**result, "weights": list(run.networks[-1].weights), "steps": 150, "loss": run.loss[-1],
          "angle": np.arccos(np.linalg.svd(U.T @ S.eigenvectors[:, :k])[1].min()), "samples": mean + scale * (latent @ W.T)}
# %% q6 wrong: the rank of the wish, not of the network
result = {**result, "rank": 10, "minimum": lam[10:].sum()}
# %% q6 wrong: samples in standardised units
result = {**result, "samples": latent @ W.T}
# %% q6 wrong: samples without the means
result = {**result, "samples": scale * (latent @ W.T)}
# %% q6 wrong: data shown as samples
result = {**result, "samples": raw[:len(latent)]}
# %% q6 wrong: one latent vector, repeated
result = {**result, "latent": np.tile(latent[:1], (60, 1)), "samples": mean + scale * np.tile(latent[:1] @ W.T, (60, 1))}
# %% q6 wrong: trained on the raw data
S = bw.Covariance.from_samples(raw)
eta = 0.5 / (3 * S.eigenvalues[0] ** (2 / 3))
start = bw.random_network((7, 20, 20, 30), rng=6)
run = bw.gradient_descent(start, bw.BuresLoss(S), eta, max_steps=500, tol=0.0, record_every=500)
W = run.end_to_end[-1]
result = {**result, "start": list(start.weights), "weights": list(run.networks[-1].weights), "step": eta, "loss": run.loss[-1],
          "minimum": bw.BuresLoss(S).minimum(7), "samples": raw.mean(0) + latent @ W.T}
# %% q6 wrong: trained with the Frobenius loss
step = 0.5 / (4 * 3 * lam[0] ** (5 / 3))
run = bw.gradient_descent(start, bw.FrobeniusLoss(S), step, max_steps=1500, tol=0.0, record_every=1500)
W = run.end_to_end[-1]
result = {**result, "weights": list(run.networks[-1].weights), "step": step, "steps": 1500, "loss": bw.BuresLoss(S).value(W),
          "samples": mean + scale * (latent @ W.T)}
# %% q6 wrong: not a number
result = {**result, "weights": [np.full_like(layer, np.nan) for layer in result["weights"]], "loss": float("nan")}
# %% q6 wrong: few rows, repeated, each with a missing entry
few = raw[:30].copy()
few[np.arange(30), np.arange(30)] = np.nan
few = np.tile(few, (3, 1))
Z, kept, mean, scale = prepare(few)
S = bw.Covariance.from_samples(Z)
k = 5
start = bw.random_network((k, 20, 20, 30), scale=0.7, rng=6)
run = bw.gradient_descent(start, bw.BuresLoss(S), 0.025, max_steps=600, tol=0.0)
W = run.end_to_end[-1]
U = np.linalg.svd(W, full_matrices=False)[0]
result = {**result, "data": few, "prepared": Z, "start": list(start.weights), "weights": list(run.networks[-1].weights), "step": 0.025,
          "steps": 600, "rank": k, "loss": run.loss[-1], "minimum": S.eigenvalues[k:].sum(),
          "angle": np.degrees(np.arccos(min(1.0, np.linalg.svd(U.T @ S.eigenvectors[:, :k])[1].min()))),
          "latent": result["latent"][:, :k], "samples": mean + scale * (result["latent"][:, :k] @ W.T)}
# %% q6 wrong: the best network, made small, as a start
best = bw.balanced_network(S.eigenvectors[:, :k] * np.sqrt(lam[:k]), (k, 20, 20, n))
start = [layer / 2 for layer in best.weights]
run = bw.gradient_descent(bw.DeepLinearNetwork(start), bw.BuresLoss(S), eta, max_steps=500, tol=0.0)
W = run.end_to_end[-1]
result = {**result, "start": start, "weights": list(run.networks[-1].weights), "loss": run.loss[-1], "angle": 0.0,
          "samples": mean + scale * (latent @ W.T)}
# %% q6 wrong: one latent number, used for all coordinates
latent = np.repeat(latent[:, :1], latent.shape[1], axis=1)
result = {**result, "latent": latent, "samples": mean + scale * (latent @ W.T)}
# %% q6 wrong: latent vectors with a mean
latent = latent / 2 + 0.9
result = {**result, "latent": latent, "samples": mean + scale * (latent @ W.T)}
