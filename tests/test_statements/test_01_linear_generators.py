"""The statements of chapter 1: one test per statement, and what breaks without a hypothesis.

Bounds: a product of matrices with entries of order one rounds by a few dozen ``EPS`` times the squared norms, written
``ROUND * size``.  A Monte Carlo mean of M numbers of variance at most v is compared at five standard errors,
``5 * sqrt(v / M)``; seeds are fixed, so the outcome is too.
"""
import numpy as np
import pytest
from numpy.linalg import matrix_rank, norm
from scipy.optimize import linear_sum_assignment
from scipy.stats import norm as normal

from bwlib import BuresLoss, Covariance, DeepLinearNetwork, bures_wasserstein, polar, random_network, sqrtm_psd

EPS = np.finfo(float).eps
ROUND = 200 * EPS
SIZES = [(1, 1), (2, 1), (2, 3), (4, 4), (5, 2)]  # n, m


def orthogonal(rng, n):
    return polar(rng.standard_normal((n, n)))


def psd(rng, n, r):
    """Rank r, positive eigenvalues between 0.5 and 4."""
    frame = orthogonal(rng, n)[:, :r]
    return (frame * rng.uniform(0.5, 4, r)) @ frame.T


def w2_squared(X, Y):
    """Squared Wasserstein distance of the uniform laws on equally many points: an exact assignment problem."""
    cost = np.sum((X[:, None] - Y[None]) ** 2, axis=2)
    return cost[linear_sum_assignment(cost)].mean()


def column_projector(S, r):
    U = np.linalg.svd(S)[0][:, :r]
    return U @ U.T


def kl(S, S0):
    """Divergence of centred Gaussians with positive definite covariances."""
    return 0.5 * (np.trace(np.linalg.solve(S0, S)) - len(S) + np.linalg.slogdet(S0)[1] - np.linalg.slogdet(S)[1])


def test_prop_pushforward(residual):
    samples = 20_000
    for n, m in SIZES:
        rng = np.random.default_rng([1, n, m])
        W, b = rng.standard_normal((n, m)), rng.standard_normal(n)
        W /= norm(W, 2)
        z = rng.standard_normal((samples, m))
        x = b + z @ W.T
        # (a) the characteristic function: a mean of numbers of modulus one
        u = rng.standard_normal((4, n))
        exact = np.exp(1j * u @ b - 0.5 * np.einsum("ui,ij,uj->u", u, W @ W.T, u))
        residual(np.abs(np.exp(1j * x @ u.T).mean(0) - exact).max(), 5 / np.sqrt(samples))
        # every PSD matrix arises, singular ones too
        S = psd(rng, n, (n + 1) // 2)
        residual(norm(sqrtm_psd(S) @ sqrtm_psd(S).T - S), ROUND * norm(S) * n)
        # (b) the samples lie in b + col W ...
        if matrix_rank(W) < n:
            gap = (x - b) @ (np.eye(n) - column_projector(W, matrix_rank(W)))
            residual(np.abs(gap).max(), ROUND * np.abs(x - b).max() * n)
        # ... and <a, x> is constant exactly for a orthogonal to col W: the left singular vectors, one by one
        for i, a in enumerate(np.linalg.svd(W)[0].T):
            spread = np.std((x - b) @ a)
            if i < matrix_rank(W):
                assert spread > 1e-3
            else:
                residual(spread, ROUND * np.abs(x - b).max() * n)
        # (c) the moments need no Gaussian: signs have mean 0 and covariance I
        signs = rng.choice([-1.0, 1.0], size=(samples, m))
        y = b + signs @ W.T
        # the covariance of the signs has m^2 entries, each a mean of numbers of modulus one; the squared sample means
        # that are subtracted add at most one standard error; norm(W, 2) = 1
        residual(norm(np.cov(y.T, bias=True) - W @ W.T), 5 * (m + 1) / np.sqrt(samples))
    # Gaussianity dropped: signs have another characteristic function, cos u instead of exp(-u^2 / 2)
    u = np.pi
    assert abs(np.cos(u) - np.exp(-u**2 / 2)) > 0.9
    # unit covariance dropped: latent covariance 2 I gives 2 W W^T
    z = np.sqrt(2) * np.random.default_rng(2).standard_normal(samples)
    assert abs(np.var(z) - 1) > 0.9
    # mean zero dropped: the latent z + 1 moves the mean to b + W 1
    W, b = np.array([[1.0, 2.0], [0.0, 1.0]]), np.array([0.5, -1.0])
    mean = (b + (np.random.default_rng(3).standard_normal((samples, 2)) + 1) @ W.T).mean(0)
    residual(norm(mean - b - W @ [1, 1]), 5 * norm(W) / np.sqrt(samples))
    assert norm(mean - b) > 3


@pytest.mark.parametrize("widths", [(3, 3), (2, 5), (4, 3, 5), (3, 1, 4), (5, 4, 2, 6), (2, 7, 3, 4)])
def test_prop_reachable(widths, residual):
    m, n, k = widths[0], widths[-1], min(widths)
    rng = np.random.default_rng([2, *widths])
    # (a) never above rank k
    network = random_network(widths, rng=rng)
    W = network.end_to_end()
    assert matrix_rank(W @ W.T) == matrix_rank(W) == k
    # (a) every rank up to k is reached, by the layers of the proof
    for r in range(k + 1):
        target = Covariance(psd(rng, n, r))
        F = target.eigenvectors[:, :k] * np.sqrt(target.eigenvalues[:k])
        chain = [np.eye(d, k) for d in widths]
        layers = [chain[j] @ chain[j - 1].T for j in range(1, len(widths) - 1)] + [F @ chain[-2].T]
        reached = DeepLinearNetwork(layers)
        assert reached.widths == widths
        V = reached.end_to_end()
        residual(norm(V @ V.T - target.matrix), ROUND * n * (1 + norm(target.matrix)))
        assert matrix_rank(V) == r
    # hypothesis dropped: rank k + 1 costs at least its smallest eigenvalue, 0.5 here
    if k < n:
        above = Covariance(psd(rng, n, k + 1))
        assert BuresLoss(above).value(W) >= BuresLoss(above).minimum(k) >= 0.5 - ROUND * n
    # (b) a rotation of the latent space keeps the law; so does padding the latent space
    O = orthogonal(rng, m)
    residual(norm((W @ O) @ (W @ O).T - W @ W.T), ROUND * norm(W) ** 2)
    P = orthogonal(rng, m + 2)[:, :m]
    wide = W @ P.T
    residual(norm(wide @ wide.T - W @ W.T), ROUND * norm(W) ** 2)
    residual(norm(wide @ P - W), ROUND * norm(W))
    # (b) conversely, generators of one law differ by a rotation: the polar factor, completed, finds it
    other = W @ orthogonal(rng, m)
    U, _, Vt = np.linalg.svd(W.T @ other)
    residual(norm(other - W @ (U @ Vt)), ROUND * m * norm(W))
    # orthogonality dropped: a stretched latent gives another law
    assert norm((2 * W) @ (2 * W).T - W @ W.T) > 1e-3 * norm(W) ** 2
    # m <= m' dropped: W = [1, 0] and W' = [1] generate one law, but no P with one row has P^T P = I_2
    row, number = np.array([[1.0, 0.0]]), np.array([[1.0]])
    assert np.array_equal(row @ row.T, number @ number.T)
    P = row  # W' P = W, and no other P solves this
    assert np.array_equal(number @ P, row) and matrix_rank(P.T @ P) < 2
    # W' = W P^T dropped: W = W' P alone, with P^T P = 1, does not give one law
    both, P = np.array([[1.0, 1.0]]), np.array([[1.0], [0.0]])
    assert np.array_equal(both @ P, number) and P.T @ P == 1 and both @ both.T == 2 != number @ number.T
    # (c) samples stay in col W
    x = rng.standard_normal((50, m)) @ W.T
    residual(norm(x - x @ column_projector(W, k)), ROUND * n * norm(x))


def test_prop_mean_split(residual):
    for n, points in [(1, 5), (2, 20), (4, 40)]:
        rng = np.random.default_rng([3, n])
        X, Y = rng.exponential(size=(points, n)), rng.standard_normal((points, n)) ** 3
        a, b = X.mean(0), Y.mean(0)
        whole, centred = w2_squared(X, Y), w2_squared(X - a, Y - b)
        # means of sums of n squares of size at most the largest cost
        size = np.max(np.abs(X)) ** 2 + np.max(np.abs(Y)) ** 2
        residual(abs(whole - np.sum((a - b) ** 2) - centred), ROUND * n * size)
        # the hypothesis that a and b are the means, dropped: other shifts break the equation
        a = a + np.where(a >= b, 1.0, -1.0)
        assert abs(whole - np.sum((a - b) ** 2) - w2_squared(X - a, Y - b)) > 1
    # a remark: for the mean distance W_1 the split is false (two points, 0 and 2, against one, at 4)
    def w1(x, y):
        return np.mean(np.abs(np.sort(x) - np.sort(y)))

    x, y = np.array([0.0, 2.0]), np.array([4.0, 4.0])
    assert w1(x, y) == 3 and abs(x.mean() - y.mean()) + w1(x - 1, y - 4) == 4


def test_prop_two_moments(residual):
    # clouds have finite second moments; without these there are no covariances, and nothing to state
    for n, points in [(1, 10), (2, 30), (3, 50)]:
        for seed in range(5):
            rng = np.random.default_rng([4, n, seed])
            X, Y = rng.exponential(size=(points, n)), rng.uniform(-2, 2, size=(points, n))
            bound = np.sum((X.mean(0) - Y.mean(0)) ** 2) + bures_wasserstein(
                Covariance.from_samples(X), Covariance.from_samples(Y), squared=True)
            value = w2_squared(X, Y)
            residual(bound - value, ROUND * n * value)
        # equality for an affine image of one cloud by a positive definite map, as between Gaussians
        T = psd(rng, n, n)
        Y = X @ T + rng.standard_normal(n)
        bound = np.sum((X.mean(0) - Y.mean(0)) ** 2) + bures_wasserstein(
            Covariance.from_samples(X), Covariance.from_samples(Y), squared=True)
        value = w2_squared(X, Y)
        residual(abs(bound - value), ROUND * n * (value + np.mean(X**2) + np.mean(Y**2)))
    # equality for two Gaussians on the line: the cost of the monotone coupling, by a fine quadrature
    z = normal.ppf((np.arange(200_000) + 0.5) / 200_000)
    cost = np.mean((3 * z + 1 - (2 * z - 1)) ** 2)
    # the midpoint rule misses the tails beyond its last node, about 4 * 2.5e-6 * (4.4^2 + 2)
    residual(abs(cost - (2**2 + bures_wasserstein([[9.0]], [[4.0]], squared=True))), 1e-3)
    # Gaussianity dropped: a coin has the moments of N(0, 1) and distance 2 - 2 sqrt(2 / pi) from it
    assert bures_wasserstein([[1.0]], [[1.0]]) == 0.0
    assert abs(np.mean((np.sign(z) - z) ** 2) - (2 - 2 * np.sqrt(2 / np.pi))) < 1e-3


def test_prop_rank_price(residual):
    for n, k in [(2, 1), (4, 1), (4, 3), (6, 2)]:
        rng = np.random.default_rng([5, n, k])
        lam = np.sort(rng.uniform(0.1, 5, n))[::-1]
        target = Covariance.from_spectrum(lam, rng=rng)
        price, size = lam[k:].sum(), lam.sum()
        top = target.eigenvectors[:, :k]
        # (c) attained by the leading eigenvectors
        residual(abs(BuresLoss(target).value(top * np.sqrt(lam[:k])) - price), ROUND * size)
        for _ in range(30):
            F = top * np.sqrt(lam[:k]) + rng.choice([1e-3, 0.1, 1.0]) * rng.standard_normal((n, k))
            value = BuresLoss(target).value(F)
            Pi = column_projector(F, k)
            middle = np.trace(target.matrix) - np.trace(Pi @ target.matrix)
            below = price + 0.5 * (lam[k - 1] - lam[k]) * norm(Pi - top @ top.T) ** 2
            residual(middle - value, ROUND * (size + norm(F) ** 2))   # (a), first inequality
            residual(below - middle, ROUND * size)                    # (a), second inequality
        # (a) and (b) for laws that are not Gaussian: clouds, projected and not
        X = rng.exponential(size=(40, n))
        X -= X.mean(0)
        cloud = Covariance.from_samples(X)
        Pi = cloud.eigenvectors[:, :k] @ cloud.eigenvectors[:, :k].T
        residual(abs(w2_squared(X, X @ Pi) - cloud.eigenvalues[k:].sum()), ROUND * n * cloud.trace)
        # (b) uniqueness: a cloud in the same subspace with the covariance of the projection but another shape pays, by
        # Pythagoras, its distance to the projection on top, which its covariance cannot see
        Z = rng.standard_normal((40, k))
        Z -= Z.mean(0)
        Z = Z @ np.linalg.inv(sqrtm_psd(Z.T @ Z / 40))
        Y = Z * np.sqrt(cloud.eigenvalues[:k]) @ cloud.eigenvectors[:, :k].T
        cost, shape = cloud.eigenvalues[k:].sum(), w2_squared(X @ Pi, Y)
        residual(abs(bures_wasserstein(cloud, Covariance.from_samples(Y), squared=True) - cost), ROUND * n * cloud.trace)
        residual(abs(w2_squared(X, Y) - cost - shape), ROUND * n * cloud.trace)
        assert shape > 0.01 * cloud.trace
        frame = orthogonal(rng, n)[:, :k]
        assert w2_squared(X, rng.standard_normal((40, k)) @ frame.T) > cloud.eigenvalues[k:].sum()
    # the gap dropped: for lambda_k = lambda_{k+1} different subspaces attain the minimum
    loss = BuresLoss(np.eye(2))
    first, second = np.array([[1.0], [0.0]]), np.array([[0.0], [1.0]])
    assert loss.value(first) == loss.value(second) == 1.0
    # the bound on the dimension dropped: rank k + 1 does better
    assert BuresLoss(np.diag([2.0, 1.0])).value(np.diag(np.sqrt([2.0, 1.0]))) < 1e-15
    # centring dropped: with mean 3 along the last axis the distance to its projection is not the smallest
    # eigenvalue of the covariance
    X = np.random.default_rng(6).standard_normal((40, 2)) * [2.0, 1.0]
    X += [0.0, 3.0] - X.mean(0)
    cloud = Covariance.from_samples(X)
    Pi = cloud.eigenvectors[:, :1] @ cloud.eigenvectors[:, :1].T
    assert w2_squared(X, X @ Pi) > 5 * cloud.eigenvalues[1]


def test_prop_kl_infinite(residual):
    for n, r in [(1, 1), (2, 1), (3, 2), (5, 3), (4, 4)]:
        rng = np.random.default_rng([7, n, r])
        E = orthogonal(rng, n)[:, :r]
        S, S0 = psd(rng, r, r), psd(rng, r, r)
        # equal column spaces: finite, by the formula in coordinates.  An independent route: the limit of the
        # divergence of both covariances with noise eps on the complement, which cancels there.  The inverse of
        # a matrix with condition 8 / 1e-3 loses four digits.
        noise = 1e-3 * (np.eye(n) - E @ E.T)
        full = kl(E @ S @ E.T + noise, E @ S0 @ E.T + noise)
        residual(abs(full - kl(S, S0)), ROUND * 8e3 * n)
        # mean of the logarithm of the quotient of densities under the first law, by sampling
        y = rng.standard_normal((40_000, r)) @ np.linalg.cholesky(S).T
        form = np.einsum("si,ij,sj->s", y, np.linalg.inv(S0) - np.linalg.inv(S), y)
        log_quotient = 0.5 * (form + np.linalg.slogdet(S0)[1] - np.linalg.slogdet(S)[1])
        residual(abs(log_quotient.mean() - kl(S, S0)), 5 * log_quotient.std() / 200)
        if r == n:
            continue
        # the hypothesis dropped, different column spaces: a set with mass one under one law and zero under the other,
        # and the divergence of the noisy laws grows like (mass outside) / (2 eps)
        full_rank = psd(rng, n, n)
        turned = orthogonal(rng, n)
        for A, B in [(E @ S @ E.T, turned @ E @ S @ E.T @ turned.T), (full_rank, E @ S @ E.T)]:
            outside = np.trace(A) - np.trace(column_projector(B, r) @ A)
            assert outside > 1e-3
            # the column space of B: all samples of B lie in it, no sample of A does
            away = np.eye(n) - column_projector(B, r)
            x, x0 = (rng.standard_normal((200, n)) @ sqrtm_psd(M) for M in (A, B))
            residual(norm(x0 @ away, axis=1).max(), ROUND * n * norm(x0, axis=1).max())
            assert norm(x @ away, axis=1).min() > 1e-8
            for eps in (1e-4, 1e-6):
                value = kl(A + eps * np.eye(n), B + eps * np.eye(n))
                # what is left is of the order of n log(1 / eps)
                residual(abs(2 * eps * value - outside), 2 * eps * n * (20 + np.log(1 / eps)))
        # the other direction, singular against full rank: the logarithm of the determinant diverges
        values = [kl(E @ S @ E.T + eps * np.eye(n), full_rank) for eps in (1e-4, 1e-8)]
        # each of the n - r small eigenvalues adds log(1e4) / 2; the trace changes by less than n * 1e-4 / 0.5
        residual(abs(values[1] - values[0] - 0.5 * (n - r) * np.log(1e4)), 1e-2 * n)


def test_prop_bw_continuous(residual):
    for n in (1, 2, 3, 5):
        rng = np.random.default_rng([8, n])
        for ranks in [(n, n, n), (1, n, 1), ((n + 1) // 2, 1, n)]:
            S, S1, S0 = (Covariance(psd(rng, n, r)) for r in ranks)
            size = S.trace + S1.trace + S0.trace
            B = bures_wasserstein(S, S0)
            residual(B**2 - S.trace - S0.trace, ROUND * size)                                   # (a)
            c, O = rng.standard_normal(), orthogonal(rng, n)
            # (b): the matrices round by EPS * size, which moves the distance by at most the root of n times that, by (c)
            root = np.sqrt(ROUND * n * size)
            residual(abs(bures_wasserstein(c**2 * S.matrix, c**2 * S0.matrix) - abs(c) * B), root)
            turned = [(O @ M @ O.T + O @ M.T @ O.T) / 2 for M in (S.matrix, S0.matrix)]
            residual(abs(bures_wasserstein(*turned) - B), root)
            between = bures_wasserstein(S, S1)                                                  # (c)
            residual(abs(B - bures_wasserstein(S1, S0)) - between, root)
            residual(between - norm(S.root - S1.root), root)
            residual(norm(S.root - S1.root) - np.sqrt(norm(S.matrix - S1.matrix, "nuc")), root)
        zero = np.zeros((n, n))
        # equality throughout at zero
        members = [abs(bures_wasserstein(S, zero) - bures_wasserstein(zero, zero)), bures_wasserstein(S, zero),
                   norm(S.root - zero), np.sqrt(norm(S.matrix - zero, "nuc"))]
        residual(max(abs(x - np.sqrt(S.trace)) for x in members), ROUND * n * np.sqrt(S.trace))
    # the exponent 1/2 is needed: no Lipschitz constant at singular matrices
    quotients = [bures_wasserstein([[h]], [[0.0]]) / h for h in (1e-2, 1e-4, 1e-6)]
    assert np.allclose(quotients, [1e1, 1e2, 1e3])
    # positive semidefiniteness cannot be dropped: there is no Gaussian of negative variance, and the library says so
    with pytest.raises(ValueError, match="positive semidefinite"):
        bures_wasserstein([[-1.0]], [[1.0]])
    # orthogonality dropped in (b): a shear changes the distance
    shear = np.array([[1.0, 1.0], [0.0, 1.0]])
    A, B = np.diag([1.0, 4.0]), np.eye(2)
    assert abs(bures_wasserstein(shear @ A @ shear.T, shear @ B @ shear.T) - bures_wasserstein(A, B)) > 0.1
