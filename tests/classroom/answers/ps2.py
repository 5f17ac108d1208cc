# Answers to the questions of problem set 2 that are marked by tests.  Each block takes the place of the model
# solution of its question.  A wrong answer must get no point, a right one all.

# %% q1 right: W = R Q with the library's gradient, then the singular values of R W
def critical_set(Sigma0, W):
    if np.linalg.norm(bw.BuresLoss(Sigma0).gradient(W)) > 1e-6 * np.linalg.norm(W):
        return None
    lam = np.linalg.eigvalsh(Sigma0)[::-1]
    s = np.linalg.svd(bw.sqrtm_psd(Sigma0) @ W, compute_uv=False)
    return sorted(int(np.argmin(abs(lam - x))) for x in s if x > lam[-1] / 2)
# %% q1 right: loops, an array of positions
def critical_set(Sigma0, W):
    target, Sigma = bw.Covariance(Sigma0), W @ W.T
    rest, J = Sigma.copy(), []
    for i, (value, axis) in enumerate(zip(target.eigenvalues, target.eigenvectors.T)):
        if abs(axis @ Sigma @ axis - value) < 1e-6 * value:
            rest -= value * np.outer(axis, axis)
            J.append(i)
    return np.array(J) if np.abs(rest).max() < 1e-6 * np.abs(Sigma).max() else None
# %% q1 right: left singular vectors of W are eigenvectors with the right eigenvalue
def critical_set(Sigma0, W):
    U, s, _ = np.linalg.svd(W, full_matrices=False)
    k = np.linalg.matrix_rank(W, tol=1e-8 * s[0])
    lam, J = np.sort(np.linalg.eigvalsh(Sigma0))[::-1], set()
    for u, x in zip(U.T[:k], s[:k]):
        if np.linalg.norm(Sigma0 @ u - x**2 * u) > 1e-5 * x**2:
            return None
        J.add(int(np.argmin(abs(lam - x**2))))
    return tuple(sorted(J)) if len(J) == k else None
# %% q1 right: the gradient of the Frobenius loss, which has the same critical points
def critical_set(Sigma0, W):
    if np.linalg.norm(Sigma0 @ W - W @ W.T @ W) > 1e-7 * np.linalg.norm(W)**3:
        return None
    lam = np.linalg.eigvalsh(Sigma0)[::-1]
    return sorted(int(np.argmin(abs(lam - x**2))) for x in np.linalg.svd(W, compute_uv=False) if x**2 > lam[-1] / 2)
# %% q1 wrong: goes through all sets
def critical_set(Sigma0, W):
    for point in bw.critical_points(Sigma0, int(np.linalg.matrix_rank(W))):
        if np.allclose(point.covariance, W @ W.T):
            return list(point.indices)
    return None
# %% q1 wrong: compares eigenvalues only
def critical_set(Sigma0, W):
    lam = np.linalg.eigvalsh(Sigma0)[::-1]
    found = [x for x in np.linalg.eigvalsh(W @ W.T)[::-1] if x > lam[-1] / 2]
    J = [int(np.argmin(abs(lam - x))) for x in found]
    return sorted(J) if np.allclose(lam[J], found) else None
# %% q1 wrong: positions in the ascending spectrum
def critical_set(Sigma0, W):
    lam, Omega = np.linalg.eigh(Sigma0)
    J = np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > lam / 2)
    Sigma_J = (Omega[:, J] * lam[J]) @ Omega[:, J].T
    return J.tolist() if np.allclose(W @ W.T, Sigma_J) else None
# %% q1 wrong: positions from one
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    J = np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > lam / 2)
    Sigma_J = (Omega[:, J] * lam[J]) @ Omega[:, J].T
    return (J + 1).tolist() if np.allclose(W @ W.T, Sigma_J) else None
# %% q1 wrong: the axes only, without their lengths
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    C = Omega.T @ W @ W.T @ Omega
    J = np.flatnonzero(np.diag(C) > 1e-9)
    return J.tolist() if np.allclose(C, np.diag(np.diag(C))) else None
# %% q1 wrong: the variances along the axes only
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    variances = np.sum((Omega.T @ W) ** 2, axis=1)
    J = np.flatnonzero(variances > 1e-9)
    return J.tolist() if np.allclose(variances[J], lam[J]) else None
# %% q1 wrong: an invariant subspace with the right trace
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    C = Omega.T @ W @ W.T @ Omega
    J = np.flatnonzero(np.diag(C) > 1e-9)
    good = np.allclose(C, np.diag(np.diag(C))) and np.isclose(np.trace(C), lam[J].sum())
    return J.tolist() if good else None
# %% q1 wrong: commutes with the target and has some of its eigenvalues
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    C = Omega.T @ W @ W.T @ Omega
    J = np.flatnonzero(np.diag(C) > 1e-9)
    good = np.allclose(C, np.diag(np.diag(C))) and np.allclose(np.sort(np.diag(C)[J])[::-1], lam[J])
    return J.tolist() if good else None
# %% q1 wrong: reads the axes off the diagonal of the target
def critical_set(Sigma0, W):
    order = np.argsort(-np.diag(Sigma0))
    variances = np.diag(W @ W.T)[order]
    J = np.flatnonzero(variances > 1e-9)
    return J.tolist() if np.allclose(variances[J], np.diag(Sigma0)[order][J]) else None
# %% q1 wrong: the value of the loss only
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    J = np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > 0.3 * lam)
    missing = np.delete(lam, J).sum()
    return J.tolist() if abs(bw.BuresLoss(Sigma0).value(W) - missing) < 0.3 * lam[0] else None
# %% q1 wrong: the value of the loss and the trace
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    J = np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > lam / 2)
    value = np.isclose(bw.BuresLoss(Sigma0).value(W), np.delete(lam, J).sum(), rtol=1e-6)
    return J.tolist() if value and np.isclose(np.sum(W**2), lam[J].sum(), rtol=1e-6) else None
# %% q1 wrong: W^T (Sigma0 - W W^T) W = 0 is not enough
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    J = np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > lam / 2)
    return J.tolist() if np.allclose(W.T @ Sigma0 @ W, W.T @ W @ W.T @ W) else None
# %% q1 wrong: only the length of W cannot be improved
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    J = np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > lam / 2)
    return J.tolist() if abs(np.sum(W * bw.BuresLoss(Sigma0).gradient(W))) < 1e-8 * np.sum(W**2) else None
# %% q1 wrong: a tolerance that is too large
def critical_set(Sigma0, W):
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    J = np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > lam / 2)
    return J.tolist() if np.linalg.norm(bw.BuresLoss(Sigma0).gradient(W)) < 0.2 * np.linalg.norm(W) else None
# %% q1 wrong: the full polar factor, for k = m only
def critical_set(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W, full_matrices=False)
    if not np.allclose(W, R @ U @ Vt):
        return None
    lam = np.linalg.eigvalsh(Sigma0)[::-1]
    return sorted(int(np.argmin(abs(lam - x))) for x in s)
# %% q1 wrong: in the order of the columns
def critical_set(Sigma0, W):
    if np.linalg.norm(bw.BuresLoss(Sigma0).gradient(W)) > 1e-6 * np.linalg.norm(W):
        return None
    lam = np.linalg.eigvalsh(Sigma0)[::-1]
    lengths = [x for x in np.sum(W**2, axis=0) if x > 1e-9]
    return [int(np.argmin(abs(lam - x))) for x in lengths]
# %% q1 wrong: False where None is asked for
def critical_set(Sigma0, W):
    if np.linalg.norm(bw.BuresLoss(Sigma0).gradient(W)) > 1e-6 * np.linalg.norm(W):
        return False
    lam, Omega = (x[..., ::-1] for x in np.linalg.eigh(Sigma0))
    return np.flatnonzero(np.sum((Omega.T @ W) ** 2, axis=1) > lam / 2).tolist()

# %% q2 right: the thin model and its dense Hessian
def escape(Sigma0, W):
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    k = np.count_nonzero(s > 1e-8 * s[0])
    X, V = U[:, :k] * s[:k], Vt[:k].T
    values, vectors = np.linalg.eigh(bw.BuresLoss(Sigma0).hessian(X))
    return [float(values[0]), vectors[:, 0].reshape(X.shape) @ V.T]
# %% q2 right: singular vectors of R W and of what W misses
def escape(Sigma0, W):
    k = np.linalg.matrix_rank(W, tol=1e-8 * np.linalg.norm(W))
    U, s, Vt = np.linalg.svd(bw.sqrtm_psd(Sigma0) @ W)
    outside = U[:, k:]
    values, vectors = np.linalg.eigh(outside.T @ Sigma0 @ outside)
    return 2 - 2 * values[-1] / s[k - 1], -np.outer(outside @ vectors[:, -1], Vt[k - 1])
# %% q2 right: all pairs, loops
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    best = None
    for i in J:
        for j in range(target.dim):
            if j not in J:
                value = 2 * (1 - target.eigenvalues[j] / target.eigenvalues[i])
                if best is None or value < best[0]:
                    v = W.T @ target.eigenvectors[:, i]
                    best = value, np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
    return best
# %% q2 right: the latent direction by the pseudo-inverse
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    j = min(set(range(target.dim)) - set(J))
    v = np.linalg.pinv(W, rcond=1e-8) @ target.eigenvectors[:, J[-1]]
    return 2 * (1 - target.eigenvalues[j] / target.eigenvalues[J[-1]]), np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
# %% q2 wrong: basis vectors as latent directions
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    j = min(set(range(target.dim)) - set(J))
    e = np.eye(W.shape[1])[len(J) - 1]
    return 2 * (1 - target.eigenvalues[j] / target.eigenvalues[J[-1]]), np.outer(target.eigenvectors[:, j], e)
# %% q2 wrong: with a factor one half
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    j = min(set(range(target.dim)) - set(J))
    v = W.T @ target.eigenvectors[:, J[-1]]
    return 1 - target.eigenvalues[j] / target.eigenvalues[J[-1]], np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
# %% q2 wrong: direction not of norm one
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    j = min(set(range(target.dim)) - set(J))
    v = W.T @ target.eigenvectors[:, J[-1]]
    return 2 * (1 - target.eigenvalues[j] / target.eigenvalues[J[-1]]), np.outer(target.eigenvectors[:, j], v)
# %% q2 wrong: the largest eigenvalue of all instead of the largest one missing
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    v = W.T @ target.eigenvectors[:, J[-1]]
    return 2 * (1 - target.eigenvalues[0] / target.eigenvalues[J[-1]]), np.outer(target.eigenvectors[:, 0], v / np.linalg.norm(v))
# %% q2 wrong: the largest used axis is given up
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    j, i = min(set(range(target.dim)) - set(J)), J[0]
    v = W.T @ target.eigenvectors[:, i]
    return 2 * (1 - target.eigenvalues[j] / target.eigenvalues[i]), np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
# %% q2 wrong: the first negative direction
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    i, j = next((i, j) for i in J for j in range(target.dim) if j not in J and j < i)
    v = W.T @ target.eigenvectors[:, i]
    return 2 * (1 - target.eigenvalues[j] / target.eigenvalues[i]), np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
# %% q2 wrong: the nearest larger axis that is missing
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    i, j = max(((i, j) for i in J for j in range(i) if j not in J))
    v = W.T @ target.eigenvectors[:, i]
    return 2 * (1 - target.eigenvalues[j] / target.eigenvalues[i]), np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
# %% q2 wrong: the ratio upside down
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    j, i = min(set(range(target.dim)) - set(J)), J[-1]
    v = W.T @ target.eigenvectors[:, i]
    return 2 * (1 - target.eigenvalues[i] / target.eigenvalues[j]), np.outer(target.eigenvectors[:, j], v / np.linalg.norm(v))
# %% q2 wrong: the Frobenius loss
def escape(Sigma0, W):
    values, vectors = np.linalg.eigh(bw.FrobeniusLoss(Sigma0).hessian(W))
    return values[0], vectors[:, 0].reshape(W.shape)
# %% q2 wrong: the dense Hessian, for k = m only
def escape(Sigma0, W):
    values, vectors = np.linalg.eigh(bw.BuresLoss(Sigma0).hessian(W))
    return values[0], vectors[:, 0].reshape(W.shape)
# %% q2 wrong: a little smoothing, and directions that leave the manifold
def escape(Sigma0, W):
    values, vectors = np.linalg.eigh(bw.BuresLoss(Sigma0, 1e-8).hessian(W))
    return values[0], vectors[:, 0].reshape(W.shape)
# %% q2 wrong: the direction in which the model already is
def escape(Sigma0, W):
    target, J = bw.Covariance(Sigma0), critical_set(Sigma0, W)
    j, i = min(set(range(target.dim)) - set(J)), J[-1]
    v = W.T @ target.eigenvectors[:, i]
    D = np.outer(target.eigenvectors[:, j] - target.eigenvectors[:, i], v)
    return 2 * (1 - target.eigenvalues[j] / target.eigenvalues[i]), D / np.linalg.norm(D)

# %% q3 right: the loss, less what no direction reaches
def steepest_slope(Sigma0, W):
    n, m = W.shape
    squared = bw.BuresLoss(Sigma0).value(W)
    if m < n:
        U, s, _ = np.linalg.svd(bw.sqrtm_psd(Sigma0) @ W)
        outside = U[:, np.count_nonzero(s > 1e-3):]
        squared -= np.linalg.eigvalsh(outside.T @ Sigma0 @ outside)[:n - m].sum()
    return -2 * np.sqrt(max(squared, 0.0))
# %% q3 right: the longest gradient of a touching paraboloid, with its contraction
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    outside = U[:, r:]
    E = np.linalg.eigh(outside.T @ Sigma0 @ outside)[1][:, ::-1]
    p = min(W.shape) - r
    K = E[:, :p] @ np.eye(p, W.shape[1] - r)
    M = U[:, :r] @ Vt[:r] + outside @ K @ Vt[r:]
    return -np.linalg.norm(2 * (W - R @ M))
# %% q3 right: the library's gradient and singular values
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, _ = np.linalg.svd(R @ W)
    r = np.linalg.matrix_rank(R @ W, tol=1e-6)
    kinks = np.linalg.svd(R @ U[:, r:], compute_uv=False)
    total = np.linalg.norm(bw.BuresLoss(Sigma0).gradient(W)) ** 2
    for a, x in enumerate(kinks):
        if a < W.shape[1] - r:
            total += 4 * x**2
    return float(-total**0.5)
# %% q3 wrong: the library's gradient, which does not see the kink
def steepest_slope(Sigma0, W):
    return -np.linalg.norm(bw.BuresLoss(Sigma0).gradient(W))
# %% q3 wrong: right for m >= n only
def steepest_slope(Sigma0, W):
    return -2 * np.sqrt(bw.BuresLoss(Sigma0).value(W))
# %% q3 wrong: the price of the best rank subtracted
def steepest_slope(Sigma0, W):
    loss = bw.BuresLoss(Sigma0)
    return -2 * np.sqrt(max(0.0, loss.value(W) - loss.minimum(min(W.shape))))
# %% q3 wrong: only one direction out of the rank
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    mu = np.linalg.eigvalsh(U[:, r:].T @ Sigma0 @ U[:, r:])[::-1]
    return -2 * np.sqrt(np.sum(tangent**2) + (mu[0] if r < min(W.shape) else 0.0))
# %% q3 wrong: the complement of W instead of that of R W
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    outside = np.linalg.svd(W)[0][:, r:]
    mu = np.linalg.eigvalsh(outside.T @ Sigma0 @ outside)[::-1]
    return -2 * np.sqrt(np.sum(tangent**2) + mu[:min(W.shape) - r].sum())
# %% q3 wrong: the rank of W instead of that of R W
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = np.linalg.matrix_rank(W, tol=1e-3)
    mu = np.linalg.eigvalsh(U[:, r:].T @ Sigma0 @ U[:, r:])[::-1]
    return -2 * np.sqrt(np.sum((W - R @ bw.polar(R @ W))**2) + max(0.0, mu[:min(W.shape) - r].sum()))
# %% q3 wrong: small singular values taken for zero
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 0.1))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    mu = np.linalg.eigvalsh(U[:, r:].T @ Sigma0 @ U[:, r:])[::-1]
    return -2 * np.sqrt(np.sum(tangent**2) + mu[:min(W.shape) - r].sum())
# %% q3 wrong: the nuclear norm of R U_perp instead of the Frobenius norm
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    kink = np.linalg.svd(R @ U[:, r:], compute_uv=False)[:min(W.shape) - r].sum()
    return -2 * np.sqrt(np.sum(tangent**2) + kink**2)
# %% q3 wrong: lengths added, not squares
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    mu = np.linalg.eigvalsh(U[:, r:].T @ Sigma0 @ U[:, r:])[::-1]
    return -2 * np.linalg.norm(tangent) - 2 * np.sqrt(mu[:min(W.shape) - r].sum())
# %% q3 wrong: the factor two forgotten
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    mu = np.linalg.eigvalsh(U[:, r:].T @ Sigma0 @ U[:, r:])[::-1]
    return -np.sqrt(np.sum(tangent**2) + mu[:min(W.shape) - r].sum())
# %% q3 wrong: the norm instead of the slope
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    mu = np.linalg.eigvalsh(U[:, r:].T @ Sigma0 @ U[:, r:])[::-1]
    return 2 * np.sqrt(np.sum(tangent**2) + mu[:min(W.shape) - r].sum())
# %% q3 wrong: the smallest eigenvalues instead of the largest
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    mu = np.linalg.eigvalsh(U[:, r:].T @ Sigma0 @ U[:, r:])
    return -2 * np.sqrt(max(0.0, np.sum(tangent**2) + mu[:min(W.shape) - r].sum()))
# %% q3 wrong: the full polar factor, some completion
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W, full_matrices=False)
    return -2 * np.linalg.norm(W - R @ U @ Vt)
# %% q3 wrong: eigenvalues of the target, right if W is aligned with it
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    lam = np.linalg.eigvalsh(Sigma0)[::-1]
    return -2 * np.sqrt(np.sum(tangent**2) + lam[r:min(W.shape)].sum())
# %% q3 wrong: the best of many random directions
def steepest_slope(Sigma0, W):
    rng, loss, t = np.random.default_rng(0), bw.BuresLoss(Sigma0), 1e-6
    D = rng.standard_normal((3000, *W.shape))
    D /= np.linalg.norm(D, axis=(1, 2), keepdims=True)
    return np.min(loss.value(W + t * D) - loss.value(W)) / t
# %% q3 wrong: inverts the target
def steepest_slope(Sigma0, W):
    R = bw.sqrtm_psd(Sigma0)
    inverse = np.linalg.inv(R)
    U, s, Vt = np.linalg.svd(R @ W)
    r = int(np.sum(s > 1e-3))
    tangent = W - R @ U[:, :r] @ Vt[:r]
    D = inverse @ U[:, r:] @ np.eye(W.shape[0] - r, W.shape[1] - r) @ Vt[r:]
    kink = 2 * (W.shape[1] - r) / np.linalg.norm(D) if D.any() else 0.0
    return -np.sqrt(4 * np.sum(tangent**2) + kink**2)

# %% q4 right: normal equations for a multiplier X
def lift(weights, D):
    before, after = [np.eye(weights[0].shape[1])], [np.eye(weights[-1].shape[0])]
    for W in weights[:-1]:
        before.append(W @ before[-1])
    for W in reversed(weights[1:]):
        after.append(after[-1] @ W)
    after.reverse()
    A = sum(np.kron(S @ S.T, P.T @ P) for S, P in zip(after, before))
    X = (np.linalg.pinv(A, rcond=1e-10) @ D.ravel()).reshape(D.shape)
    return [S.T @ X @ P.T for S, P in zip(after, before)]
# %% q4 right: the Jacobian column by column
def lift(weights, D):
    def end(layers):
        product = layers[0]
        for W in layers[1:]:
            product = W @ product
        return product
    columns = []
    for j, W in enumerate(weights):
        for a in range(W.shape[0]):
            for b in range(W.shape[1]):
                E = np.zeros(W.shape)
                E[a, b] = 1
                columns.append(end([*weights[:j], E, *weights[j + 1:]]).ravel())
    U, s, Vt = np.linalg.svd(np.array(columns).T, full_matrices=False)
    keep = s > 1e-10 * s[0]
    z, result = Vt[keep].T @ ((U.T @ D.ravel())[keep] / s[keep]), []
    for W in weights:
        result.append(z[:W.size].reshape(W.shape))
        z = z[W.size:]
    return tuple(result)
# %% q4 right: conjugate gradients from zero
def lift(weights, D):
    from scipy.sparse.linalg import LinearOperator, lsqr
    net, sizes = bw.DeepLinearNetwork(weights), [W.size for W in weights]
    cuts = np.cumsum(sizes)[:-1]
    def forward(z):
        P, change = np.eye(net.widths[0]), np.zeros((net.widths[0],) * 2)
        for W, part in zip(weights, np.split(np.ravel(z), cuts)):
            P, change = W @ P, W @ change + part.reshape(W.shape) @ P
        return change.ravel()
    def backward(x):
        return np.concatenate([G.ravel() for G in net.layer_gradients(np.reshape(x, D.shape))])
    operator = LinearOperator((D.size, sum(sizes)), matvec=forward, rmatvec=backward)
    z = lsqr(operator, D.ravel(), atol=1e-14, btol=1e-14, iter_lim=5000)[0]
    return [part.reshape(W.shape) for part, W in zip(np.split(z, cuts), weights)]
# %% q4 wrong: the last layer alone
def lift(weights, D):
    P = np.eye(weights[0].shape[1])
    for W in weights[:-1]:
        P = W @ P
    return [*(np.zeros(W.shape) for W in weights[:-1]), D @ np.linalg.pinv(P, rcond=1e-10)]
# %% q4 wrong: the first and the last layer only
def lift(weights, D):
    if len(weights) == 1:
        return [D]
    P, S = np.eye(weights[0].shape[1]), np.eye(weights[-1].shape[0])
    for W in weights[:-1]:
        P = W @ P
    for W in reversed(weights[1:]):
        S = S @ W
    A = np.hstack([np.kron(S, np.eye(P.shape[1])), np.kron(np.eye(len(D)), P.T)])
    first, last = np.split(np.linalg.lstsq(A, D.ravel(), rcond=1e-10)[0], [weights[0].size])
    return [first.reshape(weights[0].shape), *(np.zeros(W.shape) for W in weights[1:-1]), last.reshape(weights[-1].shape)]
# %% q4 wrong: inverts a matrix that may be singular
def lift(weights, D):
    before, after = [np.eye(weights[0].shape[1])], [np.eye(weights[-1].shape[0])]
    for W in weights[:-1]:
        before.append(W @ before[-1])
    for W in reversed(weights[1:]):
        after.append(after[-1] @ W)
    after.reverse()
    A = sum(np.kron(S @ S.T, P.T @ P) for S, P in zip(after, before))
    X = np.linalg.solve(A, D.ravel()).reshape(D.shape)
    return [S.T @ X @ P.T for S, P in zip(after, before)]
# %% q4 wrong: each layer takes an equal share
def lift(weights, D):
    result, N = [], len(weights)
    for j, W in enumerate(weights):
        S, P = np.eye(weights[-1].shape[0]), np.eye(weights[0].shape[1])
        for A in weights[:j]:
            P = A @ P
        for A in weights[:j:-1]:
            S = S @ A
        result.append(np.linalg.pinv(S, rcond=1e-10) @ D @ np.linalg.pinv(P, rcond=1e-10) / N)
    return result
# %% q4 wrong: the layer gradients
def lift(weights, D):
    return bw.DeepLinearNetwork(weights).layer_gradients(D)
# %% q4 wrong: the layer gradients, scaled
def lift(weights, D):
    net = bw.DeepLinearNetwork(weights)
    Z = net.layer_gradients(D)
    P, change = np.eye(net.widths[0]), np.zeros((net.widths[0],) * 2)
    for W, A in zip(weights, Z):
        P, change = W @ P, W @ change + A @ P
    scale = np.sum(D * D) / np.sum(change * D)
    return [scale * A for A in Z]
# %% q4 wrong: columns stacked in one place, rows in the other
def lift(weights, D):
    before, after = [np.eye(weights[0].shape[1])], [np.eye(weights[-1].shape[0])]
    for W in weights[:-1]:
        before.append(W @ before[-1])
    for W in reversed(weights[1:]):
        after.append(after[-1] @ W)
    after.reverse()
    A = np.hstack([np.kron(P.T, S) for S, P in zip(after, before)])
    z = np.linalg.lstsq(A, D.ravel(), rcond=1e-10)[0]
    return [part.reshape(W.shape) for part, W in zip(np.split(z, np.cumsum([W.size for W in weights])[:-1]), weights)]
# %% q4 wrong: a solution, but not the smallest
def lift(weights, D):
    import scipy.linalg
    before, after = [np.eye(weights[0].shape[1])], [np.eye(weights[-1].shape[0])]
    for W in weights[:-1]:
        before.append(W @ before[-1])
    for W in reversed(weights[1:]):
        after.append(after[-1] @ W)
    after.reverse()
    A = np.hstack([np.kron(S, P.T) for S, P in zip(after, before)])
    Q, T, order = scipy.linalg.qr(A, mode="economic", pivoting=True)
    rank = int(np.sum(abs(np.diag(T)) > 1e-10 * abs(T[0, 0])))
    z = np.zeros(A.shape[1])
    z[order[:rank]] = np.linalg.solve(T[:rank, :rank], (Q.T @ D.ravel())[:rank])
    return [part.reshape(W.shape) for part, W in zip(np.split(z, np.cumsum([W.size for W in weights])[:-1]), weights)]
# %% q4 wrong: regularised
def lift(weights, D):
    before, after = [np.eye(weights[0].shape[1])], [np.eye(weights[-1].shape[0])]
    for W in weights[:-1]:
        before.append(W @ before[-1])
    for W in reversed(weights[1:]):
        after.append(after[-1] @ W)
    after.reverse()
    A = np.hstack([np.kron(S, P.T) for S, P in zip(after, before)])
    z = np.linalg.solve(A.T @ A + 1e-3 * np.eye(A.shape[1]), A.T @ D.ravel())
    return [part.reshape(W.shape) for part, W in zip(np.split(z, np.cumsum([W.size for W in weights])[:-1]), weights)]
# %% q4 wrong: products in the wrong order, for square layers only
def lift(weights, D):
    before, after = [np.eye(weights[0].shape[1])], [np.eye(weights[-1].shape[0])]
    for W in weights[:-1]:
        before.append(before[-1] @ W)
    for W in reversed(weights[1:]):
        after.append(W @ after[-1])
    A = np.hstack([np.kron(S, P.T) for S, P in zip(after[::-1], before)])
    z = np.linalg.lstsq(A, D.ravel(), rcond=1e-10)[0]
    return [part.reshape(W.shape) for part, W in zip(np.split(z, np.cumsum([W.size for W in weights])[:-1]), weights)]
# %% q4 wrong: the layer itself among those before
def lift(weights, D):
    before, after, P = [], [np.eye(weights[-1].shape[0])], np.eye(weights[0].shape[1])
    for W in weights:
        P = W @ P
        before.append(P)
    for W in reversed(weights[1:]):
        after.append(after[-1] @ W)
    A = np.hstack([np.kron(S, P.T) for S, P in zip(after[::-1], before)])
    z = np.linalg.lstsq(A, D.ravel(), rcond=1e-10)[0]
    return [part.reshape(W.shape) for part, W in zip(np.split(z, np.cumsum([W.size for W in weights])[:-1]), weights)]

# %% q5 right: the closed form of the values, loops
def traps(Sigma0, tau, widths):
    lam = sorted(np.linalg.eigvalsh(Sigma0), reverse=True)
    p, q = sum(x > tau for x in lam), sum(x < tau for x in lam)
    hidden = list(widths)[1:-1]
    values = []
    for r in range(min(min(widths), p)):
        if hidden and min(hidden) <= q + r:
            values.append(sum((np.sqrt(x) - np.sqrt(tau)) ** 2 for x in lam[r:]))
    return sorted(values)
# %% q5 right: the library's critical values, an array
def traps(Sigma0, tau, widths):
    target = bw.Covariance(Sigma0)
    if tau == 0 or len(widths) == 2:
        return np.array([])
    p = int((target.eigenvalues > tau + 1e-12).sum())
    q = int((target.eigenvalues < tau - 1e-12).sum())
    low, high = max(0, min(widths[1:-1]) - q), min(min(widths), p)
    best = {len(x.indices): x.value for x in bw.critical_points(target, max(high, 1), tau=tau)[::-1]}
    return np.array([best[r] for r in range(high - 1, low - 1, -1)])
# %% q5 wrong: the ranks instead of the values
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [r for r in range(min(k, p)) if d <= q + r]
# %% q5 wrong: in descending order
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in range(min(k, p)) if d <= q + r]
# %% q5 wrong: the global minimum as well
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(min(k, p) + 1)) if d <= q + r]
# %% q5 wrong: not without a trap of rank zero
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(1, min(k, p))) if d <= q + r]
# %% q5 wrong: only the largest rank
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    r = min(k, p) - 1
    return [bw.BuresLoss(Sigma0, tau).minimum(r)] if r >= 0 and d <= q + r else []
# %% q5 wrong: a strict inequality
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(min(k, p))) if d < q + r]
# %% q5 wrong: ranks up to p
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    d = min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(p)) if tau > 0 and d <= q + r]
# %% q5 wrong: how much is lost, not the value
def traps(Sigma0, tau, widths):
    lam, loss = np.linalg.eigvalsh(Sigma0), bw.BuresLoss(Sigma0, tau)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [loss.minimum(r) - loss.minimum(k) for r in reversed(range(min(k, p))) if d <= q + r]
# %% q5 wrong: the smallest of all widths as the hidden width
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q, k = np.sum(lam > tau), np.sum(lam < tau), min(widths)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(min(k, p))) if k <= q + r and len(widths) > 2]
# %% q5 wrong: the bottleneck among the hidden layers only
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    d = min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(int(min(d, p)))) if d <= q + r]
# %% q5 wrong: an eigenvalue equal to tau counted as below
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam <= tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(min(k, p))) if d <= q + r]
# %% q5 wrong: an eigenvalue equal to tau counted as above
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam >= tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(min(k, p))) if d <= q + r]
# %% q5 wrong: no hidden layer taken for a hidden layer of width zero
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=0)
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(min(k, p))) if d <= q + r and tau > 0]
# %% q5 wrong: the unsmoothed values
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    p, q = np.sum(lam > tau), np.sum(lam < tau)
    k, d = min(widths), min(widths[1:-1], default=np.inf)
    return [bw.BuresLoss(Sigma0).minimum(r) for r in reversed(range(min(k, p))) if d <= q + r]
# %% q5 wrong: a bad minimum as soon as tau exceeds the smallest eigenvalue
def traps(Sigma0, tau, widths):
    lam = np.linalg.eigvalsh(Sigma0)
    if not lam[0] < tau < lam[-1]:
        return []
    k = min(min(widths), np.sum(lam > tau))
    return [bw.BuresLoss(Sigma0, tau).minimum(r) for r in reversed(range(k)) if min(widths[1:-1], default=99) < len(lam)]
