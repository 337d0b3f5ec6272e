/* LinUCB's arithmetic and nothing else, as a Python extension: the floor of the latency bench.
 *
 * Per module: P = (I + sum x x')^-1 and theta = P sum x r. Decide: the largest theta'x + sqrt(x'Px). Greedy: the largest
 * theta'x. Learn: with v = Px and s = x'v, P -= v v' / (1 + s), theta += v (r - theta'x) / (1 + s). P is symmetric and only
 * its lower part is kept, in panels of one register's columns; a panel holds the rows from its diagonal on: one stream
 * through memory, half the square.
 * Nothing is checked but the buffer's length: no names, no pmf, no snapshot, no copy. d is padded to whole registers. */
#define PY_SSIZE_T_CLEAN
#include <Python.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#ifdef __AVX512F__
#define LANES 8
#else
#define LANES 4 /* the compiler splits wider vectors badly */
#endif
typedef double lane __attribute__((vector_size(LANES * sizeof(double))));

typedef struct {
    Py_ssize_t n_modules, n_features, n_padded, n_rows; /* n_rows: lanes of one P */
    lane *inverses;                                     /* [n_modules, n_rows] */
    lane *theta;                                        /* [n_modules, n_padded / LANES] */
    lane *x, *v;                                        /* [n_padded / LANES] */
} Model;

static double sum(lane a) {
    double total = 0;
    for (int i = 0; i < LANES; i++) total += a[i]; /* reordered by -ffast-math */
    return total;
}

static lane *zeros(Py_ssize_t count) {
    const size_t bytes = ((size_t)count * sizeof(lane) + 63) / 64 * 64;
    lane *memory = aligned_alloc(64, bytes);
    if (memory) memset(memory, 0, bytes);
    return memory;
}

static void destroy(PyObject *capsule) {
    Model *m = PyCapsule_GetPointer(capsule, "lin_ucb");
    free(m->inverses), free(m->theta), free(m->x), free(m->v), free(m);
}

static PyObject *make(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    if (n_args != 2) return PyErr_Format(PyExc_TypeError, "make(n_modules, n_features)");
    Model *m = calloc(1, sizeof(Model));
    if (!m) return PyErr_NoMemory();
    m->n_modules = PyLong_AsSsize_t(args[0]), m->n_features = PyLong_AsSsize_t(args[1]);
    m->n_padded = (m->n_features + LANES - 1) / LANES * LANES;
    for (Py_ssize_t first = 0; first < m->n_padded; first += LANES) m->n_rows += m->n_padded - first;
    m->inverses = zeros(m->n_modules * m->n_rows), m->theta = zeros(m->n_modules * m->n_padded / LANES);
    m->x = zeros(m->n_padded / LANES), m->v = zeros(m->n_padded / LANES);
    if (!m->inverses || !m->theta || !m->x || !m->v) return PyErr_NoMemory();
    for (Py_ssize_t k = 0; k < m->n_modules; k++) {
        lane *row = m->inverses + k * m->n_rows;
        for (Py_ssize_t first = 0; first < m->n_padded; first += LANES, row += m->n_padded - first + LANES)
            for (Py_ssize_t i = 0; i < LANES; i++) row[i][i] = 1.0;
    }
    return PyCapsule_New(m, "lin_ucb", destroy);
}

static int read_context(Model *m, PyObject *object) {
    Py_buffer view;
    if (PyObject_GetBuffer(object, &view, PyBUF_SIMPLE)) return -1;
    int right = view.len == m->n_features * (Py_ssize_t)sizeof(double);
    if (right) memcpy(m->x, view.buf, (size_t)view.len);
    PyBuffer_Release(&view);
    if (!right) PyErr_Format(PyExc_ValueError, "context == %zd bytes, must be float64 [%zd]", view.len, m->n_features);
    return right ? 0 : -1;
}

static double dot(const lane *a, const lane *b, Py_ssize_t n) {
    lane total = {0};
    for (Py_ssize_t c = 0; c < n; c++) total += a[c] * b[c];
    return sum(total);
}

static double quadratic(const Model *m, const lane *row) {
    const double *flat = (const double *)m->x;
    lane total = {0};
    for (Py_ssize_t first = 0; first < m->n_padded; first += LANES) {
        lane diagonal = {0}, below[4] = {{0}};
        for (Py_ssize_t i = 0; i < LANES; i++) diagonal += flat[first + i] * row[i];
        for (Py_ssize_t i = LANES; i < m->n_padded - first; i += 4)
            for (Py_ssize_t j = 0; j < 4; j++) below[j] += flat[first + i + j] * row[i + j];
        total += m->x[first / LANES] * (diagonal + 2.0 * ((below[0] + below[1]) + (below[2] + below[3])));
        row += m->n_padded - first;
    }
    return sum(total);
}

static double bound(const Model *m, Py_ssize_t k) {
    const Py_ssize_t n = m->n_padded / LANES;
    return dot(m->x, m->theta + k * n, n) + sqrt(quadratic(m, m->inverses + k * m->n_rows));
}

static PyObject *decide(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    Model *m = n_args == 2 ? PyCapsule_GetPointer(args[0], "lin_ucb") : NULL;
    if (!m) return PyErr_Format(PyExc_TypeError, "decide(model, context)");
    if (read_context(m, args[1])) return NULL;
    Py_ssize_t best = 0;
    double highest = -INFINITY;
    for (Py_ssize_t k = 0; k < m->n_modules; k++) {
        const double value = bound(m, k);
        if (value > highest) highest = value, best = k;
    }
    return PyLong_FromSsize_t(best);
}

static PyObject *greedy(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    Model *m = n_args == 2 ? PyCapsule_GetPointer(args[0], "lin_ucb") : NULL;
    if (!m) return PyErr_Format(PyExc_TypeError, "greedy(model, context)");
    if (read_context(m, args[1])) return NULL;
    const Py_ssize_t n = m->n_padded / LANES;
    Py_ssize_t best = 0;
    double highest = -INFINITY;
    for (Py_ssize_t k = 0; k < m->n_modules; k++) {
        const double value = dot(m->x, m->theta + k * n, n);
        if (value > highest) highest = value, best = k;
    }
    return PyLong_FromSsize_t(best);
}

static PyObject *bounds(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    Model *m = n_args == 2 ? PyCapsule_GetPointer(args[0], "lin_ucb") : NULL;
    if (!m) return PyErr_Format(PyExc_TypeError, "bounds(model, context)");
    if (read_context(m, args[1])) return NULL;
    PyObject *list = PyList_New(m->n_modules);
    for (Py_ssize_t k = 0; list && k < m->n_modules; k++) PyList_SET_ITEM(list, k, PyFloat_FromDouble(bound(m, k)));
    return list;
}

static PyObject *learn(PyObject *self, PyObject *const *args, Py_ssize_t n_args) {
    (void)self;
    Model *m = n_args == 4 ? PyCapsule_GetPointer(args[0], "lin_ucb") : NULL;
    if (!m) return PyErr_Format(PyExc_TypeError, "learn(model, context, module, utility)");
    const Py_ssize_t k = PyLong_AsSsize_t(args[2]);
    const double utility = PyFloat_AsDouble(args[3]);
    if (PyErr_Occurred() || read_context(m, args[1])) return NULL;
    if (k < 0 || k >= m->n_modules) return PyErr_Format(PyExc_IndexError, "module == %zd, must be a module's place", k);
    const Py_ssize_t n = m->n_padded / LANES;
    const double *x = (const double *)m->x;
    double *v = (double *)m->v;
    lane *theta = m->theta + k * n, *row = m->inverses + k * m->n_rows;
    memset(v, 0, (size_t)m->n_padded * sizeof(double));
    for (Py_ssize_t c = 0; c < n; c++) {
        const Py_ssize_t first = c * LANES, height = m->n_padded - first;
        const lane columns = m->x[c];
        lane even = {0}, odd = {0};
        for (Py_ssize_t i = 0; i < height; i += 2) {
            even += x[first + i] * row[i];
            odd += x[first + i + 1] * row[i + 1];
        }
        for (Py_ssize_t i = LANES; i < height; i++) v[first + i] += sum(columns * row[i]);
        m->v[c] += even + odd;
        row += height;
    }
    const double grown = 1.0 + dot(m->x, m->v, n), share = (utility - dot(m->x, theta, n)) / grown;
    for (Py_ssize_t c = 0; c < n; c++) theta[c] += share * m->v[c];
    row = m->inverses + k * m->n_rows;
    for (Py_ssize_t first = 0; first < m->n_padded; first += LANES) {
        const lane columns = m->v[first / LANES] / grown;
        for (Py_ssize_t i = 0; i < m->n_padded - first; i++) row[i] -= v[first + i] * columns;
        row += m->n_padded - first;
    }
    Py_RETURN_NONE;
}

static PyMethodDef methods[] = {
    {"make", (PyCFunction)(void (*)(void))make, METH_FASTCALL, "make(n_modules, n_features): a model that knows nothing"},
    {"decide", (PyCFunction)(void (*)(void))decide, METH_FASTCALL, "decide(model, context): place of the best module"},
    {"greedy", (PyCFunction)(void (*)(void))greedy, METH_FASTCALL, "greedy(model, context): place of the best mean"},
    {"bounds", (PyCFunction)(void (*)(void))bounds, METH_FASTCALL, "bounds(model, context): upper bound of each module"},
    {"learn", (PyCFunction)(void (*)(void))learn, METH_FASTCALL, "learn(model, context, module, utility)"},
    {NULL, NULL, 0, NULL},
};
static struct PyModuleDef definition = {PyModuleDef_HEAD_INIT, "lin_ucb", NULL, -1, methods, NULL, NULL, NULL, NULL};
PyMODINIT_FUNC PyInit_lin_ucb(void) { return PyModule_Create(&definition); }
