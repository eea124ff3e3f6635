/* Normal numbers from a counter-based generator, many times faster than one thread of torch.

   Threefry-4x32-20 (Salmon et al. 2011) turns the counters 0, 1, 2, ... into 128 bits each, under
   the 128-bit key that names a stream. The transform of Box and Muller makes normals of them.
   Compiled without contraction, so that every machine rounds the same way. */

#include <math.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
typedef uint32_t Lanes __attribute__((vector_size(4 * LANES)));
#define ROTATED(x, by) (((x) << (by)) | ((x) >> (32 - (by))))

static inline void threefry(Lanes x[4], const uint32_t key[4]) {
  static const int turn[8][2] = {{10, 26}, {11, 21}, {13, 27}, {23, 5},
                                 {6, 20},  {17, 11}, {25, 10}, {18, 20}};
  const uint32_t k[5] = {key[0], key[1], key[2], key[3],
                         0x1BD11BDAu ^ key[0] ^ key[1] ^ key[2] ^ key[3]};
  for (int i = 0; i < 4; i++) x[i] += k[i];
#pragma GCC unroll 20
  for (int r = 0; r < 20; r++) {
    int p = r % 2 ? 3 : 1, q = r % 2 ? 1 : 3;
    x[0] += x[p];
    x[p] = ROTATED(x[p], turn[r % 8][0]) ^ x[0];
    x[2] += x[q];
    x[q] = ROTATED(x[q], turn[r % 8][1]) ^ x[2];
    if (r % 4 == 3) {
      int s = r / 4 + 1;
      for (int i = 0; i < 4; i++) x[i] += k[(s + i) % 5];
      x[3] += (uint32_t)s;
    }
  }
}

static inline float as_float(uint32_t bits) {
  float value;
  memcpy(&value, &bits, 4);
  return value;
}

static inline uint32_t as_bits(float value) {
  uint32_t bits;
  memcpy(&bits, &value, 4);
  return bits;
}

/* sigma sqrt(-2 ln u) (cos, sin)(2 pi v) for u of 31 bits of `a` and v of the bits of `b`. The
   polynomials are those of logf, sinf and cosf of the Cephes library. */
static inline void box_muller(const uint32_t *restrict a, const uint32_t *restrict b,
                              float *restrict first, float *restrict second, float sigma) {
  for (int i = 0; i < LANES; i++) {
    float u = ((float)(int32_t)(a[i] >> 1) + 0.5f) * 0x1p-31f;
    uint32_t bits = as_bits(u);
    uint32_t above = bits - 0x3f3504f3u; /* u = m 2^e with m in [sqrt(1/2), sqrt(2)) */
    float e = (float)((int32_t)above >> 23);
    float m = as_float(bits - (above & 0xff800000u)) - 1.0f;
    float p = 7.0376836292e-2f;
    p = p * m - 1.1514610310e-1f;
    p = p * m + 1.1676998740e-1f;
    p = p * m - 1.2420140846e-1f;
    p = p * m + 1.4249322787e-1f;
    p = p * m - 1.6668057665e-1f;
    p = p * m + 2.0000714765e-1f;
    p = p * m - 2.4999993993e-1f;
    p = p * m + 3.3333331174e-1f;
    float log_u = p * m * (m * m) - 2.12194440e-4f * e - 0.5f * (m * m) + m + 0.693359375f * e;
    float r = sqrtf(-2.0f * (log_u < 0.0f ? log_u : 0.0f)) * sigma;
    uint32_t quarter = (b[i] + 0x20000000u) >> 30; /* v = quarter / 4 + t, |t| <= 1/8 */
    float t = (float)(int32_t)(b[i] - (quarter << 30)) * 1.46291807926715968e-9f; /* 2 pi 2^-32 */
    float s = t * t;
    float sine = ((-1.9515295891e-4f * s + 8.3321608736e-3f) * s - 1.6666654611e-1f) * s * t + t;
    float cosine = ((2.443315711809948e-5f * s - 1.388731625493765e-3f) * s
                    + 4.166664568298827e-2f) * s * s - 0.5f * s + 1.0f;
    float x = quarter & 1 ? sine : cosine, y = quarter & 1 ? cosine : sine;
    first[i] = r * as_float(as_bits(x) ^ (((quarter + 1) & 2) << 30));
    second[i] = r * as_float(as_bits(y) ^ ((quarter & 2) << 30));
  }
}

/* The 128 bits of one counter, for tests against published values. */
void radii_threefry(const uint32_t counter[4], const uint32_t key[4], uint32_t out[4]) {
  Lanes x[4];
  for (int i = 0; i < 4; i++) x[i] = (Lanes){0} + counter[i];
  threefry(x, key);
  for (int i = 0; i < 4; i++) out[i] = x[i][0];
}

/* To the nearest of 16 bits, of two to the even one; the numbers are finite. */
static inline uint16_t as_bfloat16(float value) {
  uint32_t bits = as_bits(value);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
}

static inline void normal(float *restrict wide, uint16_t *restrict narrow, const float *restrict x,
                          size_t rows, size_t dim, float sigma, const uint32_t key[4]) {
  static const Lanes lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
  size_t count = rows * dim, place = 0; /* place: of `start` in x */
  for (size_t start = 0; start < count; start += 4 * LANES) {
    uint64_t counter = start / 4; /* a multiple of LANES, so no lane carries into the next word */
    Lanes words[4] = {(uint32_t)counter + lane, (Lanes){0} + (uint32_t)(counter >> 32), {0}, {0}};
    uint32_t bits[4][LANES];
    float z[4][LANES];
    threefry(words, key);
    memcpy(bits, words, sizeof bits);
    box_muller(bits[0], bits[1], z[0], z[1], sigma);
    box_muller(bits[2], bits[3], z[2], z[3], sigma);
    size_t left = count - start < 4 * LANES ? count - start : 4 * LANES;
    float *noisy = z[0];
    if (left == 4 * LANES && place + left <= dim) {
      for (size_t i = 0; i < 4 * LANES; i++) noisy[i] = x[place + i] + noisy[i];
      place = place + left == dim ? 0 : place + left;
    } else {
      for (size_t i = 0; i < left; i++) {
        noisy[i] = x[place] + noisy[i];
        place = place + 1 == dim ? 0 : place + 1;
      }
    }
    if (wide) {
      memcpy(wide + start, noisy, left * sizeof *wide);
    } else {
      for (size_t i = 0; i < left; i++) narrow[start + i] = as_bfloat16(noisy[i]);
    }
  }
}

/* `rows` copies of the `dim` numbers of x, plus N(0, sigma^2): the stream of `key` from its start. */
void radii_normal(float *out, const float *x, size_t rows, size_t dim, float sigma,
                  const uint32_t key[4]) {
  normal(out, NULL, x, rows, dim, sigma, key);
}

/* The same, rounded to bfloat16 after the addition. */
void radii_normal_bfloat16(uint16_t *out, const float *x, size_t rows, size_t dim, float sigma,
                           const uint32_t key[4]) {
  normal(NULL, out, x, rows, dim, sigma, key);
}
