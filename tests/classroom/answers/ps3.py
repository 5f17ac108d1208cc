# Answers to the questions of problem set 3 that are marked by tests.  Each block takes the place of the model
# solution of its question.  A wrong answer must get no point, a right one all.

# %% q1 right: basis from a truncated SVD, residual of the factors, gradient through the transport map
def spiked_loss(W, tau, A, sigma):
    U, s, _ = np.linalg.svd(np.hstack([W, A]), full_matrices=False)
    Q = U[:, s > 1e-12 * s[0]]
    w, B = Q.T @ W, Q.T @ A
    I = np.eye(Q.shape[1])
    Sigma_tau, Sigma0 = w @ w.T + tau * I, B @ B.T + sigma * I
    outside = (np.sqrt(tau) - np.sqrt(sigma))**2
    value = bw.bures_wasserstein(Sigma_tau, Sigma0, squared=True) + (len(W) - len(I)) * outside
    return value, Q @ (2 * (I - bw.transport_map(Sigma_tau, Sigma0)) @ w)
# %% q1 right: re-aligned factors, with the complement as one number
def spiked_loss(W, tau, A, sigma):
    Q = np.linalg.qr(np.hstack([A, W]))[0]
    d = Q.shape[1]
    X = np.hstack([Q.T @ W, np.sqrt(tau) * np.eye(d)])
    F = np.linalg.cholesky(Q.T @ A @ A.T @ Q + sigma * np.eye(d))
    U, _, Vt = np.linalg.svd(F.T @ X, full_matrices=False)
    residual = X - F @ U @ Vt
    rest = (tau - sigma)**2 / (np.sqrt(tau) + np.sqrt(sigma))**2
    return float(np.sum(residual**2) + (W.shape[0] - d) * rest), 2 * Q @ residual[:, :W.shape[1]]
# %% q1 right: one vector of the complement stands for all
def spiked_loss(W, tau, A, sigma):
    n = len(W)
    Q = np.linalg.qr(np.hstack([W, A]))[0]
    d = Q.shape[1]
    B, w = np.vstack([Q.T @ A, np.zeros((1, A.shape[1]))]), np.vstack([Q.T @ W, np.zeros((1, W.shape[1]))])
    larger = bw.BuresLoss(B @ B.T + sigma * np.eye(d + 1), tau)
    smaller = bw.BuresLoss(B[:d] @ B[:d].T + sigma * np.eye(d), tau)
    one = bw.BuresLoss([[sigma]], tau).value([[0.0]])
    return smaller.value(w[:d]) + (n - d) * one, Q @ larger.gradient(w)[:d]
# %% q1 wrong: the complement is forgotten
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value, Q @ gradient
# %% q1 wrong: the complement has n - k - q dimensions, also if that is negative
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - W.shape[1] - A.shape[1]) * (np.sqrt(tau) - np.sqrt(sigma))**2, Q @ gradient
# %% q1 wrong: traces minus nuclear norm
def spiked_loss(W, tau, A, sigma):
    n = len(W)
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    d, B, w = Q.shape[1], Q.T @ A, Q.T @ W
    R = bw.sqrtm_psd(B @ B.T + sigma * np.eye(d))
    nuclear = np.sum(np.linalg.svd(R @ np.hstack([w, np.sqrt(tau) * np.eye(d)]), compute_uv=False))
    value = np.sum(W**2) + n * tau + np.sum(A**2) + n * sigma - 2 * nuclear - 2 * (n - d) * np.sqrt(tau * sigma)
    return value, Q @ bw.BuresLoss(R @ R, tau).gradient(w)
# %% q1 wrong: the complement as a difference that cancels
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - Q.shape[1]) * (tau + sigma - 2 * np.sqrt(tau * sigma)), Q @ gradient
# %% q1 wrong: n x n matrices
def spiked_loss(W, tau, A, sigma):
    return bw.BuresLoss(A @ A.T + sigma * np.eye(len(A)), tau).value_and_gradient(W)
# %% q1 wrong: variances of the noise compared instead of their roots
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - Q.shape[1]) * (tau - sigma)**2, Q @ gradient
# %% q1 wrong: the directions of the target only
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(A)
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - Q.shape[1]) * (np.sqrt(tau) - np.sqrt(sigma))**2, Q @ gradient
# %% q1 wrong: no factor two in the gradient
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - Q.shape[1]) * (np.sqrt(tau) - np.sqrt(sigma))**2, Q @ gradient / 2
# %% q1 wrong: the gradient of the loss without smoothing
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    Sigma0 = B @ B.T + sigma * np.eye(Q.shape[1])
    value = bw.BuresLoss(Sigma0, tau).value(Q.T @ W) + (len(W) - Q.shape[1]) * (np.sqrt(tau) - np.sqrt(sigma))**2
    return value, Q @ bw.BuresLoss(Sigma0).gradient(Q.T @ W)
# %% q1 wrong: the noise of the target forgotten
def spiked_loss(W, tau, A, sigma):
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T, tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - Q.shape[1]) * tau, Q @ gradient
# %% q1 wrong: a basis that needs independent columns
def spiked_loss(W, tau, A, sigma):
    X = np.hstack([W, A])
    Q = np.linalg.solve(np.linalg.cholesky(X.T @ X), X.T).T
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - Q.shape[1]) * (np.sqrt(tau) - np.sqrt(sigma))**2, Q @ gradient
# %% q1 wrong: drops a column that is small
def spiked_loss(W, tau, A, sigma):
    U, s, _ = np.linalg.svd(np.hstack([W, A]), full_matrices=False)
    Q = U[:, s > 1e-3 * s[0]]
    B = Q.T @ A
    value, gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).value_and_gradient(Q.T @ W)
    return value + (len(W) - Q.shape[1]) * (np.sqrt(tau) - np.sqrt(sigma))**2, Q @ gradient
# %% q1 wrong: sorted singular values, as if W and A had the same singular vectors
def spiked_loss(W, tau, A, sigma):
    a, b = (np.pad(np.linalg.svd(X, compute_uv=False)**2, (0, len(W)))[:len(W)] for X in (W, A))
    Q, _ = np.linalg.qr(np.hstack([W, A]))
    B = Q.T @ A
    gradient = bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).gradient(Q.T @ W)
    return np.sum((np.sqrt(a + tau) - np.sqrt(b + sigma))**2), Q @ gradient
# %% q1 wrong: traces and eigenvalues of a small product, which cancel
def spiked_loss(W, tau, A, sigma):
    (n, k), q, both = W.shape, A.shape[1], np.hstack([W, A])
    K = np.block([[sigma * np.eye(k), W.T @ A], [np.zeros((q, k)), tau * np.eye(q)]])
    roots = np.sqrt(np.linalg.eigvals(tau * sigma * np.eye(k + q) + K @ both.T @ both).real)
    value = np.sum(both**2) + n * (tau + sigma) - 2 * np.sum(roots) - 2 * (n - k - q) * np.sqrt(tau * sigma)
    Q, _ = np.linalg.qr(both)
    B = Q.T @ A
    return value, Q @ bw.BuresLoss(B @ B.T + sigma * np.eye(Q.shape[1]), tau).gradient(Q.T @ W)

# %% q2 right: bisection with the geometric mean
def largest_tau(target, k, budget):
    lam = sorted(np.linalg.eigvalsh(target), reverse=True)[:k]

    def loss(tau):
        total = 0.0
        for x in lam:
            total += x if tau >= x else (tau / (x**0.5 + (x - tau)**0.5))**2
        return total

    low, high = budget / k, lam[0]
    for _ in range(300):
        middle = (low * high)**0.5
        low, high = (middle, high) if loss(middle) <= budget else (low, middle)
    return low
# %% q2 right: first the interval between two eigenvalues, then Newton's method in logarithms
def largest_tau(target, k, budget):
    lam = bw.Covariance(target).eigenvalues[:k]
    root = lambda tau: np.sqrt(np.maximum(lam - tau, 0))
    cut = lambda tau: np.sum((np.minimum(lam, tau) / (np.sqrt(lam) + root(tau)))**2)
    low = max([x for x in lam if cut(x) <= budget], default=budget / k)
    high = min(x for x in lam if cut(x) > budget)
    tau = (low + high) / 2
    for _ in range(200):
        low, high = (tau, high) if cut(tau) <= budget else (low, tau)
        above = lam > tau
        slope = np.sum(tau / ((np.sqrt(lam) + root(tau)) * np.where(above, root(tau), 1.0)), where=above)
        newton = tau * (budget / cut(tau))**(cut(tau) / (tau * slope))
        tau = newton if low < newton < high else (low * high)**0.5
    return tau
# %% q2 right: SciPy's bisection with a relative tolerance only
def largest_tau(target, k, budget):
    from scipy.optimize import bisect
    roots = np.sqrt(np.linalg.svd(target, compute_uv=False)[:k])
    drop = lambda tau: np.where(roots**2 > tau, tau / (roots + np.sqrt(np.maximum(roots**2 - tau, 0))), roots)
    return bisect(lambda tau: np.linalg.norm(drop(tau)) - np.sqrt(budget), budget / k, 1.1 * roots[0]**2, xtol=1e-300, rtol=1e-14, maxiter=2000)
# %% q2 right: the unknown in units of the leading term
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    unit = 2 * np.sqrt(budget / np.sum(1 / lam))
    def surplus(x):
        lost = np.minimum(lam, x * unit)
        return np.linalg.norm(lost / (np.sqrt(lam) + np.sqrt(lam - lost))) / np.sqrt(budget) - 1
    return unit * brentq(surplus, 1e-3, max(2.0, 2 * lam[0] / unit))
# %% q2 wrong: the leading term for small tau
def largest_tau(target, k, budget):
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    return 2 * np.sqrt(budget / np.sum(1 / lam))
# %% q2 wrong: all eigenvalues
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[::-1]
    f = lambda x: np.log(np.sum((np.minimum(lam, np.exp(x)) / (np.sqrt(lam) + np.sqrt(lam - np.minimum(lam, np.exp(x)))))**2)) - np.log(budget)
    return np.exp(brentq(f, np.log(budget / len(lam)), np.log(2 * lam[0]), xtol=1e-14))
# %% q2 wrong: the smallest eigenvalues
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[:k]
    f = lambda x: np.log(np.sum((np.minimum(lam, np.exp(x)) / (np.sqrt(lam) + np.sqrt(lam - np.minimum(lam, np.exp(x)))))**2)) - np.log(budget)
    return np.exp(brentq(f, np.log(budget / len(lam)) - 60, np.log(2 * lam[-1]), xtol=1e-14))
# %% q2 wrong: the distance instead of its square
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    f = lambda x: np.log(np.sum((np.minimum(lam, np.exp(x)) / (np.sqrt(lam) + np.sqrt(lam - np.minimum(lam, np.exp(x)))))**2)) - 2 * np.log(budget)
    return np.exp(brentq(f, -120, np.log(2 * lam[0]), xtol=1e-14))
# %% q2 wrong: a difference of roots that cancels
def largest_tau(target, k, budget):
    from scipy.optimize import bisect
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    f = lambda tau: np.sum((np.sqrt(lam) - np.sqrt(np.maximum(lam - tau, 0)))**2) - budget
    return bisect(f, budget / k / 2, 2 * lam[0], xtol=1e-300, rtol=1e-14, maxiter=2000)
# %% q2 wrong: the budget shared evenly
def largest_tau(target, k, budget):
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    return np.min(2 * np.sqrt(lam * budget / k) - budget / k)
# %% q2 wrong: the largest eigenvalue pays alone
def largest_tau(target, k, budget):
    top = np.linalg.eigvalsh(target)[-1]
    return top - max(np.sqrt(top) - np.sqrt(budget), 0)**2
# %% q2 wrong: an absolute tolerance
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    f = lambda tau: np.sum((np.minimum(lam, tau) / (np.sqrt(lam) + np.sqrt(lam - np.minimum(lam, tau))))**2) - budget
    return brentq(f, 0, 2 * lam[0])
# %% q2 wrong: never above the smallest eigenvalue used
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    f = lambda x: np.log(np.sum((np.exp(x) / (np.sqrt(lam) + np.sqrt(lam - np.exp(x))))**2)) - np.log(budget)
    top = np.log(lam[-1]) - 1e-15
    return lam[-1] if f(top) <= 0 else np.exp(brentq(f, np.log(budget / k), top, xtol=1e-14))
# %% q2 wrong: the trace that is missing
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[::-1][:k]
    return brentq(lambda tau: np.sum(np.minimum(lam, tau)) - budget, budget / k / 2, 2 * lam[0], xtol=1e-300)
# %% q2 wrong: the change of the minimum, not the excess of the minimiser
def largest_tau(target, k, budget):
    from scipy.optimize import brentq
    lam = np.linalg.eigvalsh(target)[::-1]
    start = bw.BuresLoss(target).minimum(k)
    f = lambda tau: abs(bw.BuresLoss(target, tau).minimum(k) - start) - budget
    taus = np.geomspace(1e-12, 4 * lam[0], 4000)
    return max([t for t in taus if f(t) <= 0], default=1e-12)
# %% q2 wrong: distances of the library, which are not precise enough for tiny budgets
def largest_tau(target, k, budget):
    best = bw.best_low_rank(target, k)
    low, high = 0.0, 2 * np.trace(target)
    for _ in range(200):
        middle = (low + high) / 2
        distance = bw.bures_wasserstein(bw.best_low_rank(target, k, tau=middle), best, squared=True)
        low, high = (middle, high) if distance <= budget else (low, middle)
    return low

# %% q3 right: Hessian-vector products of the library
def unused_curvatures(W, target, tau):
    v = np.linalg.svd(W)[2][-1]
    moves = np.stack([np.outer(e, v) for e in np.eye(len(W))])
    M = bw.BuresLoss(target, tau).hessian_vector_product(W, moves) @ v
    return np.linalg.eigvalsh((M + M.T) / 2)
# %% q3 right: the other formula of the transport map, with the roots of Sigma_tau known from the SVD of W
def unused_curvatures(W, target, tau):
    n = len(W)
    U, s, _ = np.linalg.svd(W)
    root = np.sqrt(np.concatenate([s**2, np.zeros(n)])[:n] + tau)
    F = np.linalg.cholesky(target)
    _, S, Vt = np.linalg.svd(F.T @ (U * root))
    X = (Vt * np.sqrt(S)[:, None]) / root
    return np.sort(2 - 2 * np.linalg.svd(X, compute_uv=False)**2)
# %% q3 right: the quadratic form with singular vectors, entry by entry
def unused_curvatures(W, target, tau):
    n, m = W.shape
    v = np.linalg.svd(W)[2][-1]
    R = bw.sqrtm_psd(target)
    U, s, Vt = np.linalg.svd(np.hstack([R @ W, np.sqrt(tau) * R]), full_matrices=False)
    outside = np.eye(m + n) - Vt.T @ Vt
    M = np.empty((n, n))
    E = [np.hstack([R @ np.outer(e, v), np.zeros((n, n))]) for e in np.eye(n)]
    for a in range(n):
        for b in range(n):
            Ka, Kb = U.T @ E[a] @ Vt.T, U.T @ E[b] @ Vt.T
            inner = np.sum((Ka - Ka.T) * (Kb - Kb.T) / np.add.outer(s, s))
            outer = np.sum((U.T @ E[a] @ outside) * (U.T @ E[b] @ outside) / s[:, None])
            M[a, b] = 2 * (a == b) - inner - 2 * outer
    return np.linalg.eigvalsh(M)
# %% q3 right: QR of the augmented matrix
def unused_curvatures(W, target, tau):
    triangle = np.linalg.qr(np.hstack([W, np.sqrt(tau) * np.eye(len(W))]).T, mode="r")
    F = np.linalg.cholesky(target)
    U, s, _ = np.linalg.svd(F.T @ triangle.T)
    return 2 * (1 - np.linalg.svd(F @ U / np.sqrt(s), compute_uv=False)**2)
# %% q3 wrong: the transport map of the library
def unused_curvatures(W, target, tau):
    T = bw.transport_map(W @ W.T + tau * np.eye(len(W)), target)
    return np.sort(2 * (1 - np.linalg.eigvalsh(T)))
# %% q3 wrong: square roots of matrices
def unused_curvatures(W, target, tau):
    R = bw.sqrtm_psd(target)
    T = R @ np.linalg.inv(bw.sqrtm_psd(R @ (W @ W.T + tau * np.eye(len(W))) @ R)) @ R
    return np.sort(2 * (1 - np.linalg.eigvalsh((T + T.T) / 2)))
# %% q3 wrong: the Cholesky factor of Sigma_tau
def unused_curvatures(W, target, tau):
    R = bw.sqrtm_psd(target)
    U, s, _ = np.linalg.svd(R @ np.linalg.cholesky(W @ W.T + tau * np.eye(len(W))))
    half = (R @ U) / np.sqrt(s)
    return np.sort(2 * (1 - np.linalg.eigvalsh(half @ half.T)))
# %% q3 wrong: the formula for critical points
def unused_curvatures(W, target, tau):
    U, s, _ = np.linalg.svd(W)
    r = int(np.sum(s > 1e-8))
    unused = np.linalg.eigvalsh(U[:, r:].T @ target @ U[:, r:])
    return np.sort(np.concatenate([np.zeros(r), 2 * (1 - np.sqrt(unused / tau))]))
# %% q3 wrong: as at zero
def unused_curvatures(W, target, tau):
    return 2 * (1 - np.sqrt(np.linalg.eigvalsh(target)[::-1] / tau))
# %% q3 wrong: no factor two
def unused_curvatures(W, target, tau):
    R = bw.sqrtm_psd(target)
    U, s, _ = np.linalg.svd(R @ np.hstack([W, np.sqrt(tau) * np.eye(len(W))]), full_matrices=False)
    half = (R @ U) / np.sqrt(s)
    return 1 - np.linalg.eigvalsh(half @ half.T)[::-1]
# %% q3 wrong: descending
def unused_curvatures(W, target, tau):
    R = bw.sqrtm_psd(target)
    U, s, _ = np.linalg.svd(R @ np.hstack([W, np.sqrt(tau) * np.eye(len(W))]), full_matrices=False)
    half = (R @ U) / np.sqrt(s)
    return 2 * (1 - np.linalg.eigvalsh(half @ half.T))
# %% q3 wrong: tau where its root belongs
def unused_curvatures(W, target, tau):
    R = bw.sqrtm_psd(target)
    U, s, _ = np.linalg.svd(R @ np.hstack([W, tau * np.eye(len(W))]), full_matrices=False)
    half = (R @ U) / np.sqrt(s)
    return np.sort(2 * (1 - np.linalg.eigvalsh(half @ half.T)))
# %% q3 wrong: the map from the target to the model
def unused_curvatures(W, target, tau):
    R = bw.sqrtm_psd(target)
    U, s, _ = np.linalg.svd(R @ np.hstack([W, np.sqrt(tau) * np.eye(len(W))]), full_matrices=False)
    half = np.linalg.inv(R) @ U * np.sqrt(s)
    return np.sort(2 * (1 - np.linalg.eigvalsh(half @ half.T)))
# %% q3 wrong: a latent direction that is in use
def unused_curvatures(W, target, tau):
    v = np.linalg.svd(W)[2][0]
    moves = np.stack([np.outer(e, v) for e in np.eye(len(W))])
    M = bw.BuresLoss(target, tau).hessian_vector_product(W, moves) @ v
    return np.linalg.eigvalsh((M + M.T) / 2)
# %% q3 wrong: the last column of W, which is zero only in examples
def unused_curvatures(W, target, tau):
    v = np.eye(W.shape[1])[-1]
    moves = np.stack([np.outer(e, v) for e in np.eye(len(W))])
    M = bw.BuresLoss(target, tau).hessian_vector_product(W, moves) @ v
    return np.linalg.eigvalsh((M + M.T) / 2)
# %% q3 wrong: the smallest eigenvalues of the whole Hessian
def unused_curvatures(W, target, tau):
    return np.linalg.eigvalsh(bw.BuresLoss(target, tau).hessian(W))[:len(W)]
# %% q3 wrong: second differences
def unused_curvatures(W, target, tau):
    n, h = len(W), 1e-4 * np.sqrt(tau)
    v = np.linalg.svd(W)[2][-1]
    f = lambda a: bw.BuresLoss(target, tau).value(W + h * np.outer(a, v))
    I = np.eye(n)
    M = [[(f(I[a] + I[b]) - f(I[a] - I[b]) - f(I[b] - I[a]) + f(-I[a] - I[b])) / (4 * h**2) for b in range(n)] for a in range(n)]
    return np.linalg.eigvalsh(np.array(M))

# %% q6 right: the integral of the gradient along a segment
def excess(W, target, tau):
    n, m = W.shape
    Omega, lam, _ = np.linalg.svd(target)
    r = min(m, int(np.sum(lam > tau)))
    A = Omega[:, :r] * np.sqrt(lam[:r] - tau)
    U, _, Vt = np.linalg.svd(A.T @ W, full_matrices=False)
    nearest = A @ U @ Vt
    D = W - nearest
    loss = bw.BuresLoss(target, tau)
    if np.linalg.norm(D) > 1e-3:
        return loss.value(W) - loss.minimum(min(m, n))
    x, w = np.polynomial.legendre.leggauss(10)
    return float(sum(b * np.sum(loss.gradient(nearest + (1 + a) / 2 * D) * D) for a, b in zip(x, w)) / 2)
# %% q6 right: with matrices instead of factors
def excess(W, target, tau):
    n, m = W.shape
    C = bw.Covariance(target)
    lam, Omega = C.eigenvalues, C.eigenvectors
    J = [i for i in range(min(n, m)) if lam[i] > tau]
    T = sum((1 if i in J else np.sqrt(lam[i] / tau)) * np.outer(Omega[:, i], Omega[:, i]) for i in range(n))
    half = bw.sqrtm_psd((T + T.T) / 2)
    star = sum((lam[i] if i in J else tau) * np.outer(Omega[:, i], Omega[:, i]) for i in range(n))
    first = half @ (W @ W.T + tau * np.eye(n)) @ half
    second = half @ star @ half
    linear = 0.0
    for j in range(n):
        if j not in J:
            linear += (1 - np.sqrt(lam[j] / tau)) * np.sum((Omega[:, j] @ W)**2)
    return linear + bw.bures_wasserstein((first + first.T) / 2, (second + second.T) / 2, squared=True)
# %% q6 right: the residual of the factors by hand
def excess(W, target, tau):
    n, m = W.shape
    lam, Omega = np.linalg.eigh(target)
    order = np.argsort(-lam)
    lam, X = lam[order], Omega[:, order].T @ W
    t = np.sqrt(np.maximum(lam, 1e-300) / tau)
    t[:m] = np.where(lam[:m] > tau, 1, t[:m])
    F = np.diag(np.sqrt(lam / t))
    M = np.sqrt(t)[:, None] * np.concatenate([X, np.sqrt(tau) * np.eye(n)], axis=1)
    U, _, Vt = np.linalg.svd(F @ M, full_matrices=False)
    return np.sum((M - F @ U @ Vt)**2) + np.sum((1 - t) @ X**2)
# %% q6 right: half of the slope close by, the difference far away
def excess(W, target, tau):
    Omega, lam, _ = np.linalg.svd(target)
    r = min(W.shape[1], int(np.sum(lam > tau)))
    A = Omega[:, :r] * np.sqrt(lam[:r] - tau)
    U, _, Vt = np.linalg.svd(A.T @ W, full_matrices=False)
    D, loss = W - A @ U @ Vt, bw.BuresLoss(target, tau)
    if np.linalg.norm(D) > 2e-5:
        return loss.value(W) - loss.minimum(min(W.shape))
    return np.sum(loss.gradient(W) * D) / 2
# %% q6 wrong: the difference
def excess(W, target, tau):
    loss = bw.BuresLoss(target, tau)
    return loss.value(W) - loss.minimum(min(W.shape))
# %% q6 wrong: the difference, never negative
def excess(W, target, tau):
    loss = bw.BuresLoss(target, tau)
    return max(loss.value(W) - loss.minimum(min(W.shape)), 0.0)
# %% q6 wrong: the squared length of the gradient
def excess(W, target, tau):
    return np.sum(bw.BuresLoss(target, tau).gradient(W)**2) / 4
# %% q6 wrong: the difference with more digits than the library has
def excess(W, target, tau):
    loss = bw.BuresLoss(target, tau)
    return float(np.longdouble(loss.value(W)) - np.longdouble(loss.minimum(min(W.shape))))
# %% q6 wrong: the value
def excess(W, target, tau):
    return bw.BuresLoss(target, tau).value(W)
# %% q6 wrong: the squared distance of the covariances
def excess(W, target, tau):
    star = bw.best_low_rank(target, min(W.shape), tau=tau)
    return bw.bures_wasserstein(W @ W.T + tau * np.eye(len(W)), star + tau * np.eye(len(W)), squared=True)
# %% q6 wrong: the distance term only
def excess(W, target, tau):
    n, m = W.shape
    lam, Omega = np.linalg.eigh(target)
    lam, X = lam[::-1], Omega[:, ::-1].T @ W
    used = (np.arange(n) < m) & (lam > tau)
    t = np.where(used, 1.0, np.sqrt(lam / tau))
    model = np.sqrt(t)[:, None] * np.hstack([X, np.sqrt(tau) * np.eye(n)])
    return bw.bures_wasserstein_factors(model, np.diag(np.sqrt(lam / t)), squared=True)
# %% q6 wrong: the sum only
def excess(W, target, tau):
    n, m = W.shape
    lam, Omega = np.linalg.eigh(target)
    lam, X = lam[::-1], Omega[:, ::-1].T @ W
    used = (np.arange(n) < m) & (lam > tau)
    return np.sum((1 - np.where(used, 1.0, np.sqrt(lam / tau)))[:, None] * X**2)
# %% q6 wrong: m eigenvalues, also below tau
def excess(W, target, tau):
    n, m = W.shape
    lam, Omega = np.linalg.eigh(target)
    lam, X = lam[::-1], Omega[:, ::-1].T @ W
    t = np.where(np.arange(n) < m, 1.0, np.sqrt(lam / tau))
    model = np.sqrt(t)[:, None] * np.hstack([X, np.sqrt(tau) * np.eye(n)])
    return np.sum((1 - t)[:, None] * X**2) + bw.bures_wasserstein_factors(model, np.diag(np.sqrt(lam / t)), squared=True)
# %% q6 wrong: all eigenvalues above tau, also more than m
def excess(W, target, tau):
    n, m = W.shape
    lam, Omega = np.linalg.eigh(target)
    lam, X = lam[::-1], Omega[:, ::-1].T @ W
    t = np.where(lam > tau, 1.0, np.sqrt(lam / tau))
    model = np.sqrt(t)[:, None] * np.hstack([X, np.sqrt(tau) * np.eye(n)])
    return np.sum((1 - t)[:, None] * X**2) + bw.bures_wasserstein_factors(model, np.diag(np.sqrt(lam / t)), squared=True)
# %% q6 wrong: ascending eigenvalues
def excess(W, target, tau):
    n, m = W.shape
    lam, Omega = np.linalg.eigh(target)
    X = Omega.T @ W
    used = (np.arange(n) < m) & (lam > tau)
    t = np.where(used, 1.0, np.sqrt(lam / tau))
    model = np.sqrt(t)[:, None] * np.hstack([X, np.sqrt(tau) * np.eye(n)])
    return np.sum((1 - t)[:, None] * X**2) + bw.bures_wasserstein_factors(model, np.diag(np.sqrt(lam / t)), squared=True)
# %% q6 wrong: T instead of its root
def excess(W, target, tau):
    n, m = W.shape
    lam, Omega = np.linalg.eigh(target)
    lam, X = lam[::-1], Omega[:, ::-1].T @ W
    used = (np.arange(n) < m) & (lam > tau)
    t = np.where(used, 1.0, np.sqrt(lam / tau))
    model = t[:, None] * np.hstack([X, np.sqrt(tau) * np.eye(n)])
    return np.sum((1 - t)[:, None] * X**2) + bw.bures_wasserstein_factors(model, np.diag(np.sqrt(lam)), squared=True)
# %% q6 wrong: the second order only
def excess(W, target, tau):
    n, m = W.shape
    Omega, lam, _ = np.linalg.svd(target)
    r = min(m, int(np.sum(lam > tau)))
    A = Omega[:, :r] * np.sqrt(lam[:r] - tau)
    U, _, Vt = np.linalg.svd(A.T @ W, full_matrices=False)
    D = W - A @ U @ Vt
    return np.sum(D * bw.BuresLoss(target, tau).hessian_vector_product(W - D, D)) / 2
# %% q6 wrong: for targets in their eigenbasis
def excess(W, target, tau):
    n, m = W.shape
    lam = np.diag(target)
    used = (np.argsort(np.argsort(-lam)) < m) & (lam > tau)
    t = np.where(used, 1.0, np.sqrt(lam / tau))
    model = np.sqrt(t)[:, None] * np.hstack([W, np.sqrt(tau) * np.eye(n)])
    return np.sum((1 - t)[:, None] * W**2) + bw.bures_wasserstein_factors(model, np.diag(np.sqrt(lam / t)), squared=True)

# %% q7 right: subsets as bits, value by traces
def joint_critical_values(target, m):
    lam = bw.Covariance(target).eigenvalues
    n, found = len(lam), []
    for mask in range(2**n):
        J = [i for i in range(n) if mask >> i & 1]
        rest = [i for i in range(n) if not mask >> i & 1]
        if len(J) > m:
            continue
        tau = (sum(lam[j]**0.5 for j in rest) / len(rest))**2
        if all(lam[i] > tau for i in J):
            found.append(float(sum(lam[j] for j in rest) - len(rest) * tau))
    found.sort()
    return found[::-1]
# %% q7 right: from the critical points of the library at each noise level
def joint_critical_values(target, m):
    from itertools import combinations
    lam = np.linalg.svd(target, compute_uv=False)
    levels = {}
    for r in range(m + 1):
        for J in combinations(range(len(lam)), r):
            levels[J] = np.mean(np.sqrt(np.delete(lam, J)))**2
    values = []
    for J, tau in levels.items():
        values += [p.value for p in bw.critical_points(target, m, tau=float(tau)) if p.indices == J]
    return np.sort(values)[::-1]
# %% q7 right: only the smallest used axis has to be compared
def joint_critical_values(target, m):
    from itertools import chain, combinations
    s = sorted(np.linalg.eigvalsh(target)**0.5)
    n = len(s)
    out = []
    for K in chain.from_iterable(combinations(range(n), n - r) for r in range(m + 1)):
        used = set(range(n)) - set(K)
        mean = sum(s[j] for j in K) / len(K)
        if not used or s[min(used)] > mean:
            out.append(len(K) * np.var([s[j] for j in K]))
    return tuple(sorted(out, key=lambda x: -x))
# %% q7 wrong: the mean of the variances, as for the likelihood
def joint_critical_values(target, m):
    from itertools import combinations
    lam = np.linalg.eigvalsh(target)
    values = []
    for r in range(m + 1):
        for J in combinations(range(len(lam)), r):
            rest = np.delete(lam, J)
            tau = np.mean(rest)
            if np.all(lam[list(J)] > tau):
                values.append(np.sum((np.sqrt(rest) - np.sqrt(tau))**2))
    return sorted(values, reverse=True)
# %% q7 wrong: every set of at most m indices
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    rests = [np.delete(roots, J) for r in range(m + 1) for J in combinations(range(len(roots)), r)]
    return sorted([np.sum((rest - rest.mean())**2) for rest in rests], reverse=True)
# %% q7 wrong: the largest eigenvalues only
def joint_critical_values(target, m):
    roots = np.sqrt(np.linalg.eigvalsh(target))[::-1]
    return sorted([np.sum((roots[r:] - roots[r:].mean())**2) for r in range(m + 1)], reverse=True)
# %% q7 wrong: exactly m axes
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = []
    for J in combinations(range(len(roots)), m):
        rest = np.delete(roots, J)
        if np.all(roots[list(J)] > rest.mean()):
            values.append(np.sum((rest - rest.mean())**2))
    return sorted(values, reverse=True)
# %% q7 wrong: without the zero matrix
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = []
    for r in range(1, m + 1):
        for J in combinations(range(len(roots)), r):
            rest = np.delete(roots, J)
            if np.all(roots[list(J)] > rest.mean()):
                values.append(np.sum((rest - rest.mean())**2))
    return sorted(values, reverse=True)
# %% q7 wrong: more axes than latent dimensions
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = []
    for r in range(len(roots)):
        for J in combinations(range(len(roots)), r):
            rest = np.delete(roots, J)
            if np.all(roots[list(J)] > rest.mean()):
                values.append(np.sum((rest - rest.mean())**2))
    return sorted(values, reverse=True)
# %% q7 wrong: the best noise level for all sets
def joint_critical_values(target, m):
    tau = np.mean(np.sqrt(np.linalg.eigvalsh(target)[:len(target) - m]))**2
    return [p.value for p in bw.critical_points(target, m, tau=float(tau))][::-1]
# %% q7 wrong: the mean over all axes
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = []
    for r in range(m + 1):
        for J in combinations(range(len(roots)), r):
            if np.all(roots[list(J)] > roots.mean()):
                values.append(np.sum((np.delete(roots, J) - roots.mean())**2))
    return sorted(values, reverse=True)
# %% q7 wrong: equal values once
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = set()
    for r in range(m + 1):
        for J in combinations(range(len(roots)), r):
            rest = np.delete(roots, J)
            if np.all(roots[list(J)] > rest.mean()):
                values.add(round(float(np.sum((rest - rest.mean())**2)), 10))
    return sorted(values, reverse=True)
# %% q7 wrong: the used axes are longer on average
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = []
    for r in range(m + 1):
        for J in combinations(range(len(roots)), r):
            rest = np.delete(roots, J)
            if r == 0 or roots[list(J)].mean() > rest.mean():
                values.append(np.sum((rest - rest.mean())**2))
    return sorted(values, reverse=True)
# %% q7 wrong: a variance compared with a standard deviation
def joint_critical_values(target, m):
    from itertools import combinations
    lam = np.linalg.eigvalsh(target)
    values = []
    for r in range(m + 1):
        for J in combinations(range(len(lam)), r):
            rest = np.sqrt(np.delete(lam, J))
            if np.all(lam[list(J)] > rest.mean()):
                values.append(np.sum((rest - rest.mean())**2))
    return sorted(values, reverse=True)
# %% q7 wrong: ascending
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = []
    for r in range(m + 1):
        for J in combinations(range(len(roots)), r):
            rest = np.delete(roots, J)
            if np.all(roots[list(J)] > rest.mean()):
                values.append(np.sum((rest - rest.mean())**2))
    return sorted(values)
# %% q7 wrong: the variance instead of the sum of squares
def joint_critical_values(target, m):
    from itertools import combinations
    roots = np.sqrt(np.linalg.eigvalsh(target))
    values = []
    for r in range(m + 1):
        for J in combinations(range(len(roots)), r):
            rest = np.delete(roots, J)
            if np.all(roots[list(J)] > rest.mean()):
                values.append(np.var(rest))
    return sorted(values, reverse=True)
