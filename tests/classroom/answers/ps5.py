# Answers to the questions of problem set 5 that are marked by tests.  Each block takes the place of the model
# solution of its question.  A wrong answer must get no point, a right one all.

# %% q1 right: the sum over the places of A, by hand
def tied_step(C, A, B, p, target, tau, eta):
    power = [np.linalg.matrix_power(A, q) for q in range(p + 1)]
    G = bw.BuresLoss(target, tau).gradient(C @ power[p] @ B)
    slope = sum((C @ power[q]).T @ G @ (power[p - 1 - q] @ B).T for q in range(p))
    return C - eta * G @ (power[p] @ B).T, A - eta * slope, B - eta * (C @ power[p]).T @ G
# %% q1 right: backwards through the network, one use of A after the other
def tied_step(C, A, B, p, target, tau, eta):
    states = [B]
    for _ in range(p):
        states.append(A @ states[-1])
    back = bw.BuresLoss(target, tau).gradient(C @ states[-1])
    new_C = C - eta * back @ states[-1].T
    back, total = C.T @ back, np.zeros(A.shape)
    for state in reversed(states[:-1]):
        total += back @ state.T
        back = A.T @ back
    return [new_C, A - eta * total, B - eta * back]
# %% q1 right: the gradient through the transport map, and the layer gradients of the library
def tied_step(C, A, B, p, target, tau, eta):
    W = C @ np.linalg.matrix_power(A, p) @ B
    S = W @ W.T + tau * np.eye(len(W))
    G = 2 * (np.eye(len(W)) - bw.transport_map(S, target)) @ W
    layers = [B] + p * [A] + [C]
    moved = [w - eta * g for w, g in zip(layers, bw.DeepLinearNetwork(layers).layer_gradients(G))]
    return moved[-1], A + sum(M - A for M in moved[1:-1]), moved[0]
# %% q1 wrong: in place, so that the later gradients see the new C
def tied_step(C, A, B, p, target, tau, eta):
    loss, power = bw.BuresLoss(target, tau), lambda q: np.linalg.matrix_power(A, q)
    C = C - eta * loss.gradient(C @ power(p) @ B) @ (power(p) @ B).T
    G = loss.gradient(C @ power(p) @ B)
    slope = sum((C @ power(q)).T @ G @ (power(p - 1 - q) @ B).T for q in range(p))
    new_B = B - eta * (C @ power(p)).T @ G
    return C, A - eta * slope, new_B
# %% q1 wrong: one function-space gradient, but the partial products see the new C
def tied_step(C, A, B, p, target, tau, eta):
    power = [np.linalg.matrix_power(A, q) for q in range(p + 1)]
    G = bw.BuresLoss(target, tau).gradient(C @ power[p] @ B)
    C = C - eta * G @ (power[p] @ B).T
    slope = sum((C @ power[q]).T @ G @ (power[p - 1 - q] @ B).T for q in range(p))
    return C, A - eta * slope, B - eta * (C @ power[p]).T @ G
# %% q1 wrong: the rule for numbers, p A^(p-1), for the matrix
def tied_step(C, A, B, p, target, tau, eta):
    power = np.linalg.matrix_power(A, p)
    G = bw.BuresLoss(target, tau).gradient(C @ power @ B)
    slope = p * np.linalg.matrix_power(A, p - 1).T @ C.T @ G @ B.T
    return C - eta * G @ (power @ B).T, A - eta * slope, B - eta * (C @ power).T @ G
# %% q1 wrong: the mean over the uses of A
def tied_step(C, A, B, p, target, tau, eta):
    network = bw.DeepLinearNetwork([B, *[A] * p, C])
    first, *inner, last = network.layer_gradients(bw.BuresLoss(target, tau).gradient(network.end_to_end()))
    return C - eta * last, A - eta * sum(inner) / p, B - eta * first
# %% q1 wrong: only the last use of A
def tied_step(C, A, B, p, target, tau, eta):
    network = bw.DeepLinearNetwork([B, *[A] * p, C])
    first, *inner, last = network.layer_gradients(bw.BuresLoss(target, tau).gradient(network.end_to_end()))
    return C - eta * last, A - eta * inner[-1], B - eta * first
# %% q1 wrong: tau forgotten
def tied_step(C, A, B, p, target, tau, eta):
    network = bw.DeepLinearNetwork([B, *[A] * p, C])
    first, *inner, last = network.layer_gradients(bw.BuresLoss(target).gradient(network.end_to_end()))
    return C - eta * last, A - eta * sum(inner), B - eta * first
# %% q1 wrong: the loss with a factor one half
def tied_step(C, A, B, p, target, tau, eta):
    network = bw.DeepLinearNetwork([B, *[A] * p, C])
    first, *inner, last = network.layer_gradients(0.5 * bw.BuresLoss(target, tau).gradient(network.end_to_end()))
    return C - eta * last, A - eta * sum(inner), B - eta * first
# %% q1 wrong: returned in the order B, A, C
def tied_step(C, A, B, p, target, tau, eta):
    network = bw.DeepLinearNetwork([B, *[A] * p, C])
    first, *inner, last = network.layer_gradients(bw.BuresLoss(target, tau).gradient(network.end_to_end()))
    return B - eta * first, A - eta * sum(inner), C - eta * last
# %% q1 wrong: the powers of A without their transposes (right for symmetric A)
def tied_step(C, A, B, p, target, tau, eta):
    power = [np.linalg.matrix_power(A, q) for q in range(p + 1)]
    G = bw.BuresLoss(target, tau).gradient(C @ power[p] @ B)
    slope = sum(power[q] @ C.T @ G @ B.T @ power[p - 1 - q] for q in range(p))
    return C - eta * G @ (power[p] @ B).T, A - eta * slope, B - eta * power[p] @ C.T @ G
# %% q1 wrong: a difference quotient
def tied_step(C, A, B, p, target, tau, eta):
    loss, h = bw.BuresLoss(target, tau), 1e-7
    f = lambda C, A, B: loss.value(C @ np.linalg.matrix_power(A, p) @ B)
    result = []
    for i in range(3):
        slope = np.zeros((C, A, B)[i].shape)
        for place in np.ndindex(slope.shape):
            moved = [M.copy() for M in (C, A, B)]
            moved[i][place] += h
            slope[place] = (f(*moved) - f(C, A, B)) / h
        result.append((C, A, B)[i] - eta * slope)
    return result
# %% q1 wrong: the gradient added
def tied_step(C, A, B, p, target, tau, eta):
    network = bw.DeepLinearNetwork([B, *[A] * p, C])
    first, *inner, last = network.layer_gradients(bw.BuresLoss(target, tau).gradient(network.end_to_end()))
    return C + eta * last, A + eta * sum(inner), B + eta * first
# %% q1 right: the step of the network with free copies of A, whose changes add up
def tied_step(C, A, B, p, target, tau, eta):
    run = bw.gradient_descent(bw.DeepLinearNetwork([B, *[A] * p, C]), bw.BuresLoss(target, tau), eta, max_steps=1, tol=0.0)
    first, *copies, last = run.networks[-1].weights
    return last, A + sum(copy - A for copy in copies), first
# %% q1 wrong: the mean of free copies of A after their step
def tied_step(C, A, B, p, target, tau, eta):
    run = bw.gradient_descent(bw.DeepLinearNetwork([B, *[A] * p, C]), bw.BuresLoss(target, tau), eta, max_steps=1, tol=0.0)
    first, *copies, last = run.networks[-1].weights
    return last, np.mean(copies, axis=0), first
# %% q1 wrong: the same power of A on both sides
def tied_step(C, A, B, p, target, tau, eta):
    power = [np.linalg.matrix_power(A, q) for q in range(p + 1)]
    G = bw.BuresLoss(target, tau).gradient(C @ power[p] @ B)
    slope = sum((C @ power[q]).T @ G @ (power[q] @ B).T for q in range(p))
    return C - eta * G @ (power[p] @ B).T, A - eta * slope, B - eta * (C @ power[p]).T @ G

# %% q2 right: SciPy's root finder in log(eta)
def laziest_step(W0, target, t, epsilon):
    from scipy.optimize import brentq
    start = bw.bures_wasserstein_factors(W0, bw.Covariance(target).factor, squared=True)
    if start <= epsilon:
        return 0
    if epsilon == 0:
        return 0.5
    goal = np.log(epsilon / start)
    return np.exp(brentq(lambda x: 2 * t * np.log1p(-2 * np.exp(x)) - goal, -45, np.log(0.5) - 1e-15, xtol=1e-12))
# %% q2 right: 50 digits
def laziest_step(W0, target, t, epsilon):
    import decimal
    with decimal.localcontext() as context:
        context.prec = 50
        start = decimal.Decimal(float(bw.bures_wasserstein(W0 @ W0.T, target))) ** 2
        quotient = decimal.Decimal(float(epsilon)) / start
        if quotient >= 1:
            return 0.0
        root = quotient ** (1 / decimal.Decimal(2 * t)) if quotient else decimal.Decimal(0)
        return float((1 - root) / 2)
# %% q2 wrong: cancellation
def laziest_step(W0, target, t, epsilon):
    start = bw.BuresLoss(target).value(W0)
    return max(0.0, (1 - (epsilon / start) ** (1 / (2 * t))) / 2)
# %% q2 wrong: the error instead of the loss (square forgotten)
def laziest_step(W0, target, t, epsilon):
    start = bw.BuresLoss(target).value(W0)
    if start <= epsilon:
        return 0.0
    return -np.expm1(np.log(epsilon / start) / t) / 2 if epsilon else 0.5
# %% q2 wrong: the factor 1 - eta
def laziest_step(W0, target, t, epsilon):
    start = bw.BuresLoss(target).value(W0)
    if start <= epsilon:
        return 0.0
    return -np.expm1(np.log(epsilon / start) / (2 * t)) if epsilon else 0.5
# %% q2 wrong: the flow's law exp(-4 eta t)
def laziest_step(W0, target, t, epsilon):
    start = bw.BuresLoss(target).value(W0)
    return min(0.5, max(0.0, np.log(start / epsilon) / (4 * t))) if epsilon else 0.5
# %% q2 wrong: negative where nothing has to be done
def laziest_step(W0, target, t, epsilon):
    start = bw.BuresLoss(target).value(W0)
    return -np.expm1(np.log(epsilon / start) / (2 * t)) / 2 if epsilon else 0.5
# %% q2 wrong: the distance instead of its square at the start
def laziest_step(W0, target, t, epsilon):
    start = bw.bures_wasserstein(W0 @ W0.T, target)
    if start <= epsilon:
        return 0.0
    return -np.expm1(np.log(epsilon / start) / (2 * t)) / 2 if epsilon else 0.5
# %% q2 wrong: the factor epsilon, not the loss epsilon
def laziest_step(W0, target, t, epsilon):
    if epsilon >= 1:
        return 0.0
    return -np.expm1(np.log(epsilon) / (2 * t)) / 2 if epsilon else 0.5
# %% q2 wrong: always the minimiser in one step
def laziest_step(W0, target, t, epsilon):
    return 0.5 if bw.BuresLoss(target).value(W0) > epsilon else 0.0
# %% q2 wrong: bisection to absolute accuracy
def laziest_step(W0, target, t, epsilon):
    start, low, high = bw.BuresLoss(target).value(W0), 0.0, 0.5
    if start <= epsilon:
        return 0.0
    while high - low > 1e-14:
        middle = (low + high) / 2
        low, high = (low, middle) if (1 - 2 * middle) ** (2 * t) * start <= epsilon else (middle, high)
    return high
# %% q2 wrong: the loss of the roots (right if W0 is positive semidefinite and commutes with the target)
def laziest_step(W0, target, t, epsilon):
    n = len(target)
    start = np.sum((bw.sqrtm_psd(W0 @ W0.T) - bw.sqrtm_psd(target)) ** 2)
    if start <= epsilon:
        return 0.0
    return -np.expm1(np.log(epsilon / start) / (2 * t)) / 2 if epsilon else 0.5
# %% q2 right: three terms of a series for large t
def laziest_step(W0, target, t, epsilon):
    start = bw.BuresLoss(target).value(W0)
    if start <= epsilon:
        return 0
    if epsilon == 0:
        return 0.5
    a = np.log(start / epsilon) / (2 * t)
    return (1 - np.exp(-a)) / 2 if a > 1e-3 else a / 2 * (1 - a / 2 + a**2 / 6)
# %% q2 wrong: two terms of a series for large t
def laziest_step(W0, target, t, epsilon):
    start = bw.BuresLoss(target).value(W0)
    if start <= epsilon:
        return 0.0
    if epsilon == 0:
        return 0.5
    a = np.log(start / epsilon) / (2 * t)
    return (1 - np.exp(-a)) / 2 if a > 1e-3 else a / 2 * (1 - a / 2)

# %% q3 right: general eigenvalues of the derivative
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    D = np.diag([r for W, r in zip(weights, ratios) for _ in range(W.size)])
    return 2 / max(z.real for z in np.linalg.eigvals(D @ H))
# %% q3 right: a power method with products only
def layerwise_limit(weights, target, tau, ratios):
    operator = bw.parameter_hessian_operator(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    root = np.sqrt(np.repeat(ratios, [W.size for W in weights]))
    x, old, new = np.random.default_rng(0).standard_normal(len(root)), 0.0, 1.0
    while abs(new - old) > 1e-12 * new:
        y = root * (operator @ (root * x))
        old, new = new, np.linalg.norm(y) / np.linalg.norm(x)
        x = y / np.linalg.norm(y)
    return 2 / float(new)
# %% q3 right: the rescaled network, whose loss has another target
def layerwise_limit(weights, target, tau, ratios):
    # With W_j = sqrt(r_j) V_j the step is ordinary descent in V of the function V -> L(W), whose Hessian we take by
    # central differences of the gradient.
    sizes = np.cumsum([W.size for W in weights])
    roots = np.sqrt(ratios)
    loss = bw.BuresLoss(target, tau)

    def slope(v):
        layers = [r * part.reshape(W.shape) for r, part, W in zip(roots, np.split(v, sizes[:-1]), weights)]
        net = bw.DeepLinearNetwork(layers)
        return np.concatenate([r * g.ravel() for r, g in zip(roots, net.layer_gradients(loss.gradient(net.end_to_end())))])

    v = np.concatenate([W.ravel() / r for r, W in zip(roots, weights)])
    H = np.array([(slope(v + 1e-5 * e) - slope(v - 1e-5 * e)) / 2e-5 for e in np.eye(len(v))])
    return 2 / np.linalg.eigvalsh((H + H.T) / 2)[-1]
# %% q3 wrong: the symmetric solver for a matrix that is not symmetric
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    D = np.concatenate([np.full(W.size, r) for W, r in zip(weights, ratios)])
    return 2 / np.linalg.eigvalsh(D[:, None] * H)[-1]
# %% q3 wrong: the ratios on both sides, without the root
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    D = np.concatenate([np.full(W.size, r) for W, r in zip(weights, ratios)])
    return 2 / np.linalg.eigvalsh(D[:, None] * H * D)[-1]
# %% q3 wrong: one over the eigenvalue
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    D = np.concatenate([np.full(W.size, r) for W, r in zip(weights, ratios)])
    return 1 / np.linalg.eigvals(D[:, None] * H).real.max()
# %% q3 wrong: the largest ratio for all layers (a bound only)
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    return 2 / (max(ratios) * np.linalg.eigvalsh(H)[-1])
# %% q3 wrong: the ratios ignored
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    return 2 / np.linalg.eigvalsh(H)[-1]
# %% q3 wrong: the limit of the balanced minimum, times the mean ratio
def layerwise_limit(weights, target, tau, ratios):
    N, top = len(weights), np.linalg.eigvalsh(target)[-1]
    return top / (np.mean(ratios) * N * (top - tau) ** ((2 * N - 1) / N))
# %% q3 wrong: layer by layer, mixed second derivatives forgotten
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    ends = np.cumsum([0] + [W.size for W in weights])
    return 2 / max(r * np.linalg.eigvalsh(H[a:b, a:b])[-1] for r, a, b in zip(ratios, ends, ends[1:]))
# %% q3 wrong: tau forgotten
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(np.asarray(target) - tau * np.eye(len(target))))
    D = np.concatenate([np.full(W.size, r) for W, r in zip(weights, ratios)])
    return 2 / np.linalg.eigvals(D[:, None] * H).real.max()
# %% q3 wrong: the top singular pair only, as in the lower bound of the proposition
def layerwise_limit(weights, target, tau, ratios):
    W = bw.DeepLinearNetwork(weights).end_to_end()
    U, s, Vt = np.linalg.svd(W)
    total = 0.0
    for j, r in enumerate(ratios):
        left, right = U[:, 0], Vt[0]
        for layer in weights[:j]:
            right = layer @ right
        for layer in weights[:j:-1]:
            left = layer.T @ left
        total += r * (left @ left) * (right @ right)
    return 1 / (total * (1 - tau / np.linalg.eigvalsh(target)[-1]))
# %% q3 wrong: ratios in the reverse order
def layerwise_limit(weights, target, tau, ratios):
    H = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    D = np.concatenate([np.full(W.size, r) for W, r in zip(weights, ratios[::-1])])
    return 2 / np.linalg.eigvals(D[:, None] * H).real.max()
# %% q3 wrong: the largest singular value of the product, not its eigenvalue
def layerwise_limit(weights, target, tau, ratios):
    hessian = bw.parameter_hessian(bw.DeepLinearNetwork(weights), bw.BuresLoss(target, tau))
    r = np.concatenate([np.full(W.size, r) for W, r in zip(weights, ratios)])
    return 2 / np.linalg.norm(r[:, None] * hessian, 2)

# %% q4 right: powers through logarithms, search from above
def steps_to_angle(W0, target, angle):
    values, vectors = np.linalg.eigh(target)
    values, vectors = np.maximum(values[::-1], 0), vectors[:, ::-1]
    values[values < 1e-13 * values[0]] = 0
    k = W0.shape[1]
    X = np.sqrt(values)[:, None] * (vectors.T @ W0)
    if np.linalg.svd(X[:k])[1][-1] < 1e-9 * np.linalg.norm(X):
        return None
    Y = np.linalg.solve(X[:k].T, X[k:].T).T
    with np.errstate(divide="ignore", invalid="ignore"):
        logs = np.log(values[k:, None]) - np.log(values[:k])
    size = lambda t: np.linalg.svd(Y * np.exp(t * logs) if t else Y, compute_uv=False)[0]
    low, high = -1, 10**10
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if np.arctan(size(middle)) <= angle else (middle, high)
    return high
# %% q4 right: columns scaled by powers of the eigenvalues, search by growing jumps
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.svd(np.linalg.qr(C)[0][:k])[1][-1] < 1e-9:
        return None
    tangents = C[k:] @ np.linalg.inv(C[:k])

    def too_far(t):
        weights = np.array([[(low / high) ** t for high in lam[:k]] for low in lam[k:]])
        return np.arctan(np.linalg.norm(weights * tangents, 2)) > angle

    t, jump = 0, 1
    while too_far(t):
        while too_far(t + jump):
            t, jump = t + jump, 2 * jump
        if jump == 1:
            return np.int64(t + 1)
        jump = 1
    return t
# %% q4 wrong: takes the steps
def steps_to_angle(W0, target, angle):
    from scipy.linalg import subspace_angles
    cov, k = bw.Covariance(target), W0.shape[1]
    U = np.linalg.qr(cov.root @ W0)[0]
    for t in range(2000):
        if subspace_angles(U, cov.eigenvectors[:, :k]).max() <= angle:
            return t
        U = np.linalg.qr(target @ U)[0]
    return None
# %% q4 wrong: the bound by the slowest mode, not the exact slopes
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, Omega = cov.eigenvalues, cov.eigenvectors
    X = cov.root @ W0
    top = Omega[:, :k].T @ X
    if np.linalg.svd(top)[1][-1] < 1e-10:
        return None
    start = np.linalg.norm(Omega[:, k:].T @ X @ np.linalg.inv(top), 2)
    if start <= np.tan(angle):
        return 0
    return 1 if lam[k] == 0 else int(np.ceil(np.log(start / np.tan(angle)) / np.log(lam[k - 1] / lam[k])))
# %% q4 wrong: the range of W, not of R W
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y, t = C[k:] @ np.linalg.inv(C[:k]), 0
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y, 2)
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 wrong: the smallest angle
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.svd((lam[k:, None] / lam[:k]) ** t * Y)[1][-1]
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 wrong: the sine for the tangent
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y, 2)
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.sin(angle) else (middle, high)
    return high
# %% q4 wrong: the squared quotients, the rate of the loss gap
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** (2 * t) * Y, 2)
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 wrong: the Frobenius norm, all angles together
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y)
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 wrong: a start that lacks a direction finds it by rounding
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.det(C[:k]) == 0:
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y, 2)
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 wrong: judges the start by a condition number, which is 1 for every number but zero
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.cond(C[:k]) > 1e9:
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y, 2)
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 wrong: one step too many
def steps_to_angle(W0, target, angle):
    cov, k = bw.Covariance(target), W0.shape[1]
    lam, C = cov.eigenvalues, cov.eigenvectors.T @ cov.root @ W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y, 2)
    low, high = 0, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 wrong: eigenvalues in ascending order
def steps_to_angle(W0, target, angle):
    lam, Omega = np.linalg.eigh(target)
    k = W0.shape[1]
    C = Omega.T @ bw.sqrtm_psd(target) @ W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    for t in range(1000):
        if np.linalg.norm((lam[:k] / lam[k:, None]) ** t * Y, 2) <= np.tan(angle):
            return t
    return None
# %% q4 wrong: an axis-parallel eigenbasis taken for granted
def steps_to_angle(W0, target, angle):
    lam, k = np.diag(target), W0.shape[1]
    C = np.sqrt(lam)[:, None] * W0
    if np.linalg.svd(C[:k])[1][-1] < 1e-9 * np.linalg.norm(C):
        return None
    Y = C[k:] @ np.linalg.inv(C[:k])
    size = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y, 2)
    low, high = -1, 10**9
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if size(middle) <= np.tan(angle) else (middle, high)
    return high
# %% q4 right: an orthonormal basis first, bisection from above with NumPy's integers
def steps_to_angle(W0, target, angle):
    lam, Omega = np.linalg.eigh(target)
    lam, Omega, k = np.maximum(lam[::-1], 0), Omega[:, ::-1], W0.shape[1]
    X = Omega.T @ bw.sqrtm_psd(target) @ W0
    if np.linalg.svd(X[:k], compute_uv=False)[-1] < 1e-9 * np.linalg.norm(X):
        return None
    Q = np.linalg.qr(X)[0]
    Y = np.linalg.solve(Q[:k].T, Q[k:].T).T
    found = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * Y, 2) <= np.tan(angle)
    low, high = np.int64(-1), np.int64(10**8)
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
# %% q4 wrong: powers of the eigenvalues that vanish
def steps_to_angle(W0, target, angle):
    from scipy.linalg import subspace_angles
    S = bw.Covariance(target)
    Y, k = S.eigenvectors.T @ S.root @ W0, W0.shape[1]
    if np.linalg.svd(Y[:k], compute_uv=False)[-1] < 1e-10 * np.linalg.norm(Y):
        return None
    lam, leading = S.eigenvalues / S.eigenvalues[0], np.eye(len(Y))[:, :k]
    found = lambda t: subspace_angles(np.linalg.qr(lam[:, None] ** t * Y)[0], leading).max() <= angle
    low, high = -1, 10**8
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
# %% q4 wrong: begins to count at one
def steps_to_angle(W0, target, angle):
    S = bw.Covariance(target)
    Y, lam, k = S.eigenvectors.T @ S.root @ W0, S.eigenvalues, W0.shape[1]
    if np.linalg.svd(Y[:k], compute_uv=False)[-1] < 1e-10 * np.linalg.norm(Y):
        return None
    slopes = Y[k:] @ np.linalg.inv(Y[:k])
    found = lambda t: np.linalg.norm((lam[k:, None] / lam[:k]) ** t * slopes, 2) <= np.tan(angle)
    low, high = 0, 10**8
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high
# %% q4 wrong: norm of the lower part over least singular value of the upper part
def steps_to_angle(W0, target, angle):
    S = bw.Covariance(target)
    Y, k = S.eigenvectors.T @ S.root @ W0, W0.shape[1]
    if np.linalg.svd(Y[:k], compute_uv=False)[-1] < 1e-10 * np.linalg.norm(Y):
        return None
    lam = S.eigenvalues[:, None] / S.eigenvalues[k - 1]
    def found(t):
        upper = np.linalg.svd(np.minimum(lam[:k] ** min(t, 500), 1e100) * Y[:k], compute_uv=False)[-1]
        return np.linalg.norm(lam[k:] ** t * Y[k:], 2) <= np.tan(angle) * upper
    low, high = -1, 10**8
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if found(middle) else (middle, high)
    return high

# %% q5 right: logarithms, linear equations
def eigenvalues_from_runs(first, second):
    logs = [np.log((1 - f**0.5) / (2 * eta)) for _, eta, f in (first, second)]
    log_gap, log_top = np.linalg.solve([[1, -1 / first[0]], [1, -1 / second[0]]], logs)
    return np.array([np.exp(log_top), np.exp(log_top) - np.exp(log_gap)])
# %% q5 right: a root finder for lambda_k
def eigenvalues_from_runs(first, second):
    from scipy.optimize import brentq
    speed = lambda run: (1 - np.sqrt(run[2])) / (2 * run[1])
    gap = lambda run, x: speed(run) * np.exp(x / run[0])
    x = brentq(lambda x: np.log(gap(first, x) / gap(second, x)), -40, 40, xtol=1e-13)
    return (float(np.exp(x)), float(np.exp(x) - gap(second, x)))
# %% q5 wrong: the loss gap taken for an error (root forgotten)
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = (1 - f1) / eta1, (1 - f2) / eta2
    top = (a / b) ** (1 / (1 / N2 - 1 / N1))
    return [top, top - a * top ** (1 / N1) / 2]
# %% q5 wrong: the rate of the loss gap, 1 - f over eta, with the factor 4
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = (1 - f1) / eta1, (1 - f2) / eta2
    top = (a / b) ** (1 / (1 / N2 - 1 / N1))
    return [top, top - a * top ** (1 / N1) / 4]
# %% q5 wrong: the flow, exp(-2 gamma eta)
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = -np.log(f1) / (2 * eta1), -np.log(f2) / (2 * eta2)
    top = (a / b) ** (1 / (1 / N2 - 1 / N1))
    return [top, top - a * top ** (1 / N1) / 2]
# %% q5 wrong: depth multiplies the slowest rate by N
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = (1 - f1**0.5) / eta1 / N1, (1 - f2**0.5) / eta2 / N2
    top = (a / b) ** (1 / (1 / N2 - 1 / N1))
    return [top, top - a * top ** (1 / N1) / 2]
# %% q5 wrong: the step sizes ignored
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = 1 - f1**0.5, 1 - f2**0.5
    top = (a / b) ** (1 / (1 / N2 - 1 / N1))
    return [top, top - a / eta1 * top ** (1 / N1) / 2]
# %% q5 wrong: for the depths 1 and 2 only
def eigenvalues_from_runs(first, second):
    (_, eta1, f1), (_, eta2, f2) = sorted([first, second])
    a, b = (1 - f1**0.5) / eta1, (1 - f2**0.5) / eta2
    top = (b / a) ** 2
    return [top, top * (1 - a / 2)]
# %% q5 wrong: the factor two of the rate forgotten
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = (1 - f1**0.5) / eta1, (1 - f2**0.5) / eta2
    top = (a / b) ** (1 / (1 / N2 - 1 / N1))
    return [top, top - a * top ** (1 / N1)]
# %% q5 wrong: the gap instead of the second eigenvalue
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = (1 - f1**0.5) / eta1, (1 - f2**0.5) / eta2
    top = (a / b) ** (1 / (1 / N2 - 1 / N1))
    return [top, a * top ** (1 / N1) / 2]
# %% q5 wrong: the power of lambda_k with the wrong sign
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = (1 - f1**0.5) / eta1, (1 - f2**0.5) / eta2
    top = (a / b) ** (1 / (1 / N1 - 1 / N2))
    return [top, top - a * top ** (-1 / N1) / 2]
# %% q5 wrong: the slowest inside rate taken for the slowest
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    top = ((1 - f1**0.5) / (2 * N1 * eta1)) ** (N1 / (N1 - 1)) if N1 > 1 else ((1 - f2**0.5) / (2 * N2 * eta2)) ** (N2 / (N2 - 1))
    return [top, top / 2]
# %% q5 wrong: the power of lambda_k of the rates inside
def eigenvalues_from_runs(first, second):
    (N1, eta1, f1), (N2, eta2, f2) = first, second
    a, b = (1 - np.sqrt(f1)) / eta1, (1 - np.sqrt(f2)) / eta2
    lam = (a / b) ** (1 / ((N1 - 1) / N1 - (N2 - 1) / N2))
    return [lam, lam - a / 2 * lam ** (-(N1 - 1) / N1)]
