# Answers to the questions of problem set 1 that are marked by tests.  Each block takes the place of the model
# solution of its question.  A wrong answer must get no point, a right one all.

# %% q1 right: end-to-end products
def layer_covariances(weights):
    result, product = [], None
    for W in weights:
        product = W if product is None else W @ product
        result.append(product @ product.T)
    return result
# %% q1 right: the library's end-to-end matrix of the first layers
def layer_covariances(weights):
    ends = [bw.DeepLinearNetwork(weights[:j]).end_to_end() for j in range(1, len(weights) + 1)]
    return tuple(np.einsum("ij,kj->ik", W, W) for W in ends)
# %% q1 right: loops over the entries, lists of numbers
def layer_covariances(weights):
    S = [[float(i == j) for j in range(weights[0].shape[1])] for i in range(weights[0].shape[1])]
    result = []
    for W in weights:
        n, m = W.shape
        S = [[sum(W[i, a] * S[a][b] * W[j, b] for a in range(m) for b in range(m)) for j in range(n)] for i in range(n)]
        result.append(S)
    return result
# %% q1 right: triangular factors
def layer_covariances(weights):
    F, result = np.eye(weights[0].shape[1]), []
    for W in weights:
        F = W @ F
        R = np.linalg.qr(F.T, mode="r")
        result.append(R.T @ R)
    return result
# %% q1 wrong: transposed
def layer_covariances(weights):
    S, result = np.eye(weights[0].shape[1]), []
    for W in weights:
        S = W.T @ S @ W if W.shape[0] == W.shape[1] else W @ S @ W.T
        result.append(S)
    return result
# %% q1 wrong: each layer alone
def layer_covariances(weights):
    return [W @ W.T for W in weights]
# %% q1 wrong: only the last covariance
def layer_covariances(weights):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    return [W @ W.T]
# %% q1 wrong: the products, not the covariances
def layer_covariances(weights):
    return [bw.DeepLinearNetwork(weights[:j]).end_to_end() for j in range(1, len(weights) + 1)]
# %% q1 wrong: in reverse order
def layer_covariances(weights):
    ends = [bw.DeepLinearNetwork(weights[:j]).end_to_end() for j in range(1, len(weights) + 1)]
    return [W @ W.T for W in ends][::-1]
# %% q1 wrong: estimated from samples
def layer_covariances(weights):
    x, result = np.random.default_rng(0).standard_normal((10_000, weights[0].shape[1])), []
    for W in weights:
        x = x @ W.T
        result.append(x.T @ x / len(x))
    return result
# %% q1 wrong: the variances only
def layer_covariances(weights):
    ends = [bw.DeepLinearNetwork(weights[:j]).end_to_end() for j in range(1, len(weights) + 1)]
    return [np.diag(np.diag(W @ W.T)) for W in ends]
# %% q1 wrong: the latent covariance as well
def layer_covariances(weights):
    result = [np.eye(weights[0].shape[1])]
    for W in weights:
        result.append(W @ result[-1] @ W.T)
    return result

# %% q2 right: SciPy's Procrustes solver
def align(W, A):
    from scipy.linalg import orthogonal_procrustes
    p = max(W.shape[1], A.shape[1])
    W, A = (np.hstack([M, np.zeros((len(M), p - M.shape[1]))]) for M in (W, A))
    return A @ orthogonal_procrustes(A, W)[0]
# %% q2 right: singular vectors of the transposed product, completed by hand
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    W2, A2 = np.zeros((len(W), p)), np.zeros((len(A), p))
    W2[:, :W.shape[1]], A2[:, :A.shape[1]] = W, A
    U, s, Vt = np.linalg.svd(W2.T @ A2)
    return sum(np.outer(A2 @ Vt[i], U[:, i]) for i in range(p))
# %% q2 right: SciPy's polar decomposition
def align(W, A):
    import scipy.linalg
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    return A @ scipy.linalg.polar(A.T @ W)[0]
# %% q2 right: the compact polar factor, completed with null spaces
def align(W, A):
    from scipy.linalg import null_space
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    Q = bw.polar(A.T @ W)
    return A @ (Q + null_space(Q.T, rcond=1e-6) @ null_space(Q, rcond=1e-6).T)
# %% q2 wrong: the compact polar factor erases a part of A
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    return A @ bw.polar(A.T @ W)
# %% q2 wrong: no padding
def align(W, A):
    U, _, Vt = np.linalg.svd(A.T @ W)
    return A @ U @ Vt
# %% q2 wrong: the orthogonal matrix transposed
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    U, _, Vt = np.linalg.svd(A.T @ W)
    return A @ (U @ Vt).T
# %% q2 wrong: turns the wrong factor
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    U, _, Vt = np.linalg.svd(W.T @ A)
    return W @ U @ Vt
# %% q2 wrong: fits the columns by sign only
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    return A * np.where(np.sum(A * W, axis=0) < 0, -1.0, 1.0)
# %% q2 wrong: the symmetric root, aligned with nothing
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    return np.pad(bw.sqrtm_psd(A @ A.T), ((0, 0), (0, max(0, p - len(A)))))[:, :p]
# %% q2 wrong: rotations without reflections
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    U, _, Vt = np.linalg.svd(A.T @ W)
    U[:, -1] *= np.sign(np.linalg.det(U @ Vt))
    return A @ U @ Vt
# %% q2 wrong: the orthogonal factor of QR
def align(W, A):
    p = max(W.shape[1], A.shape[1])
    W, A = (np.pad(M, ((0, 0), (0, p - M.shape[1]))) for M in (W, A))
    Q, R = np.linalg.qr(A.T @ W)
    return A @ (Q * np.where(np.diag(R) < 0, -1, 1))

# %% q3 right: trace and nuclear norm
def regret(M, Sigma):
    root = bw.sqrtm_psd(Sigma)
    N = root @ M @ root
    return 2 * np.linalg.norm(N, "nuc") - 2 * np.trace(N)
# %% q3 right: three traces, loops, factors
def regret(M, Sigma):
    n = len(Sigma)
    cost = sum(Sigma[i, i] for i in range(n)) + sum((M @ Sigma @ M.T)[i, i] for i in range(n)) - 2 * sum((M @ Sigma)[i, i] for i in range(n))
    F = bw.Covariance(Sigma).factor
    return float(cost - bw.bures_wasserstein_factors(F, M @ F, squared=True))
# %% q3 right: the root of a product that is not symmetric
def regret(M, Sigma):
    other = M @ Sigma @ M.T
    fidelity = np.sum(np.sqrt(np.maximum(np.linalg.eigvals(Sigma @ other).real, 0)))
    return 2 * fidelity - 2 * np.trace(M @ Sigma)
# %% q3 wrong: the root of the cost
def regret(M, Sigma):
    D = np.eye(len(M)) - M
    return np.sqrt(np.trace(D @ Sigma @ D.T)) - bw.bures_wasserstein(Sigma, M @ Sigma @ M.T)
# %% q3 wrong: distance not squared
def regret(M, Sigma):
    D = np.eye(len(M)) - M
    return np.trace(D @ Sigma @ D.T) - bw.bures_wasserstein(Sigma, M @ Sigma @ M.T)
# %% q3 wrong: the target transposed
def regret(M, Sigma):
    D = np.eye(len(M)) - M
    return np.trace(D @ Sigma @ D.T) - bw.bures_wasserstein(Sigma, M.T @ Sigma @ M, squared=True)
# %% q3 wrong: factor of two forgotten in the cost
def regret(M, Sigma):
    cost = np.trace(Sigma) + np.trace(M @ Sigma @ M.T) - np.trace(M @ Sigma)
    return cost - bw.bures_wasserstein(Sigma, M @ Sigma @ M.T, squared=True)
# %% q3 wrong: wrong sign
def regret(M, Sigma):
    D = np.eye(len(M)) - M
    return bw.bures_wasserstein(Sigma, M @ Sigma @ M.T, squared=True) - np.trace(D @ Sigma @ D.T)
# %% q3 wrong: compares with the transport map, for invertible covariances only
def regret(M, Sigma):
    D = np.eye(len(M)) - M
    T = np.eye(len(M)) - np.linalg.inv(Sigma) @ bw.sqrtm_psd(Sigma @ M @ Sigma @ M.T @ Sigma)
    return np.trace(D @ Sigma @ D.T) - np.trace(T @ Sigma @ T.T)
# %% q3 wrong: distance of the roots (right for commuting covariances only)
def regret(M, Sigma):
    D = np.eye(len(M)) - M
    return np.trace(D @ Sigma @ D.T) - np.linalg.norm(bw.sqrtm_psd(Sigma) - bw.sqrtm_psd(M @ Sigma @ M.T))**2
# %% q3 wrong: the nuclear norm of M Sigma
def regret(M, Sigma):
    return 2 * np.linalg.norm(M @ Sigma, "nuc") - 2 * np.trace(M @ Sigma)
# %% q3 wrong: compares with the symmetric part of M
def regret(M, Sigma):
    cost = lambda A: np.trace((np.eye(len(M)) - A) @ Sigma @ (np.eye(len(M)) - A).T)
    return cost(M) - cost((M + M.T) / 2)

# %% q4 right: by the library
def price(target, widths):
    return bw.BuresLoss(target).minimum(min(widths))
# %% q4 right: sorted singular values, a loop
def price(target, widths):
    values = sorted(np.linalg.svd(target, compute_uv=False), reverse=True)
    total = 0.0
    for i, value in enumerate(values):
        if i >= min(min(widths), len(values)):
            total += value
    return total
# %% q4 right: what is lost from the trace
def price(target, widths):
    k = bw.random_network(list(widths), rng=0).bottleneck
    return float(np.trace(target) - np.sort(np.linalg.eigvalsh(target))[::-1][:k].sum())
# %% q4 right: the last width, which is n, is not needed
def price(target, widths):
    return np.linalg.eigvalsh(target)[::-1][min(widths[:-1]):].sum()
# %% q4 wrong: hidden widths only
def price(target, widths):
    k = min(list(widths[1:-1]) or [len(target)])
    return np.sum(np.linalg.eigvalsh(target)[:max(0, len(target) - k)])
# %% q4 wrong: loses the largest eigenvalues
def price(target, widths):
    return np.sum(np.linalg.eigvalsh(target)[min(widths):])
# %% q4 wrong: diagonal entries instead of eigenvalues
def price(target, widths):
    return np.sum(np.sort(np.diag(target))[:len(target) - min(widths)])
# %% q4 wrong: the Frobenius price
def price(target, widths):
    return np.sum(np.linalg.eigvalsh(target)[:len(target) - min(widths)]**2)
# %% q4 wrong: roots of the eigenvalues
def price(target, widths):
    return np.sum(np.sqrt(np.abs(np.linalg.eigvalsh(target)[:len(target) - min(widths)])))
# %% q4 wrong: one eigenvalue too many
def price(target, widths):
    return np.sum(np.linalg.eigvalsh(target)[:max(0, len(target) - min(widths) + 1)])
# %% q4 wrong: only the next eigenvalue
def price(target, widths):
    n, k = len(target), min(widths)
    return np.linalg.eigvalsh(target)[n - k - 1] if k < n else 0.0
# %% q4 wrong: without the latent dimension
def price(target, widths):
    return np.linalg.eigvalsh(target)[::-1][min(widths[1:]):].sum()

# %% q5 right: sum over the layers
def differential(weights, directions):
    total = 0
    for j, Z in enumerate(directions):
        term = np.eye(weights[0].shape[1])
        for i, W in enumerate(weights):
            term = (Z if i == j else W) @ term
        total = total + term
    return total
# %% q5 right: from the last layer to the first
def differential(weights, directions):
    P, D = weights[-1], directions[-1]
    for W, Z in zip(weights[-2::-1], directions[-2::-1]):
        D = D @ W + P @ Z
        P = P @ W
    return D
# %% q5 right: block matrices
def differential(weights, directions):
    n, m = weights[-1].shape[0], weights[0].shape[1]
    B = np.eye(2 * m)
    for W, Z in zip(weights, directions):
        B = np.kron(np.eye(2), W) @ B + np.kron([[0, 1], [0, 0]], Z) @ B
    return B[:n, m:]
# %% q5 right: a complex step
def differential(weights, directions):
    P = np.eye(weights[0].shape[1])
    for W, Z in zip(weights, directions):
        P = (W + 1e-30j * Z) @ P
    return P.imag / 1e-30
# %% q5 wrong: the product of the directions
def differential(weights, directions):
    P = directions[0]
    for Z in directions[1:]:
        P = Z @ P
    return P
# %% q5 wrong: a difference quotient
def differential(weights, directions):
    def product(layers):
        P = layers[0]
        for W in layers[1:]:
            P = W @ P
        return P
    h = 1e-6
    return (product([W + h * Z for W, Z in zip(weights, directions)]) - product(weights)) / h
# %% q5 wrong: a central difference quotient with the best step
def differential(weights, directions):
    def product(h):
        P = np.eye(weights[0].shape[1])
        for W, Z in zip(weights, directions):
            P = (W + h * Z) @ P
        return P
    h = 3e-6
    return (product(h) - product(-h)) / (2 * h)
# %% q5 wrong: the last layer only
def differential(weights, directions):
    P = np.eye(weights[0].shape[1])
    for W in weights[:-1]:
        P = W @ P
    return directions[-1] @ P
# %% q5 wrong: layers in the wrong order
def differential(weights, directions):
    P = np.eye(weights[0].shape[1])
    D = np.zeros_like(P)
    for W, Z in zip(weights, directions):
        P, D = P @ W, D @ W + P @ Z
    return D
# %% q5 wrong: the derivative uses the product that is already moved on
def differential(weights, directions):
    P = np.eye(weights[0].shape[1])
    D = np.zeros_like(P)
    for W, Z in zip(weights, directions):
        P = W @ P
        D = W @ D + Z @ np.linalg.pinv(W) @ P
    return D
# %% q5 wrong: divided by the number of layers
def differential(weights, directions):
    P, D = weights[0], directions[0]
    for W, Z in zip(weights[1:], directions[1:]):
        P, D = W @ P, W @ D + Z @ P
    return D / len(weights)
# %% q5 wrong: the finite change
def differential(weights, directions):
    P, D = weights[0], weights[0] + directions[0]
    for W, Z in zip(weights[1:], directions[1:]):
        P, D = W @ P, (W + Z) @ D
    return D - P
