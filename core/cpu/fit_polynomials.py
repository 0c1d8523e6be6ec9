"""Fits the polynomials of core/cpu/vmath.h: exp, the normal distribution and tanh in float.

  python3 fit_polynomials.py        (needs mpmath)

Each is a least-maximum fit by Remez-like reweighting on Chebyshev nodes, printed as C constants.
The error that counts is that of the C code: tests/test_vmath.c measures it in ulp.
"""
import mpmath as mp

mp.mp.dps = 40


def fit(function, low, high, degree, weight=lambda x: mp.mpf(1)):
    """Coefficients c[0..degree] of a nearly minimax fit of weight * (function - polynomial)."""
    n = degree + 1
    nodes = [(low + high) / 2 + (high - low) / 2 * mp.cos(mp.pi * (2 * i + 1) / (2 * (n + 1)))
             for i in range(n + 1)]
    for _ in range(12):  # Remez exchange
        rows = [[x ** k for k in range(n)] + [(-1) ** i / weight(x)] for i, x in enumerate(nodes)]
        solution = mp.lu_solve(mp.matrix(rows), mp.matrix([function(x) for x in nodes]))
        c = [solution[k] for k in range(n)]
        error = lambda x: weight(x) * (function(x) - mp.polyval(c[::-1], x))
        grid = [low + (high - low) * mp.mpf(i) / 2000 for i in range(2001)]
        values = [error(x) for x in grid]
        peaks, best = [], 0
        for i in range(1, 2001):  # the largest |error| between changes of sign
            if values[i] * values[best] < 0:
                peaks.append(grid[best])
                best = i
            elif abs(values[i]) > abs(values[best]):
                best = i
        peaks.append(grid[best])
        if len(peaks) < n + 1:
            break
        nodes = peaks[:n + 1]
    return c, max(abs(v) for v in values)


def show(name, c, error):
    print(f"/* {name}: largest weighted error {mp.nstr(error, 3)} */")
    print("   " + ", ".join(mp.nstr(mp.mpf(x), 10) + "f" for x in c))


half_log2 = mp.log(2) / 2
show("exp(r) = 1 + r + r^2 p(r), |r| <= log(2)/2",
     *fit(lambda r: (mp.exp(r) - 1 - r) / r ** 2 if abs(r) > 1e-9 else mp.mpf(1) / 2,
          -half_log2, half_log2, 4, lambda r: r * r))
show("2^f = 1 + f p(f), |f| <= 1/2",
     *fit(lambda f: (2 ** f - 1) / f if abs(f) > 1e-9 else mp.log(2),
          -mp.mpf(1) / 2, mp.mpf(1) / 2, 5, lambda f: max(abs(f), mp.mpf("1e-4"))))
two_tails = lambda t: mp.erfc(t / mp.sqrt(2))
show("2 (1 - normal(t)) = 2^(-t p(t)), 0 <= t <= 6",
     *fit(lambda t: -mp.log(two_tails(t), 2) / t if t > 1e-9 else mp.sqrt(2 / mp.pi) / mp.log(2),
          mp.mpf(0), mp.mpf(6), 8,
          lambda t: max(t * max(two_tails(t), mp.mpf("1e-3")), mp.mpf("1e-4"))))
tanh_cubic = lambda s: (mp.tanh(mp.sqrt(s)) / mp.sqrt(s) - 1) / s if s > 1e-18 else -mp.mpf(1) / 3
show("tanh(x) = x + x s p(s), s = x^2, |x| <= 0.625",
     *fit(tanh_cubic, mp.mpf(0), mp.mpf("0.625") ** 2, 4, lambda s: s))
