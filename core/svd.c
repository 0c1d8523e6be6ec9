/* svd.c: a QR decomposition, then Jacobi's rotations of its rows, after Demmel and Veselić 1992.
 *
 * With T, the matrix or its transpose, of at least as many rows as columns: T = Q R. Rotations
 * from the left make the rows of R orthogonal: J R = S V, so S holds their lengths and V their
 * directions, and T = (Q J^T) S V. Neither Q nor J is kept: the left vectors are T V^T / S.
 * Pivoting puts long rows first, which saves rotations (Drmac and Veselić 2008). */
#include "core/svd.h"

#include <float.h>
#include <math.h>
#include <string.h>

#include "core/memory.h"

enum {
    BLOCK = 32,      /* rows that meet BLOCK others while both lie in a core's cache */
    MOST_SWEEPS = 60 /* about 12 are needed */
};
#define NEGLIGIBLE 1e-15 /* s[i] / s[0] */

/* Eight partial sums, in one fixed order. */
typedef double two __attribute__((vector_size(16), aligned(8), may_alias));

static double dot(const double *x, const double *y, int64_t n)
{
    two a = {0}, b = {0}, c = {0}, d = {0};
    int64_t i = 0;
#define PRODUCT(k) (*(const two *)(x + i + (k)) * *(const two *)(y + i + (k)))
    for (; i + 8 <= n; i += 8) {
        a += PRODUCT(0);
        b += PRODUCT(2);
        c += PRODUCT(4);
        d += PRODUCT(6);
    }
#undef PRODUCT
    a = (a + c) + (b + d);
    for (; i < n; i++)
        a[0] += x[i] * y[i];
    return a[0] + a[1];
}

/* ---- T = Q R by Gram and Schmidt, modified, with pivoting ---- */

/* The longest of columns order[k..n), moved to place k. */
static void pivot(int64_t *order, const double *squares, int64_t k, int64_t n)
{
    int64_t best = k;
    for (int64_t j = k + 1; j < n; j++)
        if (squares[order[j]] > squares[order[best]])
            best = j;
    const int64_t chosen = order[best];
    order[best] = order[k];
    order[k] = chosen;
}

/* columns[n][m] are T's, and are used up; r[n,n] has its own columns where T has them. */
static void make_r(double *r, double *columns, int64_t *order, double *squares, int64_t m,
                   int64_t n)
{
    memset(r, 0, (size_t)(n * n) * sizeof *r);
    for (int64_t j = 0; j < n; j++) {
        order[j] = j;
        squares[j] = dot(columns + j * m, columns + j * m, m);
    }
    double first = 0;
    for (int64_t k = 0; k < n; k++) {
        pivot(order, squares, k, n);
        double *q = columns + order[k] * m;
        const double length = sqrt(dot(q, q, m));
        first = k == 0 ? length : first;
        if (length <= NEGLIGIBLE * NEGLIGIBLE * first)
            return; /* rounding errors of rounding errors: their squares would underflow */
        r[k * n + order[k]] = length;
        for (int64_t i = 0; i < m; i++)
            q[i] /= length;
        for (int64_t j = k + 1; j < n; j++) {
            double *x = columns + order[j] * m;
            const double along = dot(q, x, m);
            for (int64_t i = 0; i < m; i++)
                x[i] -= along * q[i];
            r[k * n + order[j]] = along;
            squares[order[j]] = dot(x, x, m);
        }
    }
}

/* ---- Rotations ---- */

/* Rows x and y, of squared lengths *xx and *yy, become orthogonal; false if they are already. */
static bool rotate(double *restrict x, double *restrict y, double *xx, double *yy, int64_t n)
{
    const double xy = dot(x, y, n), tolerance = DBL_EPSILON * 4 * sqrt((double)n);
    if (!(fabs(xy) > tolerance * sqrt(*xx * *yy)))
        return false;
    const double z = (*yy - *xx) / (2 * xy);
    const double tangent = copysign(1, z) / (fabs(z) + sqrt(1 + z * z));
    const double cosine = 1 / sqrt(1 + tangent * tangent), sine = cosine * tangent;
    for (int64_t i = 0; i < n; i++) {
        const double old = x[i];
        x[i] = cosine * old - sine * y[i];
        y[i] = sine * old + cosine * y[i];
    }
    *xx -= tangent * xy;
    *yy += tangent * xy;
    return true;
}

/* Every row of r[n,n] meets every other once; false if all were orthogonal. */
static bool sweep(double *r, double *squares, int64_t n)
{
    bool rotated = false;
    for (int64_t k = 0; k < n; k++)
        squares[k] = dot(r + k * n, r + k * n, n);
    for (int64_t p0 = 0; p0 < n; p0 += BLOCK)
        for (int64_t q0 = p0; q0 < n; q0 += BLOCK)
            for (int64_t p = p0; p < n && p < p0 + BLOCK; p++)
                for (int64_t q = q0 > p ? q0 : p + 1; q < n && q < q0 + BLOCK; q++)
                    rotated |= rotate(r + p * n, r + q * n, &squares[p], &squares[q], n);
    return rotated;
}

/* ---- The result ---- */

/* The rows of v[n,n] become directions, by falling length s. */
static void split_lengths(double *v, double *s, int64_t n)
{
    for (int64_t k = 0; k < n; k++)
        s[k] = sqrt(dot(v + k * n, v + k * n, n));
    for (int64_t k = 0; k < n; k++) {
        int64_t best = k;
        for (int64_t j = k + 1; j < n; j++)
            best = s[j] > s[best] ? j : best;
        const double length = s[best];
        s[best] = s[k];
        s[k] = length > NEGLIGIBLE * s[0] ? length : 0;
        for (int64_t i = 0; i < n; i++) {
            const double x = v[best * n + i];
            v[best * n + i] = v[k * n + i];
            v[k * n + i] = s[k] > 0 ? x / s[k] : 0;
        }
    }
}

/* left[m,n] = T V^T / S, for T's rows [m][n]. */
static void left_vectors(double *left, const double *rows, const double *v, const double *s,
                         int64_t m, int64_t n)
{
    for (int64_t i0 = 0; i0 < m; i0 += BLOCK)
        for (int64_t k = 0; k < n; k++)
            for (int64_t i = i0; i < m && i < i0 + BLOCK; i++)
                left[i * n + k] = s[k] > 0 ? dot(rows + i * n, v + k * n, n) / s[k] : 0;
}

/* to[n,m] = the transpose of from[m,n] */
static void transpose(double *to, const double *from, int64_t m, int64_t n)
{
    for (int64_t i = 0; i < m; i++)
        for (int64_t j = 0; j < n; j++)
            to[j * m + i] = from[i * n + j];
}

/* Room for one decomposition of T[m,n]. */
typedef struct space {
    double *rows;    /* [m][n], T */
    double *columns; /* [n][m], T's; then the left vectors [m][n] */
    double *v;       /* [n,n] */
    double *squares; /* [n] */
    int64_t *order;  /* [n] */
} space;

static pare_status decompose(const space *w, double *s, int64_t m, int64_t n)
{
    bool rotated = true;
    make_r(w->v, w->columns, w->order, w->squares, m, n);
    for (int i = 0; rotated && i < MOST_SWEEPS; i++)
        rotated = sweep(w->v, w->squares, n);
    if (rotated)
        return pare_fail(PARE_DIVERGED, "the singular values do not converge");
    split_lengths(w->v, s, n);
    left_vectors(w->columns, w->rows, w->v, s, m, n);
    return PARE_OK;
}

/* to = a times a power of two that keeps squares in range; *exponent undoes it. */
static pare_status scale(double *to, const double *a, int64_t size, int *exponent)
{
    double largest = 0;
    for (int64_t i = 0; i < size; i++) {
        if (!isfinite(a[i]))
            return pare_fail(PARE_DIVERGED, "element %lld is not finite", (long long)i);
        largest = fmax(largest, fabs(a[i]));
    }
    frexp(largest, exponent);
    for (int64_t i = 0; i < size; i++)
        to[i] = ldexp(a[i], -*exponent);
    return PARE_OK;
}

/* A wide matrix is decomposed by way of its transpose, whose rows are its columns. */
static pare_status run(const double *a, int64_t m, int64_t n, const space *w, double *u, double *s,
                       double *vt)
{
    const bool tall = m >= n;
    const int64_t k = tall ? n : m;
    int exponent;
    PARE_TRY(scale(tall ? w->rows : w->columns, a, m * n, &exponent));
    if (tall)
        transpose(w->columns, w->rows, m, n);
    else
        transpose(w->rows, w->columns, m, n);
    PARE_TRY(decompose(w, s, tall ? m : n, k));
    for (int64_t i = 0; i < k; i++)
        s[i] = ldexp(s[i], exponent);
    if (tall) {
        memcpy(u, w->columns, (size_t)(m * k) * sizeof *u);
        memcpy(vt, w->v, (size_t)(k * n) * sizeof *vt);
    } else {
        transpose(u, w->v, k, m);
        transpose(vt, w->columns, n, k);
    }
    return PARE_OK;
}

pare_status pare_svd(const double *a, int64_t m, int64_t n, double *u, double *s, double *vt)
{
    const int64_t k = m < n ? m : n;
    const size_t size = (size_t)(m * n) * sizeof *a, side = (size_t)k * sizeof *a;
    const space w = {pare_malloc(size), pare_malloc(size), pare_malloc(side * (size_t)k),
                     pare_malloc(side), pare_malloc((size_t)k * sizeof *w.order)};
    pare_status status = PARE_MEMORY;
    if (w.rows && w.columns && w.v && w.squares && w.order)
        status = run(a, m, n, &w, u, s, vt);
    pare_free(w.rows);
    pare_free(w.columns);
    pare_free(w.v);
    pare_free(w.squares);
    pare_free(w.order);
    return status;
}
