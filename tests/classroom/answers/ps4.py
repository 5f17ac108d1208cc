# Answers to the questions of problem set 4 that are marked by tests.  Each block takes the place of the model
# solution of its question.  A wrong answer must get no point, a right one all.

# %% q1 right: the largest real root of a polynomial
def final_layers(w, lam, tau):
    squares = np.square(w)
    polynomial = np.poly(-(squares - squares[0]))
    polynomial[-1] -= lam - tau
    roots = np.roots(polynomial)
    x = max(r.real for r in roots if abs(r.imag) < 1e-6 * (1 + abs(r)))
    return [np.sign(v) * np.sqrt(x + v * v - squares[0]) for v in w]
# %% q1 right: bisection for the smallest square
def final_layers(w, lam, tau):
    least = min(v * v for v in w)
    low, high = 0.0, lam + 1.0
    for _ in range(200):
        middle = (low + high) / 2
        product = 1.0
        for v in w:
            product *= middle + v * v - least
        low, high = (middle, high) if product < lam - tau else (low, middle)
    return [float(np.copysign((low + v * v - least) ** 0.5, v)) for v in w]
# %% q1 right: the flow itself, long enough
def final_layers(w, lam, tau):
    chain = bw.DeepLinearNetwork([[[float(v)]] for v in w])
    flow = bw.gradient_flow(chain, bw.BuresLoss([[lam]], tau), [0.0, 25.0])
    return np.array([W.item() for W in flow.networks[-1].weights])
# %% q1 wrong: the balanced minimiser
def final_layers(w, lam, tau):
    return np.sign(w) * (lam - tau) ** (0.5 / len(w))
# %% q1 wrong: all layers grow by one factor
def final_layers(w, lam, tau):
    return w * (np.sqrt(lam - tau) / abs(np.prod(w))) ** (1 / len(w))
# %% q1 wrong: the variance instead of the standard deviation
def final_layers(w, lam, tau):
    d = w**2 - np.min(w**2)
    y = scipy.optimize.brentq(lambda y: np.prod(y + d) - (lam - tau) ** 2, 0, 100.0)
    return np.sign(w) * np.sqrt(y + d)
# %% q1 wrong: smoothing forgotten
def final_layers(w, lam, tau):
    d = w**2 - np.min(w**2)
    y = scipy.optimize.brentq(lambda y: np.prod(y + d) - lam, 0, 2 + 2 * lam)
    return np.sign(w) * np.sqrt(y + d)
# %% q1 wrong: signs lost
def final_layers(w, lam, tau):
    d = w**2 - np.min(w**2)
    y = scipy.optimize.brentq(lambda y: np.prod(y + d) - (lam - tau), 0, 2 + 2 * lam)
    return np.sqrt(y + d)
# %% q1 wrong: the end-to-end number is always positive
def final_layers(w, lam, tau):
    d = w**2 - np.min(w**2)
    y = scipy.optimize.brentq(lambda y: np.prod(y + d) - (lam - tau), 0, 2 + 2 * lam)
    end = np.sign(w) * np.sqrt(y + d)
    end[0] *= np.sign(np.prod(w))
    return end
# %% q1 wrong: differences are conserved, not differences of squares
def final_layers(w, lam, tau):
    d = np.abs(w) - np.min(np.abs(w))
    y = scipy.optimize.brentq(lambda y: np.prod(y + d) - np.sqrt(lam - tau), 0, 2 + 2 * lam)
    return np.sign(w) * (y + d)
# %% q1 wrong: only if the first layer is the smallest
def final_layers(w, lam, tau):
    d = np.maximum(w**2 - w[0] ** 2, 0)
    y = scipy.optimize.brentq(lambda y: np.prod(y + d) - (lam - tau), 0, 2 + 2 * lam)
    return np.sign(w) * np.sqrt(y + d)
# %% q1 wrong: two layers only
def final_layers(w, lam, tau):
    if len(w) == 1:
        return np.sign(w) * np.sqrt(lam - tau)
    d = w[1] ** 2 - w[0] ** 2
    x = (-d + np.sqrt(d**2 + 4 * (lam - tau))) / 2
    return np.sign(w[:2]) * np.sqrt([x, x + d])
# %% q1 wrong: a flow that is stopped too early
def final_layers(w, lam, tau):
    chain = bw.DeepLinearNetwork([[[float(v)]] for v in w])
    flow = bw.gradient_flow(chain, bw.BuresLoss([[lam]], tau), [0.0, 1.0])
    return np.array([W.item() for W in flow.networks[-1].weights])
# %% q1 right: Newton's method from the start, seven digits kept
def final_layers(w, lam, tau):
    squares, x = np.square(w), 0.0
    for _ in range(100):
        product = np.prod(squares + x)
        x -= (product - (lam - tau)) / (product * np.sum(1 / (squares + x)))
    return [float(f"{np.copysign(v, sign):.7g}") for v, sign in zip(np.sqrt(squares + x), w)]
# %% q1 wrong: the layers only grow
def final_layers(w, lam, tau):
    f = lambda x: np.prod(w**2 + x) - (lam - tau)
    x = scipy.optimize.brentq(f, 0, 2 + 2 * lam) if f(0) < 0 else 0.0
    return np.sign(w) * np.sqrt(w**2 + x)
# %% q1 wrong: any real root of the polynomial
def final_layers(w, lam, tau):
    squares = np.square(w)
    polynomial = np.poly(-squares)
    polynomial[-1] -= lam - tau
    roots = np.roots(polynomial)
    x = min(r.real for r in roots if abs(r.imag) < 1e-8)
    return np.sign(w) * np.sqrt(np.abs(squares + x))

# %% q2 right: loops and log1p
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    sigma = [x if x > 1e-12 * s[0] else 0.0 for x in s] + [0.0] * max(n, m)
    F = U.T @ G @ Vt.T
    for a in range(n):
        for b in range(m):
            big, small = max(sigma[a], sigma[b]), min(sigma[a], sigma[b])
            if small == 0:
                F[a, b] = 0.0
            elif big == small:
                F[a, b] *= big**2
            else:
                F[a, b] *= (big - small) * (big + small) / (2 * np.log1p((big - small) / small))
    return -(U @ F @ Vt)
# %% q2 right: the integral of fractional powers, by Gauss's rule
def deep_velocity(W, G):
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    keep = s > 1e-12 * s[0]
    U, s, Vt = U[:, keep], s[keep], Vt[keep]
    x, w = np.polynomial.legendre.leggauss(80)
    F = U.T @ G @ Vt.T
    total = sum(wi / 2 * s[:, None] ** (1 - xi) * F * s ** (1 + xi) for xi, wi in zip(x, w))
    return -U @ total @ Vt
# %% q2 right: a series where the singular values are close
def deep_velocity(W, G):
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    r = int(np.sum(s > 1e-12 * s[0]))
    U, s, Vt = U[:, :r], s[:r], Vt[:r]
    a, b = np.meshgrid(s, s, indexing="ij")
    h = np.log(a) - np.log(b)
    near = np.abs(h) < 1e-2
    with np.errstate(invalid="ignore", divide="ignore"):
        mean = np.where(near, a * b * (1 + h**2 / 6 + h**4 / 120 + h**6 / 5040), (a**2 - b**2) / (2 * h))
    return -U @ (mean * (U.T @ G @ Vt.T)) @ Vt
# %% q2 wrong: cancellation for nearly equal singular values
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m)))
    F = U.T @ G @ Vt.T
    for a in range(n):
        for b in range(m):
            p, q = s[a] ** 2, s[b] ** 2
            F[a, b] *= 0 if p * q == 0 else p if p == q else (p - q) / (np.log(p) - np.log(q))
    return -U @ F @ Vt
# %% q2 wrong: nearly equal counts as equal
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m)))
    F = U.T @ G @ Vt.T
    for a in range(n):
        for b in range(m):
            p, q = s[a] ** 2, s[b] ** 2
            F[a, b] *= 0 if p * q == 0 else p if np.isclose(p, q, atol=0) else (p - q) / (np.log(p) - np.log(q))
    return -U @ F @ Vt
# %% q2 wrong: many layers, but finitely many
def deep_velocity(W, G):
    from bwlib.networks import multipliers
    n, m = W.shape
    N = 10**6
    U, s, Vt = np.linalg.svd(W)
    s = np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m)))
    return -U @ (multipliers(s ** (2 / N), N)[:n, :m] / N * (U.T @ G @ Vt.T)) @ Vt
# %% q2 wrong: rounding noise is not set to zero
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.append(s, np.zeros(max(n, m)))
    large, small = np.maximum.outer(s[:n], s[:m]), np.minimum.outer(s[:n], s[:m])
    h = np.log1p(np.divide(large - small, small, out=np.zeros((n, m)), where=small > 0))
    mean = large * small * np.divide(np.sinh(h), h, out=np.ones((n, m)), where=h > 0)
    return -U @ (mean * (U.T @ G @ Vt.T)) @ Vt
# %% q2 wrong: the gradient, not the velocity
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m)))
    large, small = np.maximum.outer(s[:n], s[:m]), np.minimum.outer(s[:n], s[:m])
    h = np.log1p(np.divide(large - small, small, out=np.zeros((n, m)), where=small > 0))
    mean = large * small * np.divide(np.sinh(h), h, out=np.ones((n, m)), where=h > 0)
    return U @ (mean * (U.T @ G @ Vt.T)) @ Vt
# %% q2 wrong: the arithmetic mean
def deep_velocity(W, G):
    return -(W @ W.T @ G + G @ W.T @ W) / 2
# %% q2 wrong: the geometric mean
def deep_velocity(W, G):
    U, s, Vt = np.linalg.svd(W, full_matrices=False)
    return -U @ (np.outer(s, s) * (U.T @ G @ Vt.T)) @ Vt
# %% q2 wrong: the mean of the singular values, not of their squares
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.sqrt(np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m))))
    large, small = np.maximum.outer(s[:n], s[:m]), np.minimum.outer(s[:n], s[:m])
    h = np.log1p(np.divide(large - small, small, out=np.zeros((n, m)), where=small > 0))
    mean = large * small * np.divide(np.sinh(h), h, out=np.ones((n, m)), where=h > 0)
    return -U @ (mean * (U.T @ G @ Vt.T)) @ Vt
# %% q2 wrong: twice the mean
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m)))
    F = U.T @ G @ Vt.T
    for a in range(n):
        for b in range(m):
            x, y = max(s[a], s[b]), min(s[a], s[b])
            F[a, b] *= 0 if y == 0 else x**2 if x == y else (x - y) * (x + y) / np.log1p((x - y) / y)
    return -U @ F @ Vt
# %% q2 wrong: square matrices only
def deep_velocity(W, G):
    U, s, Vt = np.linalg.svd(W)
    s = np.where(s > 1e-12 * s[0], s, 0)
    large, small = np.maximum.outer(s, s), np.minimum.outer(s, s)
    h = np.log1p(np.divide(large - small, small, out=np.zeros_like(large), where=small > 0))
    mean = large * small * np.divide(np.sinh(h), h, out=np.ones_like(large), where=h > 0)
    return -U @ (mean * (U.T @ G @ Vt.T)) @ Vt
# %% q2 wrong: only the speed of the singular values
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    F = U.T @ G @ Vt.T
    D = np.zeros((n, m))
    for i in range(len(s)):
        D[i, i] = s[i] ** 2 * F[i, i]
    return -U @ D @ Vt
# %% q2 wrong: cancellation above a threshold
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m)))
    F = U.T @ G @ Vt.T
    for a in range(n):
        for b in range(m):
            p, q = s[a] ** 2, s[b] ** 2
            F[a, b] *= 0 if p * q == 0 else p if abs(p - q) < 1e-8 * p else (p - q) / (np.log(p) - np.log(q))
    return -U @ F @ Vt
# %% q2 wrong: hundreds of layers, extrapolated
def deep_velocity(W, G):
    n, m = W.shape
    U, s, Vt = np.linalg.svd(W)
    s = np.append(np.where(s > 1e-12 * s[0], s, 0), np.zeros(max(n, m)))
    mean = lambda N: sum(s[:n, None] ** (2 * (N - j) / N) * s[:m] ** (2 * (j - 1) / N) for j in range(1, N + 1)) / N
    return -U @ ((8 * mean(800) - 6 * mean(400) + mean(200)) / 3 * (U.T @ G @ Vt.T)) @ Vt

# %% q3 right: a root of the library's solution
def learning_times(W0, target, depth, share):
    Sigma = bw.Covariance(target)
    times = []
    for lam, omega in zip(Sigma.eigenvalues, Sigma.eigenvectors.T):
        s0, goal = np.sqrt(omega @ W0 @ W0.T @ omega), np.sqrt(lam)
        end, high = s0 + share * (goal - s0), 1.0
        gap = lambda t: (bw.aligned_flow(s0, lam, depth, t) - end) * np.sign(s0 - goal)
        while gap(high) > 0:
            high *= 2
        times.append(scipy.optimize.brentq(gap, 0, high, rtol=1e-12))
    return times
# %% q3 right: quadrature over the logarithm
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    result = []
    for i in range(len(lam) - 1, -1, -1):
        s0, g = np.linalg.norm(Omega[:, i] @ W0), np.sqrt(lam[i])
        end = (1 - share) * s0 + share * g
        f = lambda y: np.exp(y * (2 / depth - 1)) / (2 * depth * (g - np.exp(y)))
        result.append(scipy.integrate.quad(f, np.log(s0), np.log(end), epsrel=1e-11, limit=200)[0])
    return np.array(result)
# %% q3 right: closed forms in a loop, modes from the product with the target's eigenvectors
def learning_times(W0, target, depth, share):
    Sigma = bw.Covariance(target)
    S = Sigma.eigenvectors.T @ W0 @ W0.T @ Sigma.eigenvectors
    result = []
    for i, lam in enumerate(Sigma.eigenvalues):
        g, a = lam**0.5, S[i, i] ** 0.5
        b = a + share * (g - a)
        if depth == 1:
            result.append(0.5 * np.log((a - g) / (b - g)))
        elif depth == 2:
            result.append((np.log(b / abs(g - b)) - np.log(a / abs(g - a))) / (4 * g))
        else:
            r = g ** (1 / 3)
            F = lambda u: (-1 / (2 * r**3 * u) - np.log(abs(r - u)) / (6 * r**4) + np.log(u * u + r * u + r * r) / (12 * r**4)
                           - np.arctan((2 * u + r) / (3**0.5 * r)) / (2 * 3**0.5 * r**4))
            result.append(F(b ** (1 / 3)) - F(a ** (1 / 3)))
    return np.array(result)
# %% q3 wrong: sorted singular values need not belong to the sorted eigenvalues
def learning_times(W0, target, depth, share):
    s0 = np.linalg.svd(W0, compute_uv=False)
    return modes_in_time(s0, np.linalg.eigvalsh(target)[::-1], depth, share, 2 * depth)

def modes_in_time(s0, lam, depth, share, speed):
    times = []
    for a, g in zip(s0, np.sqrt(lam)):
        b = a + share * (g - a)
        f = lambda y: np.exp(y * (2 / depth - 1)) / (speed * (g - np.exp(y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(b), epsrel=1e-11, limit=200)[0])
    return np.array(times)
# %% q3 wrong: ascending order
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    s0 = np.linalg.norm(Omega.T @ W0, axis=1)
    times = []
    for a, g in zip(s0, np.sqrt(lam)):
        b = a + share * (g - a)
        f = lambda y: np.exp(y * (2 / depth - 1)) / (2 * depth * (g - np.exp(y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(b), epsrel=1e-11, limit=200)[0])
    return np.array(times)
# %% q3 wrong: diagonal matrices only
def learning_times(W0, target, depth, share):
    lam = np.diag(target)
    order = np.argsort(lam)[::-1]
    s0, g = np.linalg.norm(W0, axis=1)[order], np.sqrt(lam[order])
    times = []
    for a, goal in zip(s0, g):
        b = a + share * (goal - a)
        f = lambda y: np.exp(y * (2 / depth - 1)) / (2 * depth * (goal - np.exp(y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(b), epsrel=1e-11, limit=200)[0])
    return np.array(times)
# %% q3 wrong: the variance as the goal
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    s0, g = np.linalg.norm(Omega.T @ W0, axis=1)[::-1], lam[::-1]
    times = []
    for a, goal in zip(s0, g):
        b = a + share * (goal - a)
        f = lambda y: np.exp(y * (2 / depth - 1)) / (2 * depth * (goal - np.exp(y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(b), epsrel=1e-11, limit=200)[0])
    return np.array(times)
# %% q3 wrong: a share of the goal, not of the way
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    s0, g = np.linalg.norm(Omega.T @ W0, axis=1)[::-1], np.sqrt(lam[::-1])
    times = []
    for a, goal in zip(s0, g):
        f = lambda y: np.exp(y * (2 / depth - 1)) / (2 * depth * (goal - np.exp(y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(share * goal), epsrel=1e-11, limit=200)[0])
    return np.array(times)
# %% q3 wrong: a factor of two in the speed
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    s0, g = np.linalg.norm(Omega.T @ W0, axis=1)[::-1], np.sqrt(lam[::-1])
    times = []
    for a, goal in zip(s0, g):
        b = a + share * (goal - a)
        f = lambda y: np.exp(y * (2 / depth - 1)) / (depth * (goal - np.exp(y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(b), epsrel=1e-11, limit=200)[0])
    return np.array(times)
# %% q3 wrong: the speed of the Frobenius loss
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    s0, g = np.linalg.norm(Omega.T @ W0, axis=1)[::-1], np.sqrt(lam[::-1])
    times = []
    for a, goal in zip(s0, g):
        b = a + share * (goal - a)
        f = lambda y: np.exp(y * (2 / depth - 2)) / (4 * depth * (goal**2 - np.exp(2 * y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(b), epsrel=1e-11, limit=200)[0])
    return np.array(times)
# %% q3 wrong: depth 3 treated like depth 2
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    s0, g = np.linalg.norm(Omega.T @ W0, axis=1)[::-1], np.sqrt(lam[::-1])
    if depth == 1:
        return np.full(len(g), -np.log(1 - share) / 2)
    return np.log((s0 + share * (g - s0)) / (s0 * (1 - share))) / (2 * depth * g)
# %% q3 wrong: from below only
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    g, s0 = np.sqrt(lam[::-1]), np.linalg.norm(Omega.T @ W0, axis=1)[::-1]
    end = s0 + share * (g - s0)
    if depth == 1:
        return np.full(len(g), -np.log(1 - share) / 2)
    if depth == 2:
        return np.log(end / (s0 * (1 - share))) / (4 * g)
    F = lambda v: -1 / v - np.log(1 - v) / 3 + np.log(1 + v + v**2) / 6 - np.arctan((2 * v + 1) / np.sqrt(3)) / np.sqrt(3)
    with np.errstate(invalid="ignore"):
        return (F(np.cbrt(end / g)) - F(np.cbrt(s0 / g))) / (2 * g ** (4 / 3))
# %% q3 wrong: the first time on a grid
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    lam, s0 = lam[::-1], np.linalg.norm(Omega.T @ W0, axis=1)[::-1]
    t = np.linspace(0, 20, 2001)
    s = bw.aligned_flow(s0, lam, depth, t)
    done = np.abs(s - s0) >= share * np.abs(np.sqrt(lam) - s0)
    return t[np.argmax(done, axis=0)]
# %% q3 right: the modes from the singular vectors of the start
def learning_times(W0, target, depth, share):
    U, s0, _ = np.linalg.svd(W0, full_matrices=False)
    lam = np.einsum("ij,ik,kj->j", U, target, U)
    order = np.argsort(-lam)
    f = lambda y, goal: np.exp(y * (2 / depth - 1)) / (2 * depth * (goal - np.exp(y)))
    times = []
    for a, goal in zip(s0[order], np.sqrt(lam[order])):
        times.append(scipy.integrate.quad(f, np.log(a), np.log(a + share * (goal - a)), args=(goal,), epsrel=1e-11)[0])
    return np.array(times)
# %% q3 wrong: a share of the loss of the mode
def learning_times(W0, target, depth, share):
    lam, Omega = np.linalg.eigh(target)
    s0, g = np.linalg.norm(Omega.T @ W0, axis=1)[::-1], np.sqrt(lam[::-1])
    times = []
    for a, goal in zip(s0, g):
        b = goal + np.sqrt(1 - share) * (a - goal)
        f = lambda y: np.exp(y * (2 / depth - 1)) / (2 * depth * (goal - np.exp(y)))
        times.append(scipy.integrate.quad(f, np.log(a), np.log(b), epsrel=1e-11, limit=200)[0])
    return np.array(times)

# %% q4 right: generalised eigenvalues
def age(W0, target):
    R = scipy.linalg.sqrtm(target).real
    S = bw.sqrtm_psd(R @ W0 @ W0.T @ R)
    least = scipy.linalg.eigh(S, target, eigvals_only=True)[0]
    return float("inf") if least >= 1 else -0.5 * np.log(1 - least)
# %% q4 right: the line of aligned factors, extended until it is singular
def age(W0, target):
    end = bw.shallow_flow(W0, target, 50.0)
    x = scipy.linalg.eigvals(W0 @ end.T, end @ end.T).real
    first = min(x)
    if first >= 1:
        return float("inf")
    return float(np.log(1 / (1 - first)) / 2)
# %% q4 right: the map from the target back, bisection in time
def age(W0, target):
    back = bw.transport_map(target, W0 @ W0.T)
    positive = lambda t: np.linalg.eigvalsh(back - (1 - np.exp(-2 * t)) * np.eye(len(back)))[0] > 0
    if positive(40.0):
        return float("inf")
    low, high = 0.0, 40.0
    for _ in range(80):
        middle = (low + high) / 2
        low, high = (middle, high) if positive(middle) else (low, middle)
    return low
# %% q4 wrong: the least stretch
def age(W0, target):
    stretch = np.linalg.eigvalsh(bw.transport_map(W0 @ W0.T, target))[0]
    return -np.log1p(-1 / stretch) / 2 if stretch > 1 else float("inf")
# %% q4 wrong: the map in the other direction
def age(W0, target):
    stretch = np.linalg.eigvalsh(bw.transport_map(target, W0 @ W0.T))[-1]
    return -np.log1p(-1 / stretch) / 2 if stretch > 1 else float("inf")
# %% q4 wrong: factor of two in the exponent
def age(W0, target):
    stretch = np.linalg.eigvalsh(bw.transport_map(W0 @ W0.T, target))[-1]
    return -np.log1p(-1 / stretch) if stretch > 1 else float("inf")
# %% q4 wrong: the time, not the age
def age(W0, target):
    stretch = np.linalg.eigvalsh(bw.transport_map(W0 @ W0.T, target))[-1]
    return np.log1p(-1 / stretch) / 2 if stretch > 1 else float("-inf")
# %% q4 wrong: the oldest kink, not the most recent
def age(W0, target):
    stretches = np.linalg.eigvalsh(bw.transport_map(W0 @ W0.T, target))
    ages = [-np.log1p(-1 / s) / 2 for s in stretches if s > 1]
    return max(ages, default=float("inf"))
# %% q4 wrong: quotients of sorted standard deviations (right for commuting covariances in the same order)
def age(W0, target):
    s = np.linalg.svd(W0, compute_uv=False)
    stretch = max(np.sqrt(np.linalg.eigvalsh(target)[::-1]) / s)
    return -np.log1p(-1 / stretch) / 2 if stretch > 1 else float("inf")
# %% q4 wrong: quotients of variances
def age(W0, target):
    stretch = scipy.linalg.eigh(target, W0 @ W0.T, eigvals_only=True)[-1]
    return -np.log1p(-1 / stretch) / 2 if stretch > 1 else float("inf")
# %% q4 wrong: square generators in the form of a symmetric root
def age(W0, target):
    R = bw.sqrtm_psd(target)
    lam = scipy.linalg.eigh(W0[:, :len(W0)], R, eigvals_only=True)[0]
    return float("inf") if lam >= 1 else -0.5 * np.log(1 - lam)
# %% q4 wrong: an infinite age is not a number
def age(W0, target):
    stretch = np.linalg.eigvalsh(bw.transport_map(W0 @ W0.T, target))[-1]
    with np.errstate(invalid="ignore"):
        return -np.log1p(-1 / stretch) / 2
# %% q4 wrong: the distance instead of the map
def age(W0, target):
    gone = bw.bures_wasserstein(W0 @ W0.T, target) / np.sqrt(np.trace(target))
    return -np.log(gone) / 2 if 0 < gone < 1 else float("inf")
# %% q4 right: eigenvalues of the way to the goal, divided by the goal
def age(W0, target):
    R = bw.sqrtm_psd(target)
    goal = R @ bw.polar(R @ W0)
    most = np.linalg.eigvals((goal - W0) @ np.linalg.pinv(goal)).real.max()
    return -np.log(most) / 2 if most > 0 else np.inf
# %% q4 wrong: the polar factor of W0, not of R W0
def age(W0, target):
    R = bw.sqrtm_psd(target)
    goal = R @ bw.polar(W0)
    most = np.linalg.eigvals((goal - W0) @ np.linalg.pinv(goal)).real.max()
    return -np.log(most) / 2 if most > 0 else np.inf
# %% q4 wrong: the first zero on a grid
def age(W0, target):
    R = bw.sqrtm_psd(target)
    goal = R @ bw.polar(R @ W0)
    for t in np.linspace(0, 5, 5001):
        if np.linalg.svd(goal + np.exp(2 * t) * (W0 - goal), compute_uv=False)[-1] < 3e-3:
            return t
    return float("inf")

# %% q5 right: the aligned mode that attains the bound
def certified_time(W0, target, depth, tau, eps):
    loss = bw.BuresLoss(target, tau)
    if loss.value(W0) <= eps:
        return 0.0
    lam = loss.target.eigenvalues[-1]
    try:
        c = bw.deficiency_margin(W0, target, tau=tau)
    except ValueError:
        return float("inf")
    above = lambda t: (np.sqrt(lam) - np.sqrt(bw.aligned_flow(c, lam, depth, t, tau=tau) ** 2 + tau)) ** 2 - eps
    high = np.log(loss.value(W0) / eps) / bw.flow_rate(c, depth, tau=tau)
    return scipy.optimize.brentq(above, 0, 1.001 * high, rtol=1e-10)
# %% q5 right: the differential equation for the logarithm, with an event
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0
    if not np.sqrt(L0) < np.sqrt(lam) - np.sqrt(tau):
        return np.inf
    def speed(t, x):
        c2 = (np.sqrt(lam) - np.exp(x / 2)) ** 2 - tau
        return -4 * depth * c2 ** ((2 * depth - 1) / depth) / (c2 + tau)
    stop = lambda t, x: x[0] - np.log(eps)
    stop.terminal = True
    run = scipy.integrate.solve_ivp(speed, (0, 1e6), [np.log(L0)], rtol=1e-10, atol=1e-10, events=stop)
    return float(run.t_events[0][0])
# %% q5 right: Gauss's rule on pieces of the root of the loss
def certified_time(W0, target, depth, tau, eps):
    x0, g = np.sqrt(bw.BuresLoss(target, tau).value(W0)), np.sqrt(abs(np.linalg.eigvalsh(target)[0]))
    x1, total = np.sqrt(eps), 0.0
    if x0 <= x1:
        return 0.0
    if x0 >= g - np.sqrt(tau):
        return float("inf")
    nodes, weights = np.polynomial.legendre.leggauss(20)
    cuts = np.geomspace(x1, x0, 200)
    for a, b in zip(cuts, cuts[1:]):
        x = (a + b) / 2 + (b - a) / 2 * nodes
        c2 = (g - x) ** 2 - tau
        total += (b - a) / 2 * np.sum(weights * (c2 + tau) / (2 * depth * x * c2 ** (2 - 1 / depth)))
    return total
# %% q5 wrong: the rate of the start
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    return np.log(L0 / eps) / bw.flow_rate(bw.deficiency_margin(W0, target, tau=tau), depth, tau=tau)
# %% q5 wrong: the final rate
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    return np.log(L0 / eps) / bw.flow_rate(np.sqrt(lam - tau), depth, tau=tau)
# %% q5 wrong: tau is not subtracted in the margin
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    f = lambda x: 1 / bw.flow_rate(np.sqrt(lam) - np.exp(x / 2), depth, tau=tau)
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10)[0]
# %% q5 wrong: tau forgotten in the rate
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    f = lambda x: 1 / bw.flow_rate(np.sqrt((np.sqrt(lam) - np.exp(x / 2)) ** 2 - tau), depth)
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10)[0]
# %% q5 wrong: the exponent of the gradient inequality alone
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    def f(x):
        c2 = (np.sqrt(lam) - np.exp(x / 2)) ** 2 - tau
        return (c2 + tau) / (4 * depth * c2 ** ((depth - 1) / depth))
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10)[0]
# %% q5 wrong: the loss in the margin without its root
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    f = lambda x: 1 / bw.flow_rate(np.sqrt(abs((np.sqrt(lam) - np.exp(x)) ** 2 - tau) + 1e-9), depth, tau=tau)
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10)[0]
# %% q5 wrong: the distance decays, not the loss
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    f = lambda x: 1 / bw.flow_rate(np.sqrt((np.sqrt(lam) - np.exp(x)) ** 2 - tau), depth, tau=tau)
    return scipy.integrate.quad(f, np.log(eps) / 2, np.log(L0) / 2, epsrel=1e-10)[0]
# %% q5 wrong: the largest eigenvalue of the target
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[-1]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    f = lambda x: 1 / bw.flow_rate(np.sqrt((np.sqrt(lam) - np.exp(x / 2)) ** 2 - tau), depth, tau=tau)
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10)[0]
# %% q5 wrong: the smallest diagonal entry of the target
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.min(np.diag(target))
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    f = lambda x: 1 / bw.flow_rate(np.sqrt((np.sqrt(lam) - np.exp(x / 2)) ** 2 - tau), depth, tau=tau)
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10)[0]
# %% q5 wrong: Euler's method with a coarse step
def certified_time(W0, target, depth, tau, eps):
    level, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if level > eps and np.sqrt(level) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    t, h = 0.0, 1e-3
    while level > eps and t < 20:
        level -= h * bw.flow_rate(np.sqrt((np.sqrt(lam) - np.sqrt(level)) ** 2 - tau), depth, tau=tau) * level
        t += h
    return t
# %% q5 wrong: no margin is not noticed before the loss is small
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    if L0 <= eps:
        return 0.0
    f = lambda x: 1 / bw.flow_rate(np.sqrt((np.sqrt(lam) - np.exp(x / 2)) ** 2 - tau), depth, tau=tau)
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10)[0]
# %% q5 wrong: the bound by strong convexity
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau) or tau == 0:
        return float("inf")
    c = bw.deficiency_margin(W0, target, tau=tau)
    return np.log(L0 / eps) / bw.paper_flow_rate(c, depth, target=target, tau=tau, initial_loss=L0)
# %% q5 wrong: the margin judged by its square
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), abs(np.linalg.eigvalsh(target)[0])
    if L0 <= eps:
        return 0.0
    if (np.sqrt(lam) - np.sqrt(L0)) ** 2 <= tau:
        return float("inf")
    def f(x):
        c2 = abs((np.sqrt(lam) - np.exp(x / 2)) ** 2 - tau) + 1e-9
        return (c2 + tau) / (4 * depth * c2 ** (2 - 1 / depth))
    return scipy.integrate.quad(f, np.log(eps), np.log(L0), epsrel=1e-10, limit=500)[0]
# %% q5 wrong: the least singular value of the start for the margin
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    return np.log(L0 / eps) / bw.flow_rate(np.linalg.svd(W0)[1][-1], depth, tau=tau)
# %% q5 wrong: the differential equation with the tolerances that SciPy takes by itself
def certified_time(W0, target, depth, tau, eps):
    L0, lam = bw.BuresLoss(target, tau).value(W0), np.linalg.eigvalsh(target)[0]
    if L0 <= eps:
        return 0.0
    if np.sqrt(L0) >= np.sqrt(lam) - np.sqrt(tau):
        return float("inf")
    def speed(t, level):
        c2 = (np.sqrt(lam) - np.sqrt(np.abs(level))) ** 2 - tau
        return -4 * depth * c2 ** (2 - 1 / depth) / (c2 + tau) * level
    stop = lambda t, level: level[0] - eps
    stop.terminal = True
    run = scipy.integrate.solve_ivp(speed, (0, 1e6), [L0], events=stop)
    return float(run.t[-1])
