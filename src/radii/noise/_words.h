/* Random words of 32 bits, 256 at a time: of Threefry-4x32-20 (Salmon et al. 2011) under a key of
   128 bits, or of ChaCha20 (RFC 8439) under one of 256. A stream has two rows of words. */

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#define LANES 16
#define CHUNK 256
typedef uint32_t Lanes __attribute__((vector_size(4 * LANES)));
#define ROTATED(x, by) (((x) << (by)) | ((x) >> (32 - (by))))

enum { THREEFRY, CHACHA };

static const Lanes lane = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};

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

static inline void quarter_round(Lanes *a, Lanes *b, Lanes *c, Lanes *d) {
  *a += *b, *d = ROTATED(*d ^ *a, 16);
  *c += *d, *b = ROTATED(*b ^ *c, 12);
  *a += *b, *d = ROTATED(*d ^ *a, 8);
  *c += *d, *b = ROTATED(*b ^ *c, 7);
}

/* The block function: `x` holds the states, and then their blocks. */
static inline void chacha(Lanes x[16]) {
  Lanes start[16];
  memcpy(start, x, sizeof start);
  for (int r = 0; r < 10; r++) {
    for (int i = 0; i < 4; i++) quarter_round(x + i, x + 4 + i, x + 8 + i, x + 12 + i);
    for (int i = 0; i < 4; i++)
      quarter_round(x + i, x + 4 + (i + 1) % 4, x + 8 + (i + 2) % 4, x + 12 + (i + 3) % 4);
  }
  for (int i = 0; i < 16; i++) x[i] += start[i];
}

static inline void chacha_state(Lanes x[16], const uint32_t key[8], Lanes counter,
                                const uint32_t nonce[3]) {
  static const uint32_t sigma[4] = {0x61707865u, 0x3320646eu, 0x79622d32u, 0x6b206574u};
  for (int i = 0; i < 4; i++) x[i] = (Lanes){0} + sigma[i];
  for (int i = 0; i < 8; i++) x[4 + i] = (Lanes){0} + key[i];
  x[12] = counter;
  for (int i = 0; i < 3; i++) x[13 + i] = (Lanes){0} + nonce[i];
}

/* Words `start` to `start` + 255, or as many of them as `count` leaves, of a row of a stream. The
   counters of a chunk begin with a multiple of 16, so no lane carries into the next word. */
static inline void fill(uint32_t out[CHUNK], size_t start, size_t count, int kind,
                        const uint32_t *key, uint32_t row) {
  if (kind == CHACHA) {
    uint64_t counter = start / 16;
    const uint32_t nonce[3] = {(uint32_t)(counter >> 32), row, 0};
    Lanes x[16];
    chacha_state(x, key, (uint32_t)counter + lane, nonce);
    chacha(x);
    memcpy(out, x, sizeof x);
    return;
  }
  for (size_t group = 0; group < CHUNK && start + group < count; group += 4 * LANES) {
    uint64_t counter = (start + group) / 4;
    Lanes x[4] = {(uint32_t)counter + lane, (Lanes){0} + (uint32_t)(counter >> 32),
                  (Lanes){0} + row, {0}};
    threefry(x, key);
    memcpy(out + group, x, sizeof x);
  }
}
