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

# %% q3 right: the whole table
def escape(W, target, tau):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.concatenate([s, np.zeros(max(n, m) - len(s))])
    used = [a for a in range(min(n, m)) if s[a] > 1e-4]
    free = [b for b in range(m) if b not in used]
    P = np.eye(n) - U[:, used] @ U[:, used].T
    values, vectors = np.linalg.eigh(P @ target @ P)
    rest = [(values[j], vectors[:, j]) for j in range(len(used), n)]
    table = [(2 * ((s[a]**2 + tau) - x) / (s[a]**2 + tau + np.sqrt(x * tau)), np.outer(w, Vt[a])) for a in used for x, w in rest]
    table += [(2 * (1 - np.sqrt(x / tau)), np.outer(w, Vt[b])) for b in free for x, w in rest]
    return min(table, key=lambda row: row[0])
# %% q3 right: the top of the transport map
def escape(W, target, tau):
    n, m = W.shape
    r = np.linalg.matrix_rank(W, tol=1e-5)
    U, s, Vt = np.linalg.svd(W)
    if r < m:
        t, E = np.linalg.eigh(bw.transport_map(W @ W.T + tau * np.eye(n), target))
        return float(2 - 2 * t[-1]), E[:, -1:] @ Vt[r:r + 1]
    Sigma0_outside = target - (U[:, :r] * (s[:r]**2 + tau)) @ U[:, :r].T
    x, E = np.linalg.eigh((Sigma0_outside + Sigma0_outside.T) / 2)
    low = s[m - 1]**2 + tau
    return float(2 * (low - x[-1]) / (low + (x[-1] * tau)**0.5)), E[:, -1:] @ Vt[m - 1:]
# %% q3 right: Lanczos with products of the Hessian
def escape(W, target, tau):
    from scipy.sparse.linalg import LinearOperator, eigsh
    loss = bw.BuresLoss(target, tau)
    if W.size < 30:
        values, vectors = np.linalg.eigh(loss.hessian(W))
    else:
        product = lambda z: loss.hessian_vector_product(W, z.reshape(W.shape)).ravel()
        operator = LinearOperator((W.size, W.size), matvec=product, dtype=float)
        values, vectors = eigsh(operator, k=1, which="SA", tol=1e-10, ncv=60, v0=np.random.default_rng(0).standard_normal(W.size))
    return values[0], vectors[:, 0].reshape(W.shape)
# %% q3 wrong: exchanges only
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r = int(np.sum(s > 1e-6))
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    low = s[r - 1]**2 + tau
    return 2 * (low - x[-1]) / (low + np.sqrt(x[-1] * tau)), np.outer(U[:, r:] @ E[:, -1], Vt[r - 1])
# %% q3 wrong: always a new axis, also if no latent direction is free
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r = int(np.sum(s > 1e-6))
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    return 2 * (1 - np.sqrt(x[-1] / tau)), np.outer(U[:, r:] @ E[:, -1], Vt[-1])
# %% q3 wrong: the smallest unused eigenvalue
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    omega = U[:, r:] @ E[:, 0]
    if r < m:
        return 2 * (1 - np.sqrt(x[0] / tau)), np.outer(omega, Vt[r])
    low = s[-1]**2 + tau
    return 2 * (low - x[0]) / (low + np.sqrt(x[0] * tau)), np.outer(omega, Vt[-1])
# %% q3 wrong: exchanges the largest used axis
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    omega = U[:, r:] @ E[:, -1]
    if r < m:
        return 2 * (1 - np.sqrt(x[-1] / tau)), np.outer(omega, Vt[r])
    low = s[0]**2 + tau
    return 2 * (low - x[-1]) / (low + np.sqrt(x[-1] * tau)), np.outer(omega, Vt[0])
# %% q3 wrong: variances of the generator taken for eigenvalues of the target
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    omega = U[:, r:] @ E[:, -1]
    if r < m:
        return 2 * (1 - np.sqrt(x[-1] / tau)), np.outer(omega, Vt[r])
    return 2 * (s[-1]**2 - x[-1]) / (s[-1]**2 + np.sqrt(x[-1] * tau)), np.outer(omega, Vt[-1])
# %% q3 wrong: no root
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    omega = U[:, r:] @ E[:, -1]
    if r < m:
        return 2 * (1 - x[-1] / tau), np.outer(omega, Vt[r])
    low = s[-1]**2 + tau
    return 2 * (low - x[-1]) / (low + x[-1] * tau), np.outer(omega, Vt[-1])
# %% q3 wrong: the exchange without smoothing
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    omega = U[:, r:] @ E[:, -1]
    if r < m:
        return 2 * (1 - np.sqrt(x[-1] / tau)), np.outer(omega, Vt[r])
    return 2 * (1 - x[-1] / (s[-1]**2 + tau)), np.outer(omega, Vt[-1])
# %% q3 wrong: a latent direction that is in use
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    omega = U[:, r:] @ E[:, -1]
    if r < m:
        return 2 * (1 - np.sqrt(x[-1] / tau)), np.outer(omega, Vt[0])
    low = s[-1]**2 + tau
    return 2 * (low - x[-1]) / (low + np.sqrt(x[-1] * tau)), np.outer(omega, Vt[0])
# %% q3 wrong: matches the eigenvectors of eigh with W
def escape(W, target, tau):
    lam, Omega = np.linalg.eigh(target)
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    unused = [j for j in range(len(lam)) if np.linalg.norm(W.T @ Omega[:, j]) < 1e-8]
    j = max(unused, key=lambda i: lam[i])
    if r < m:
        return 2 * (1 - np.sqrt(lam[j] / tau)), np.outer(Omega[:, j], Vt[r])
    low = s[-1]**2 + tau
    return 2 * (low - lam[j]) / (low + np.sqrt(lam[j] * tau)), np.outer(Omega[:, j], Vt[-1])
# %% q3 wrong: for diagonal targets
def escape(W, target, tau):
    lam = np.diag(target)
    norms = np.linalg.norm(W, axis=1)
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    j = max((i for i in range(len(lam)) if norms[i] < 1e-8), key=lambda i: lam[i], default=0)
    if r < m:
        return 2 * (1 - np.sqrt(lam[j] / tau)), np.outer(np.eye(len(lam))[j], Vt[r])
    low = s[-1]**2 + tau
    return 2 * (low - lam[j]) / (low + np.sqrt(lam[j] * tau)), np.outer(np.eye(len(lam))[j], Vt[-1])
# %% q3 wrong: not a unit vector
def escape(W, target, tau):
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    x, E = np.linalg.eigh(U[:, r:].T @ target @ U[:, r:])
    omega = np.sqrt(x[-1]) * U[:, r:] @ E[:, -1]
    if r < m:
        return 2 * (1 - np.sqrt(x[-1] / tau)), np.outer(omega, Vt[r])
    low = s[-1]**2 + tau
    return 2 * (low - x[-1]) / (low + np.sqrt(x[-1] * tau)), np.outer(omega, Vt[-1])
# %% q3 wrong: the largest eigenvalue of the target, used or not
def escape(W, target, tau):
    lam, Omega = np.linalg.eigh(target)
    U, s, Vt = np.linalg.svd(W)
    r, m = int(np.sum(s > 1e-6)), W.shape[1]
    if r < m:
        return 2 * (1 - np.sqrt(lam[-1] / tau)), np.outer(Omega[:, -1], Vt[r])
    low = s[-1]**2 + tau
    return 2 * (low - lam[-1]) / (low + np.sqrt(lam[-1] * tau)), np.outer(Omega[:, -1], Vt[-1])
# %% q3 wrong: the dense Hessian
def escape(W, target, tau):
    values, vectors = np.linalg.eigh(bw.BuresLoss(target, tau).hessian(W))
    return values[0], vectors[:, 0].reshape(W.shape)

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
# %% q6 wrong: the difference
def excess(W, target, tau):
    loss = bw.BuresLoss(target, tau)
    return loss.value(W) - loss.minimum(min(W.shape))
# %% q6 wrong: the difference, never negative
def excess(W, target, tau):
    loss = bw.BuresLoss(target, tau)
    return max(loss.value(W) - loss.minimum(min(W.shape)), 0.0)
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

# %% q7 right: every rank tried
def trap_values(target, widths, tau):
    lam = sorted(bw.Covariance(target).eigenvalues, reverse=True)
    p = len([x for x in lam if x - tau > 1e-9])
    q = len([x for x in lam if tau - x > 1e-9])
    k, d = min(widths), min(widths[1:-1], default=10**9)
    values = []
    for r in range(len(lam)):
        if r < k and r < p and d <= q + r:
            values.append(sum((np.sqrt(x) - np.sqrt(tau))**2 for x in lam[r:]))
    return values
# %% q7 right: an array, from the values of all ranks
def trap_values(target, widths, tau):
    lam = np.linalg.eigvalsh(target)[::-1]
    terms = (np.sqrt(lam) - np.sqrt(tau))**2
    tails = np.cumsum(terms[::-1])[::-1]
    ranks = np.arange(len(lam))
    hidden = np.array(widths[1:-1] + [np.inf])
    bad = (ranks < min(widths)) & (ranks < np.sum(lam - tau > 1e-9)) & (hidden.min() <= np.sum(tau - lam > 1e-9) + ranks)
    return tails[bad]
# %% q7 right: sorted set
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    gaps = np.linalg.eigvalsh(target) - tau
    p, q = np.sum(gaps > 1e-9), np.sum(gaps < -1e-9)
    return sorted({bw.BuresLoss(target, tau).minimum(r) for r in range(0, min(min(widths), p)) if min(widths[1:-1]) - q <= r}, reverse=True)
# %% q7 wrong: the bottleneck in place of the smallest hidden width
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q, k = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9)), min(widths)
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, k - q), min(k, p))]
# %% q7 wrong: the smallest hidden width in place of the bottleneck
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q, d = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9)), min(widths[1:-1])
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, d - q), min(d, p))]
# %% q7 wrong: one rank too many
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9))
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, min(widths[1:-1]) - q), min(min(widths), p) + 1)]
# %% q7 wrong: q = n - p, also if tau is an eigenvalue
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p = int(np.sum(lam > tau + 1e-9))
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, min(widths[1:-1]) - len(lam) + p), min(min(widths), p))]
# %% q7 wrong: eigenvalues equal to tau count as above
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau - 1e-9)), int(np.sum(lam < tau - 1e-9))
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, min(widths[1:-1]) - q), min(min(widths), p))]
# %% q7 wrong: only the trap at zero
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9))
    return [bw.BuresLoss(target, tau).minimum(0)] if p and min(widths[1:-1]) <= q else []
# %% q7 wrong: only the best trap
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9))
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, min(widths[1:-1]) - q), min(min(widths), p))][-1:]
# %% q7 wrong: ascending
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9))
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, min(widths[1:-1]) - q), min(min(widths), p))][::-1]
# %% q7 wrong: the values without smoothing
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9))
    return [bw.BuresLoss(target).minimum(r) for r in range(max(0, min(widths[1:-1]) - q), min(min(widths), p))]
# %% q7 wrong: a network of one layer has its own widths as hidden ones
def trap_values(target, widths, tau):
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9))
    d = min(widths[1:-1] or widths)
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(max(0, d - q), min(min(widths), p))]
# %% q7 wrong: every critical value between the extremes
def trap_values(target, widths, tau):
    if len(widths) == 2:
        return []
    lam = np.linalg.eigvalsh(target)
    p, q = int(np.sum(lam > tau + 1e-9)), int(np.sum(lam < tau - 1e-9))
    if not p or min(widths[1:-1]) >= q + min(min(widths), p):
        return []
    return [bw.BuresLoss(target, tau).minimum(r) for r in range(min(min(widths), p))]
