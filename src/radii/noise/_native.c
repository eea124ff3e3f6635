/* Noise from counter-based generators, many times faster than one thread of torch.

   Compiled without contraction, so that every machine rounds the same way. */

#include "_words.h"
#include "_normal.h"

/* The words of one counter, for tests against published values. */
void radii_threefry(const uint32_t counter[4], const uint32_t key[4], uint32_t out[4]) {
  Lanes x[4];
  for (int i = 0; i < 4; i++) x[i] = (Lanes){0} + counter[i];
  threefry(x, key);
  for (int i = 0; i < 4; i++) out[i] = x[i][0];
}

void radii_chacha(uint32_t counter, const uint32_t nonce[3], const uint32_t key[8],
                  uint32_t out[16]) {
  Lanes x[16];
  chacha_state(x, key, (Lanes){0} + counter, nonce);
  chacha(x);
  for (int i = 0; i < 16; i++) out[i] = x[i][0];
}

/* The first `count` words of a row of a stream. */
void radii_words(uint32_t *out, size_t count, int kind, const uint32_t *key, uint32_t row) {
  uint32_t words[CHUNK];
  for (size_t start = 0; start < count; start += CHUNK) {
    fill(words, start, count, kind, key, row);
    size_t left = count - start < CHUNK ? count - start : CHUNK;
    memcpy(out + start, words, left * sizeof *out);
  }
}

static inline void put(float *wide, uint16_t *narrow, size_t start, size_t left,
                       const float *noisy) {
  if (wide) {
    memcpy(wide + start, noisy, left * sizeof *wide);
  } else {
    for (size_t i = 0; i < left; i++) narrow[start + i] = as_bfloat16(noisy[i]);
  }
}

static inline void normal(float *restrict wide, uint16_t *restrict narrow, const float *restrict x,
                          size_t rows, size_t dim, float sigma, int kind, const uint32_t *key) {
  size_t count = rows * dim, place = 0; /* place: of `start` in x */
  uint32_t words[CHUNK];
  for (size_t start = 0; start < count; start += 4 * LANES) {
    if (start % CHUNK == 0) fill(words, start, count, kind, key, 0);
    const uint32_t *bits = words + start % CHUNK;
    float noisy[4 * LANES];
    for (int i = 0; i < 4 * LANES; i += 2 * LANES)
      box_muller(bits + i, bits + i + LANES, noisy + i, noisy + i + LANES, sigma);
    size_t left = count - start < 4 * LANES ? count - start : 4 * LANES;
    if (left == 4 * LANES && place + left <= dim) {
      for (size_t i = 0; i < 4 * LANES; i++) noisy[i] = x[place + i] + noisy[i];
      place = place + left == dim ? 0 : place + left;
    } else {
      for (size_t i = 0; i < left; i++) {
        noisy[i] = x[place] + noisy[i];
        place = place + 1 == dim ? 0 : place + 1;
      }
    }
    put(wide, narrow, start, left, noisy);
  }
}

/* `rows` copies of the `dim` numbers of x, plus N(0, sigma^2): each `block` rows the stream of a key
   of `keys` from its start. The numbers are float32, or `narrow`: rounded to bfloat16 after the
   addition. */
void radii_normal(void *out, int narrow, const float *x, size_t rows, size_t dim, size_t block,
                  float sigma, int kind, const uint32_t *keys) {
  for (size_t row = 0; row < rows; row += block) {
    size_t part = rows - row < block ? rows - row : block;
    float *wide = narrow ? NULL : (float *)out + row * dim;
    uint16_t *half = narrow ? (uint16_t *)out + row * dim : NULL;
    if (kind == CHACHA) {
      normal(wide, half, x, part, dim, sigma, CHACHA, keys);
      keys += 8;
    } else {
      normal(wide, half, x, part, dim, sigma, THREEFRY, keys);
      keys += 4;
    }
  }
}

/* Whole numbers by inversion. A uniform number of 64 bits becomes the count of thresholds at most
   as large, plus `least`. The first `bits` of its first word pick an entry of `guide`: how many
   thresholds lie below that bucket, in the upper half, and the next 16 bits of the one within it,
   in the lower. They decide but for buckets with several thresholds, marked by 0xffff, and for 16
   bits that are equal. Then all of the first word is compared, and hardly ever the second, which
   stands at the same place in the second row of the stream. */
typedef struct {
  const uint32_t *guide;
  const uint16_t *first; /* thresholds at most as large as the start of each bucket; one more */
  const uint64_t *thresholds;
  uint32_t count, bits;
  int32_t least;
  float levels;
} Grid;

static __attribute__((noinline)) uint32_t second(size_t place, int kind, const uint32_t *key) {
  uint32_t words[CHUNK];
  fill(words, place - place % CHUNK, place + 1, kind, key, 1);
  return words[place % CHUNK];
}

static inline uint32_t searched(const Grid *grid, uint32_t word, size_t place, int kind,
                                const uint32_t *key) {
  uint32_t bucket = word >> (32 - grid->bits);
  uint32_t low = grid->first[bucket], high = grid->first[bucket + 1];
  uint64_t from = (uint64_t)word << 32;
  while (low < high) { /* to the first threshold of at least `from` */
    uint32_t middle = (low + high) / 2;
    if (grid->thresholds[middle] < from) low = middle + 1;
    else high = middle;
  }
  if (low < grid->count && grid->thresholds[low] >> 32 == word) {
    uint64_t whole = from | second(place, kind, key);
    while (low < grid->count && grid->thresholds[low] <= whole) low++;
  }
  return low;
}

#define PIECE 32 /* numbers that are added at a time, but where an input ends */

static inline void rounded(float *restrict wide, uint16_t *restrict narrow,
                           const float *restrict x, size_t rows, size_t dim, const Grid *grid,
                           int kind, const uint32_t *key) {
  size_t count = rows * dim, place = 0;
  const uint32_t *guide = grid->guide, bits = grid->bits, shift = 32 - bits;
  const int32_t least = grid->least;
  const float levels = grid->levels;
  for (size_t start = 0; start < count; start += CHUNK) {
    uint32_t words[CHUNK];
    int32_t z[CHUNK];
    uint32_t entries[CHUNK];
    uint8_t open[CHUNK];
    float noisy[CHUNK];
    fill(words, start, count, kind, key, 0);
    size_t left = count - start < CHUNK ? count - start : CHUNK;
    for (size_t i = 0; i < CHUNK; i++) entries[i] = guide[words[i] >> shift];
    for (size_t i = 0; i < CHUNK; i++) {
      uint32_t next = (words[i] << bits) >> 16, entry = entries[i];
      z[i] = (int32_t)((entry >> 16) + (next > (entry & 0xffffu))) + least;
      open[i] = (next == (entry & 0xffffu)) | (entry >> 16 == 0xffffu);
    }
    for (size_t i = 0; i < left; i += 8) {
      uint64_t any;
      memcpy(&any, open + i, sizeof any);
      for (size_t j = i; any && j < i + 8; j++)
        if (open[j]) z[j] = (int32_t)searched(grid, words[j], start + j, kind, key) + least;
    }
    for (size_t done = 0; done < left; done += PIECE) {
      size_t part = left - done < PIECE ? left - done : PIECE;
      if (part == PIECE && place + part <= dim) {
        for (size_t i = 0; i < PIECE; i++)
          noisy[done + i] = (float)((int32_t)rintf(x[place + i] * levels) + z[done + i]) / levels;
        place = place + part == dim ? 0 : place + part;
      } else {
        for (size_t i = 0; i < part; i++) {
          noisy[done + i] = (float)((int32_t)rintf(x[place] * levels) + z[done + i]) / levels;
          place = place + 1 == dim ? 0 : place + 1;
        }
      }
    }
    put(wide, narrow, start, left, noisy);
  }
}

/* `rows` copies of the `dim` numbers of x, which are whole numbers over `levels`, plus such noise:
   each result is a quotient of whole numbers, rounded once. */
void radii_grid(void *out, int narrow, const float *x, size_t rows, size_t dim, const Grid *grid,
                int kind, const uint32_t *key) {
  if (kind == CHACHA)
    rounded(narrow ? NULL : out, narrow ? out : NULL, x, rows, dim, grid, CHACHA, key);
  else
    rounded(narrow ? NULL : out, narrow ? out : NULL, x, rows, dim, grid, THREEFRY, key);
}
