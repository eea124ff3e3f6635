/* Normal numbers by the transform of Box and Muller. */

#include <math.h>

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

/* To the nearest of 16 bits, of two to the even one; the numbers are finite. */
static inline uint16_t as_bfloat16(float value) {
  uint32_t bits = as_bits(value);
  return (uint16_t)((bits + 0x7fffu + ((bits >> 16) & 1u)) >> 16);
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
