// Numeric loop: a function that may suspend is called for each pair of bodies.

#include "suspend.h"

typedef struct { double x, y, z, vx, vy, vz, mass; } body;

static const body start[5] = {
    {0, 0, 0, 0, 0, 0, 39.47841760435743},
    {4.84143144246472090e+00, -1.16032004402742839e+00, -1.03622044471123109e-01, 6.06326392995832086e-01,
     2.81198684491626016e+00, -2.52183616598876288e-02, 3.76936749096633e-02},
    {8.34336671824457987e+00, 4.12479856412430479e+00, -4.03523417114321381e-01, -1.01077434617879236e+00,
     1.82566237123041186e+00, 8.41576137658415351e-03, 1.12863261319687e-02},
    {1.28943695621391310e+01, -1.51111514016986312e+01, -2.23307578892655734e-01, 1.08279100644153536e+00,
     8.68713018169608219e-01, -1.08326374013636358e-02, 1.72372405705971e-03},
    {1.53796971148509165e+01, -2.59193146099879641e+01, 1.79258772950371181e-01, 9.79090732243897976e-01,
     5.94698998647676051e-01, -3.47559555040781037e-02, 2.03368686992463e-03},
};

static body bodies[5];

__attribute__((noinline)) static void pair(body *a, body *b, double dt) {
    double dx = a->x - b->x, dy = a->y - b->y, dz = a->z - b->z;
    double square = dx * dx + dy * dy + dz * dz;
    double force = dt / (square * __builtin_sqrt(square));
    a->vx -= dx * b->mass * force;
    a->vy -= dy * b->mass * force;
    a->vz -= dz * b->mass * force;
    b->vx += dx * a->mass * force;
    b->vy += dy * a->mass * force;
    b->vz += dz * a->mass * force;
    if (never_negative < 0) may_suspend(1);
}

EXPORT(run) double run(int steps) {
    for (int i = 0; i < 5; i++) bodies[i] = start[i];
    for (int step = 0; step < steps; step++) {
        for (int i = 0; i < 5; i++)
            for (int j = i + 1; j < 5; j++) pair(&bodies[i], &bodies[j], 0.01);
        for (int i = 0; i < 5; i++) {
            bodies[i].x += 0.01 * bodies[i].vx;
            bodies[i].y += 0.01 * bodies[i].vy;
            bodies[i].z += 0.01 * bodies[i].vz;
        }
    }
    return bodies[0].x + bodies[1].y + bodies[4].z;
}
