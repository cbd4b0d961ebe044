/* MusicGen's decoder with 8-bit weights, one whole step in one call.
 *
 * A "lane" is one position of one row of the batch: a step has a lane for every row, a prefill many lanes of one row.
 * Nothing that a lane computes depends on the other lanes of the call: every sum runs over the same numbers in the
 * same order, so a row's logits are equal to the bit alone and in company. They are also equal on every processor:
 * sums of products of 8-bit numbers are exact, and sums of floats are laid out in eight columns whatever the width of
 * the registers. Compile with -ffp-contract=off; the only fused products are those written as such.
 *
 * One file is compiled for one kind of processor, told by the compiler's own macros:
 *   AVX-512 VNNI, AVX-VNNI, AVX2 (with FMA and F16C), NEON with dot products, or plain C, which the others equal.
 *
 * Weights: outputs in tiles of 16, inputs in blocks of 128, zeros where a matrix does not fill them. A tile is one
 * block after the other; a block is 8-bit weights [128 / 4][16 outputs][4 inputs] and then 16 scales in fp32.
 * Activations are rounded to 8 bits with a scale for each lane and block. Where an instruction wants them unsigned, 128
 * (BIASED) is added to them, and 128 times the sum of the weights is taken off again.
 *
 * Keys and values of one row: [layer][heads][keys, then values], each capacity x width halves (fp16), where width is
 * the head's width rounded up to 8 and capacity is a multiple of 8. Keys lie as [capacity / 8][width][8 positions],
 * so that eight scores are computed side by side; values as [capacity][width].
 */
#define _GNU_SOURCE
#include <linux/futex.h>
#include <math.h>
#include <pthread.h>
#include <stdalign.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#define ABI 1             /* goes up with every change to the structures below */
#define TILE 16           /* outputs */
#define BLOCK 128         /* inputs */
#define WEIGHTS (TILE * BLOCK)
#define TILE_BLOCK (WEIGHTS + TILE * 4) /* bytes */
#define LANES 64          /* of one pass */
#define AHEAD (2 * TILE_BLOCK) /* how far ahead of their use weights are called for: beyond where prefetchers stop */
#define BOOKS 16          /* codebooks, at most */
#define PHASES_A_LAYER 16
#define ITEMS_A_THREAD 4  /* pieces of a phase: more even out what threads lose to other programs */
#define SPINS 4000        /* some tens of microseconds, then a waiting thread sleeps */

#if defined(__AVX2__) || defined(__AVX512VNNI__)
#include <immintrin.h>
#elif defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
#include <arm_neon.h>
#endif

#define INLINE static inline __attribute__((always_inline))
#define PRAGMA(text) _Pragma(#text)
#if defined(__clang__)
#define UNROLL(n) PRAGMA(clang loop unroll_count(n))
#else
#define UNROLL(n) PRAGMA(GCC unroll n)
#endif

/* ---- what Python fills in (mirrored in binding.py) ---- */

typedef struct {
  const uint8_t *tiles;
  const float *bias; /* (outputs,) or NULL */
  int32_t outputs, inputs;
} matrix;

typedef struct {
  const float *gain, *bias; /* (dim,) */
} norm;

typedef struct {
  norm before_self, before_cross, before_feed;
  matrix self_in, self_out; /* self_in: query, key, value one below the other */
  matrix cross_query, cross_key_value, cross_out;
  matrix widen, narrow;
} layer;

typedef struct {
  int32_t dim, heads, layers, wide, books, card;
  float epsilon;
  const float *embeddings; /* (books, card + 1, dim) */
  const float *positions;  /* (positions, dim) */
  const layer *layer;
  norm last;
  matrix logits; /* books * card outputs */
} model;

typedef struct {
  uint16_t *cache;       /* keys and values of the row */
  const uint16_t *cross; /* those of its text, or NULL */
  const float *vector;   /* (dim,): read in place of tokens, or NULL */
  int32_t capacity, cross_capacity, cross_length;
  int32_t position;
  int32_t wanted; /* where in the logits its own go, or -1 */
  int32_t tokens[BOOKS];
} lane;

/* ---- eight floats ---- */

#if defined(__AVX2__)
typedef __m256 eight;
INLINE void eight_store(float *p, eight v) { _mm256_storeu_ps(p, v); }
INLINE eight eight_all(float x) { return _mm256_set1_ps(x); }
INLINE eight eight_fma(eight a, eight b, eight c) { return _mm256_fmadd_ps(a, b, c); }
INLINE eight eight_halves(const uint16_t *p) { return _mm256_cvtph_ps(_mm_loadu_si128((const __m128i *)p)); }
INLINE void eight_to_halves(uint16_t *p, const float *x) {
  _mm_storeu_si128((__m128i *)p, _mm256_cvtps_ph(_mm256_loadu_ps(x), _MM_FROUND_TO_NEAREST_INT));
}
#elif defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
typedef struct { float32x4_t a, b; } eight;
INLINE void eight_store(float *p, eight v) { vst1q_f32(p, v.a), vst1q_f32(p + 4, v.b); }
INLINE eight eight_all(float x) { return (eight){vdupq_n_f32(x), vdupq_n_f32(x)}; }
INLINE eight eight_fma(eight a, eight b, eight c) { return (eight){vfmaq_f32(c.a, a.a, b.a), vfmaq_f32(c.b, a.b, b.b)}; }
INLINE eight eight_halves(const uint16_t *p) {
  float16x8_t h = vreinterpretq_f16_u16(vld1q_u16(p));
  return (eight){vcvt_f32_f16(vget_low_f16(h)), vcvt_high_f32_f16(h)};
}
INLINE void eight_to_halves(uint16_t *p, const float *x) {
  vst1q_u16(p, vreinterpretq_u16_f16(vcvt_high_f16_f32(vcvt_f16_f32(vld1q_f32(x)), vld1q_f32(x + 4))));
}
#else
typedef struct { float v[8]; } eight;
INLINE void eight_store(float *p, eight v) { memcpy(p, &v, sizeof v); }
INLINE eight eight_all(float x) { return (eight){{x, x, x, x, x, x, x, x}}; }
INLINE eight eight_fma(eight a, eight b, eight c) {
  for (int i = 0; i < 8; i++) c.v[i] = fmaf(a.v[i], b.v[i], c.v[i]);
  return c;
}
/* Halves to floats and back by their bits: the exponent is moved and the floating-point unit does the rest. */
INLINE float from_half(uint16_t half) {
  uint32_t bits = (uint32_t)(half & 0x7fff) << 13, sign = (uint32_t)(half & 0x8000) << 16;
  float x;
  memcpy(&x, &bits, 4);
  x *= 0x1p112f;
  memcpy(&bits, &x, 4);
  bits = ((half & 0x7c00) == 0x7c00 ? bits | 0x7f800000u : bits) | sign;
  memcpy(&x, &bits, 4);
  return x;
}
INLINE uint16_t to_half(float x) {
  uint32_t bits;
  memcpy(&bits, &x, 4);
  uint16_t sign = (uint16_t)(bits >> 16 & 0x8000);
  bits &= 0x7fffffff;
  if (bits >= 0x47800000) return sign | (bits > 0x7f800000 ? 0x7e00 : 0x7c00);
  if (bits < 0x38800000) { /* below the smallest normal half: a float of 2^-1 has that half's last place as its own */
    float small;
    memcpy(&small, &bits, 4);
    small += 0.5f;
    memcpy(&bits, &small, 4);
    return sign | (uint16_t)(bits - 0x3f000000);
  }
  bits += 0xfff + (bits >> 13 & 1); /* to the nearest, ties to even */
  return sign | (uint16_t)((bits - 0x38000000) >> 13);
}
INLINE eight eight_halves(const uint16_t *p) {
  eight r;
  for (int i = 0; i < 8; i++) r.v[i] = from_half(p[i]);
  return r;
}
INLINE void eight_to_halves(uint16_t *p, const float *x) {
  for (int i = 0; i < 8; i++) p[i] = to_half(x[i]);
}
#endif

/* Sum in eight columns, then the columns in pairs: one order for every processor. */
INLINE float column_sum(const float *columns) {
  return ((columns[0] + columns[4]) + (columns[2] + columns[6])) + ((columns[1] + columns[5]) + (columns[3] + columns[7]));
}

#define NEAREST 12582912.0f /* 1.5 * 2^23: adding it rounds to a whole number, which its last bits then hold */

INLINE float exponential(float x) { /* for x in [-87, 88], to 2 units in the last place */
  x = x < -87.0f ? -87.0f : x;
  float shifted = fmaf(x, 1.44269504f, NEAREST), n = shifted - NEAREST;
  float r = fmaf(n, -0.693145752f, x); /* ln 2 in two parts */
  r = fmaf(n, -1.42860677e-6f, r);
  float p = 1.0f / 5040.0f;
  p = fmaf(p, r, 1.0f / 720.0f);
  p = fmaf(p, r, 1.0f / 120.0f);
  p = fmaf(p, r, 1.0f / 24.0f);
  p = fmaf(p, r, 1.0f / 6.0f);
  p = fmaf(p, r, 0.5f);
  p = fmaf(p, r, 1.0f);
  p = fmaf(p, r, 1.0f);
  uint32_t bits, power;
  memcpy(&bits, &p, 4);
  memcpy(&power, &shifted, 4);
  bits += power << 23;
  memcpy(&p, &bits, 4);
  return p;
}

INLINE float gelu(float x) { /* x * Phi(x), with erf to 1.5e-7 (Abramowitz & Stegun 1964, 7.1.26) */
  float z = fabsf(x) * 0.707106781f, t = 1.0f / fmaf(0.3275911f, z, 1.0f);
  float p = 1.061405429f;
  p = fmaf(p, t, -1.453152027f);
  p = fmaf(p, t, 1.421413741f);
  p = fmaf(p, t, -0.284496736f);
  p = fmaf(p, t, 0.254829592f);
  float tail = 0.5f * p * t * exponential(-z * z); /* 1 - Phi(|x|) */
  return x > 0.0f ? x - x * tail : x * tail;
}

/* ---- sums of products of 8-bit numbers: one block of one tile, for some lanes ----
 *
 * Each adds weights * activations to the lanes' 16 sums. ROWS is how many lanes the registers hold; `rows` is a
 * constant wherever the function is inlined, so that the loops over it are unrolled.
 */

#if defined(__AVX512VNNI__) && defined(__AVX512F__)
#define ROWS 8
#define BIASED 0x80
INLINE void dot(const uint8_t *w, const int8_t *x, const float *scale, int rows, float sums[][TILE]) {
  __m512i sum[ROWS], bias = _mm512_setzero_si512();
  for (int r = 0; r < rows; r++) sum[r] = _mm512_setzero_si512();
  for (int k = 0; k < BLOCK; k += 4) {
    __m512i weight = _mm512_loadu_si512(w + k * TILE);
    __builtin_prefetch(w + k * TILE + AHEAD);
    bias = _mm512_dpbusd_epi32(bias, _mm512_set1_epi8((char)0x80), weight);
    for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x + r * BLOCK + k, 4);
      sum[r] = _mm512_dpbusd_epi32(sum[r], _mm512_set1_epi32(four), weight);
    }
  }
  __m512 scales = _mm512_loadu_ps(w + WEIGHTS);
  for (int r = 0; r < rows; r++) {
    __m512 value = _mm512_cvtepi32_ps(_mm512_sub_epi32(sum[r], bias));
    __m512 both = _mm512_mul_ps(scales, _mm512_set1_ps(scale[r]));
    _mm512_storeu_ps(sums[r], _mm512_fmadd_ps(value, both, _mm512_loadu_ps(sums[r])));
  }
}
#elif defined(__AVX2__)
#define ROWS 3 /* four take more registers than there are */
#define BIASED 0x80
INLINE void dot(const uint8_t *w, const int8_t *x, const float *scale, int rows, float sums[][TILE]) {
  __m256i sum[ROWS][2], bias[2] = {_mm256_setzero_si256(), _mm256_setzero_si256()}; /* two halves of the outputs */
  UNROLL(4) for (int r = 0; r < rows; r++) sum[r][0] = sum[r][1] = _mm256_setzero_si256();
  UNROLL(2) for (int k = 0; k < BLOCK; k += 4) {
    __m256i weight[2];
    __builtin_prefetch(w + k * TILE + AHEAD);
    UNROLL(2) for (int h = 0; h < 2; h++) {
      weight[h] = _mm256_load_si256((const __m256i *)(w + k * TILE + 32 * h));
#if defined(__AVXVNNI__)
      bias[h] = _mm256_dpbusd_avx_epi32(bias[h], _mm256_set1_epi8((char)0x80), weight[h]);
#else /* plain sums of the weights, which 16 bits hold */
      bias[h] = _mm256_add_epi16(bias[h], _mm256_maddubs_epi16(_mm256_set1_epi8(1), weight[h]));
#endif
    }
    UNROLL(4) for (int r = 0; r < rows; r++) {
      int32_t four;
      memcpy(&four, x + r * BLOCK + k, 4);
      __m256i activation = _mm256_set1_epi32(four);
      UNROLL(2) for (int h = 0; h < 2; h++) {
#if defined(__AVXVNNI__)
        sum[r][h] = _mm256_dpbusd_avx_epi32(sum[r][h], activation, weight[h]);
#else /* two products sum to at most 255 * 128 < 2^15: so the weights are rounded (prepare.py) */
        __m256i pairs = _mm256_maddubs_epi16(activation, weight[h]);
        sum[r][h] = _mm256_add_epi32(sum[r][h], _mm256_madd_epi16(pairs, _mm256_set1_epi16(1)));
#endif
      }
    }
  }
  UNROLL(2) for (int h = 0; h < 2; h++) {
#if !defined(__AVXVNNI__)
    bias[h] = _mm256_madd_epi16(bias[h], _mm256_set1_epi16(0x80));
#endif
    __m256 scales = _mm256_load_ps((const float *)(w + WEIGHTS) + 8 * h);
    UNROLL(4) for (int r = 0; r < rows; r++) {
      __m256 both = _mm256_mul_ps(scales, _mm256_set1_ps(scale[r]));
      __m256 value = _mm256_cvtepi32_ps(_mm256_sub_epi32(sum[r][h], bias[h]));
      _mm256_storeu_ps(sums[r] + 8 * h, _mm256_fmadd_ps(value, both, _mm256_loadu_ps(sums[r] + 8 * h)));
    }
  }
}
#elif defined(__ARM_NEON) && defined(__ARM_FEATURE_DOTPROD)
#define ROWS 4
#define BIASED 0
INLINE void dot(const uint8_t *w, const int8_t *x, const float *scale, int rows, float sums[][TILE]) {
  int32x4_t sum[ROWS][4];
  for (int r = 0; r < rows; r++)
    for (int j = 0; j < 4; j++) sum[r][j] = vdupq_n_s32(0);
  for (int k = 0; k < BLOCK; k += 16) {
    int8x16_t activation[ROWS];
    for (int r = 0; r < rows; r++) activation[r] = vld1q_s8(x + r * BLOCK + k);
#define QUARTER(lane)                                                                      \
  __builtin_prefetch(w + (k + 4 * lane) * TILE + AHEAD);                        \
  for (int j = 0; j < 4; j++) {                                                            \
    int8x16_t weight = vld1q_s8((const int8_t *)w + (k + 4 * lane) * TILE + 16 * j);       \
    for (int r = 0; r < rows; r++) sum[r][j] = vdotq_laneq_s32(sum[r][j], weight, activation[r], lane); \
  }
    QUARTER(0) QUARTER(1) QUARTER(2) QUARTER(3)
#undef QUARTER
  }
  for (int j = 0; j < 4; j++) {
    float32x4_t scales = vld1q_f32((const float *)(w + WEIGHTS) + 4 * j);
    for (int r = 0; r < rows; r++) {
      float *to = sums[r] + 4 * j;
      vst1q_f32(to, vfmaq_f32(vld1q_f32(to), vcvtq_f32_s32(sum[r][j]), vmulq_n_f32(scales, scale[r])));
    }
  }
}
#else
#define ROWS 4
#define BIASED 0
INLINE void dot(const uint8_t *w, const int8_t *x, const float *scale, int rows, float sums[][TILE]) {
  for (int r = 0; r < rows; r++)
    for (int o = 0; o < TILE; o++) {
      int32_t sum = 0;
      float weight_scale;
      memcpy(&weight_scale, w + WEIGHTS + 4 * o, 4);
      for (int k = 0; k < BLOCK; k++) sum += (int8_t)w[(k / 4 * TILE + o) * 4 + k % 4] * x[r * BLOCK + k];
      sums[r][o] = fmaf((float)sum, weight_scale * scale[r], sums[r][o]);
    }
}
#endif

/* One tile over all blocks and lanes. x is [blocks][lanes][BLOCK], its scales [blocks][lanes]. */
static void tile(const uint8_t *w, int blocks, const int8_t *x, const float *scales, int lanes, float sums[][TILE]) {
  memset(sums, 0, sizeof(float) * TILE * (size_t)lanes);
  for (int b = 0; b < blocks; b++, w += TILE_BLOCK, x += BLOCK * lanes, scales += lanes) {
    int r = 0;
    for (; r + ROWS <= lanes; r += ROWS) dot(w, x + r * BLOCK, scales + r, ROWS, sums + r);
    const int8_t *rest = x + r * BLOCK;
    switch (lanes - r) {
#define REST(n) case n: dot(w, rest, scales + r, n, sums + r); break;
      REST(1) REST(2)
#if ROWS > 3
      REST(3)
#endif
#if ROWS > 4
      REST(4) REST(5) REST(6) REST(7)
#endif
#undef REST
    }
  }
}

/* ---- the threads: they work through the phases of a program, each phase cut into items that anybody takes ----
 *
 * `ticket` holds the phase's serial number and how many of its items are left (plus SURPLUS, so that those who come
 * for one too many do not borrow from the number). A phase ends when its items are done, wherever the threads are: one
 * that the machine has put aside holds up the others only by the item it is at.
 */

#define SURPLUS (1u << 30)

typedef struct decoder decoder;
typedef struct {
  void (*work)(decoder *, const layer *, int first, int last, float *scores);
  const layer *layer;
  int total, items;
} phase;

struct decoder {
  const model *model;
  int threads, width; /* of a head, rounded up to eight */
  /* one pass */
  const lane *lanes;
  float *logits;
  int count, attending, wanted; /* lanes; those with text; those whose logits are asked for */
  int with_text[LANES], with_logits[LANES];
  /* what the phases hand on, a lane a line */
  float *state, *wide, *heard;
  int8_t *rounded;
  float *scales;
  float **scores; /* one a thread */
  /* the program */
  phase *phases;
  int phase_count;
  uint32_t base;
  alignas(64) _Atomic uint64_t ticket;
  alignas(64) _Atomic int32_t done;
  alignas(64) _Atomic uint32_t bell;
  _Atomic int32_t sleepers;
  _Atomic bool closing;
  pthread_t *workers;
  int started;
};

typedef struct { decoder *decoder; int number; } worker_start;

INLINE void pause_briefly(void) {
#if defined(__x86_64__)
  __builtin_ia32_pause();
#elif defined(__aarch64__)
  __asm__ volatile("yield");
#endif
}

static void open_phase(decoder *d, uint32_t serial) {
  uint32_t place = serial - d->base;
  uint32_t items = place < (uint32_t)d->phase_count ? (uint32_t)d->phases[place].items : 0;
  atomic_store(&d->done, 0);
  atomic_store(&d->ticket, (uint64_t)serial << 32 | (SURPLUS + items));
  atomic_fetch_add(&d->bell, 1);
  if (atomic_load(&d->sleepers)) syscall(SYS_futex, &d->bell, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
}

static void wait_beyond(decoder *d, uint32_t serial) {
  for (int i = 0; i < SPINS; i++) {
    if ((uint32_t)(atomic_load_explicit(&d->ticket, memory_order_acquire) >> 32) != serial) return;
    pause_briefly();
  }
  atomic_fetch_add(&d->sleepers, 1);
  uint32_t rung = atomic_load(&d->bell);
  if ((uint32_t)(atomic_load(&d->ticket) >> 32) == serial && !atomic_load(&d->closing))
    syscall(SYS_futex, &d->bell, FUTEX_WAIT_PRIVATE, rung, NULL, NULL, 0);
  atomic_fetch_sub(&d->sleepers, 1);
}

/* Take part until the phase `last` has begun (or for good). */
static void take_part(decoder *d, int number, const uint32_t *last) {
  for (;;) {
    uint64_t ticket = atomic_fetch_sub(&d->ticket, 1);
    uint32_t serial = (uint32_t)(ticket >> 32), left = (uint32_t)ticket;
    if (left > SURPLUS) { /* the program stays as it is while an item is held, and no longer */
      phase p = d->phases[serial - d->base];
      int64_t item = (int64_t)p.items - (left - SURPLUS);
      p.work(d, p.layer, (int)(p.total * item / p.items), (int)(p.total * (item + 1) / p.items), d->scores[number]);
      if (atomic_fetch_add(&d->done, 1) + 1 == p.items) open_phase(d, serial + 1);
      continue;
    }
    if (last ? serial == *last : atomic_load(&d->closing)) return;
    wait_beyond(d, serial);
  }
}

static void *worker(void *argument) {
  worker_start start = *(worker_start *)argument;
  free(argument);
  take_part(start.decoder, start.number, NULL);
  return NULL;
}

/* ---- the phases; each does the pieces first to last - 1 of its total ---- */

static void normalise(const norm *n, const float *x, int dim, float epsilon, float *to) {
  float columns[8] = {0};
  for (int i = 0; i < dim; i++) columns[i % 8] += x[i];
  float mean = column_sum(columns) / (float)dim;
  memset(columns, 0, sizeof columns);
  for (int i = 0; i < dim; i++) columns[i % 8] = fmaf(x[i] - mean, x[i] - mean, columns[i % 8]);
  float scale = 1.0f / sqrtf(column_sum(columns) / (float)dim + epsilon);
  for (int i = 0; i < dim; i++) to[i] = fmaf((x[i] - mean) * scale, n->gain[i], n->bias[i]);
}

INLINE int blocks_of(int inputs) { return (inputs + BLOCK - 1) / BLOCK; }

/* Round line `row` of `rows` to 8 bits, a scale for each block. */
static void round_line(decoder *d, const float *x, int inputs, int row, int rows) {
  for (int b = 0; inputs > 0; b++, x += BLOCK, inputs -= BLOCK) {
    float padded[BLOCK], largest = 0.0f;
    const float *from = x;
    if (inputs < BLOCK) {
      memset(padded, 0, sizeof padded);
      memcpy(padded, x, sizeof(float) * (size_t)inputs);
      from = padded;
    }
    for (int i = 0; i < BLOCK; i++) {
      float size = fabsf(from[i]);
      largest = size > largest ? size : largest;
    }
    float factor = largest > 1e-30f ? 127.0f / largest : 0.0f;
    int8_t *to = d->rounded + (size_t)(b * rows + row) * BLOCK;
    for (int i = 0; i < BLOCK; i++) {
      float shifted = fmaf(from[i], factor, NEAREST);
      int32_t bits;
      memcpy(&bits, &shifted, 4);
      to[i] = (int8_t)(bits ^ BIASED);
    }
    d->scales[b * rows + row] = largest / 127.0f;
  }
}

typedef enum { PUT, ADD, GELU } ending;

/* Multiply the rounded lines by tiles first to last - 1; `lines` says which line of `to` each belongs to. */
INLINE void multiply(decoder *d, const matrix *m, int rows, const int *lines, float *to, size_t stride, ending end,
                     int first, int last) {
  float sums[LANES][TILE];
  int blocks = blocks_of(m->inputs);
  for (int t = first; t < last; t++) {
    tile(m->tiles + (size_t)t * (size_t)blocks * TILE_BLOCK, blocks, d->rounded, d->scales, rows, sums);
    int start = t * TILE, some = m->outputs - start < TILE ? m->outputs - start : TILE;
    for (int r = 0; r < rows; r++) {
      float *out = to + (size_t)(lines ? lines[r] : r) * stride + start;
      if (m->bias)
        for (int i = 0; i < some; i++) sums[r][i] += m->bias[start + i];
      if (end == GELU)
        for (int i = 0; i < TILE; i++) sums[r][i] = gelu(sums[r][i]);
      if (end == ADD)
        for (int i = 0; i < some; i++) out[i] += sums[r][i];
      else
        memcpy(out, sums[r], sizeof(float) * (size_t)some);
    }
  }
}

INLINE float *line_of(const decoder *d, int l) { return d->state + (size_t)l * (size_t)d->model->dim; }
INLINE size_t wide_stride(const decoder *d) {
  return (size_t)(3 * d->model->dim > d->model->wide ? 3 * d->model->dim : d->model->wide);
}
INLINE float *wide_of(const decoder *d, int l) { return d->wide + (size_t)l * wide_stride(d); }
INLINE float *heard_of(const decoder *d, int l) { return d->heard + (size_t)l * (size_t)d->model->dim; }

static void read_in(decoder *d, const layer *y, int first, int last, float *scores) {
  (void)y, (void)scores;
  const model *m = d->model;
  for (int l = first; l < last; l++) {
    const lane *from = &d->lanes[l];
    float *x = line_of(d, l);
    if (from->vector) {
      memcpy(x, from->vector, sizeof(float) * (size_t)m->dim);
    } else {
      memset(x, 0, sizeof(float) * (size_t)m->dim);
      for (int q = 0; q < m->books; q++) {
        const float *row = m->embeddings + ((size_t)q * (size_t)(m->card + 1) + (size_t)from->tokens[q]) * (size_t)m->dim;
        for (int i = 0; i < m->dim; i++) x[i] += row[i];
      }
    }
    const float *position = m->positions + (size_t)from->position * (size_t)m->dim;
    for (int i = 0; i < m->dim; i++) x[i] += position[i];
  }
}

static void norm_and_round(decoder *d, const norm *n, const int *lines, int rows, int first, int last) {
  for (int r = first; r < last; r++) {
    float *to = heard_of(d, r);
    normalise(n, line_of(d, lines ? lines[r] : r), d->model->dim, d->model->epsilon, to);
    round_line(d, to, d->model->dim, r, rows);
  }
}

#define PHASE(name) static void name(decoder *d, const layer *y, int first, int last, float *scores)

PHASE(ready_self) { (void)scores; norm_and_round(d, &y->before_self, NULL, d->count, first, last); }
PHASE(ready_cross) { (void)scores; norm_and_round(d, &y->before_cross, d->with_text, d->attending, first, last); }
PHASE(ready_feed) { (void)scores; norm_and_round(d, &y->before_feed, NULL, d->count, first, last); }
PHASE(ready_logits) { (void)y, (void)scores; norm_and_round(d, &d->model->last, d->with_logits, d->wanted, first, last); }

PHASE(self_in) {
  (void)scores;
  multiply(d, &y->self_in, d->count, NULL, d->wide, wide_stride(d), PUT, first, last);
}
PHASE(self_out) {
  (void)scores;
  multiply(d, &y->self_out, d->count, NULL, d->state, (size_t)d->model->dim, ADD, first, last);
}
PHASE(cross_query) {
  (void)scores;
  multiply(d, &y->cross_query, d->attending, NULL, d->wide, wide_stride(d), PUT, first, last);
}
PHASE(cross_out) {
  (void)scores;
  multiply(d, &y->cross_out, d->attending, d->with_text, d->state, (size_t)d->model->dim, ADD, first, last);
}
PHASE(widen) {
  (void)scores;
  multiply(d, &y->widen, d->count, NULL, d->wide, wide_stride(d), GELU, first, last);
}
PHASE(narrow) {
  (void)scores;
  multiply(d, &y->narrow, d->count, NULL, d->state, (size_t)d->model->dim, ADD, first, last);
}
PHASE(give_logits) {
  (void)y, (void)scores;
  int places[LANES];
  for (int r = 0; r < d->wanted; r++) places[r] = d->lanes[d->with_logits[r]].wanted;
  const matrix *m = &d->model->logits;
  multiply(d, m, d->wanted, places, d->logits, (size_t)m->outputs, PUT, first, last);
}
PHASE(round_wide) {
  (void)y, (void)scores;
  for (int l = first; l < last; l++) round_line(d, wide_of(d, l), d->model->wide, l, d->count);
}
PHASE(round_heard) {
  (void)y, (void)scores;
  for (int l = first; l < last; l++) round_line(d, heard_of(d, l), d->model->dim, l, d->count);
}
PHASE(round_heard_text) {
  (void)y, (void)scores;
  for (int l = first; l < last; l++) round_line(d, heard_of(d, l), d->model->dim, l, d->attending);
}

INLINE size_t head_halves(const decoder *d, int capacity) { return (size_t)capacity * (size_t)d->width; }

/* Where a head's keys begin; its values follow them. */
INLINE size_t head_at(const decoder *d, const layer *y, int head, int capacity) {
  size_t number = (size_t)(y - d->model->layer) * (size_t)d->model->heads + (size_t)head;
  return number * 2 * head_halves(d, capacity);
}

static void store(const decoder *d, uint16_t *keys, int capacity, int position, const float *key, const float *value) {
  int width = d->width, e = d->model->dim / d->model->heads;
  float padded[8] = {0};
  uint16_t halves[8];
  uint16_t *k = keys + (size_t)(position / 8) * (size_t)width * 8 + position % 8;
  uint16_t *v = keys + head_halves(d, capacity) + (size_t)position * (size_t)width;
  for (int i = 0; i < width; i += 8) {
    int some = e - i < 8 ? e - i : 8;
    memcpy(padded, key + i, sizeof(float) * (size_t)some);
    if (some < 8) memset(padded + some, 0, sizeof(float) * (size_t)(8 - some));
    eight_to_halves(halves, padded);
    for (int j = 0; j < 8; j++) k[(i + j) * 8] = halves[j];
    memcpy(padded, value + i, sizeof(float) * (size_t)some);
    eight_to_halves(v + i, padded);
  }
}

PHASE(remember) { /* a piece is one head of one lane */
  (void)scores;
  const model *m = d->model;
  int e = m->dim / m->heads;
  for (int piece = first; piece < last; piece++) {
    int l = piece / m->heads, h = piece % m->heads;
    const lane *to = &d->lanes[l];
    const float *packed = wide_of(d, l) + h * e;
    store(d, to->cache + head_at(d, y, h, to->capacity), to->capacity, to->position, packed + m->dim, packed + 2 * m->dim);
  }
}

INLINE void score_blocks(const float *query, int e, const uint16_t *keys, size_t block, int blocks, float *scores) {
  eight sum[4];
  for (int b = 0; b < blocks; b++) sum[b] = eight_all(0.0f);
  for (int i = 0; i < e; i++) {
    eight q = eight_all(query[i]);
    for (int b = 0; b < blocks; b++) sum[b] = eight_fma(q, eight_halves(keys + (size_t)b * block + (size_t)i * 8), sum[b]);
  }
  for (int b = 0; b < blocks; b++) eight_store(scores + 8 * b, sum[b]);
}

INLINE void weigh(const float *weights, int length, const uint16_t *values, size_t width, int eights, float factor, float *to) {
  eight sum[8];
  for (int i = 0; i < eights; i++) sum[i] = eight_all(0.0f);
  for (int p = 0; p < length; p++, values += width) {
    eight weight = eight_all(weights[p]);
    for (int i = 0; i < eights; i++) sum[i] = eight_fma(weight, eight_halves(values + 8 * i), sum[i]);
  }
  for (int i = 0; i < eights; i++) {
    eight_store(to + 8 * i, sum[i]);
    for (int j = 0; j < 8; j++) to[8 * i + j] *= factor;
  }
}

/* One head's attention over `length` positions, to `to` (e,). `scores` has room for them, rounded up to 32. */
static void attend(const decoder *d, const float *query, const uint16_t *keys, int capacity, int length, float *scores, float *to) {
  int width = d->width, e = d->model->dim / d->model->heads;
  size_t block = (size_t)width * 8;
  float scaled[width], result[width], scale = 1.0f / sqrtf((float)e);
  for (int i = 0; i < e; i++) scaled[i] = query[i] * scale;
  int blocks = (length + 7) / 8, b = 0;
  for (; b + 4 <= blocks; b += 4) score_blocks(scaled, e, keys + (size_t)b * block, block, 4, scores + 8 * b);
  for (; b < blocks; b++) score_blocks(scaled, e, keys + (size_t)b * block, block, 1, scores + 8 * b);
  float largest = scores[0], columns[8] = {0};
  for (int p = 1; p < length; p++) largest = scores[p] > largest ? scores[p] : largest;
  for (int p = length; p < 8 * blocks; p++) scores[p] = -INFINITY;
  for (int p = 0; p < 8 * blocks; p++) scores[p] = exponential(scores[p] - largest);
  for (int p = length; p < 8 * blocks; p++) scores[p] = 0.0f;
  for (int p = 0; p < 8 * blocks; p += 8)
    for (int i = 0; i < 8; i++) columns[i] += scores[p + i];
  float factor = 1.0f / column_sum(columns);
  const uint16_t *values = keys + head_halves(d, capacity);
  int i = 0;
  for (; i + 64 <= width; i += 64) weigh(scores, length, values + i, (size_t)width, 8, factor, result + i);
  for (; i < width; i += 8) weigh(scores, length, values + i, (size_t)width, 1, factor, result + i);
  memcpy(to, result, sizeof(float) * (size_t)e);
}

PHASE(attend_self) { /* a piece is one head of one lane */
  const model *m = d->model;
  int e = m->dim / m->heads;
  for (int piece = first; piece < last; piece++) {
    int l = piece / m->heads, h = piece % m->heads;
    const lane *from = &d->lanes[l];
    attend(d, wide_of(d, l) + h * e, from->cache + head_at(d, y, h, from->capacity), from->capacity, from->position + 1,
           scores, heard_of(d, l) + h * e);
  }
}

PHASE(attend_text) {
  const model *m = d->model;
  int e = m->dim / m->heads;
  for (int piece = first; piece < last; piece++) {
    int r = piece / m->heads, h = piece % m->heads;
    const lane *from = &d->lanes[d->with_text[r]];
    attend(d, wide_of(d, r) + h * e, from->cross + head_at(d, y, h, from->cross_capacity), from->cross_capacity,
           from->cross_length, scores, heard_of(d, r) + h * e);
  }
}

/* Keys and values of text: lanes carry a vector, a position and the cache to write to. */
PHASE(text_in) {
  (void)y, (void)scores;
  for (int l = first; l < last; l++) round_line(d, d->lanes[l].vector, d->model->dim, l, d->count);
}
PHASE(text_key_value) {
  (void)scores;
  multiply(d, &y->cross_key_value, d->count, NULL, d->wide, wide_stride(d), PUT, first, last);
}
PHASE(remember_text) {
  (void)scores;
  const model *m = d->model;
  int e = m->dim / m->heads;
  for (int piece = first; piece < last; piece++) {
    int l = piece / m->heads, h = piece % m->heads;
    const lane *to = &d->lanes[l];
    const float *packed = wide_of(d, l) + h * e;
    store(d, to->cache + head_at(d, y, h, to->capacity), to->capacity, to->position, packed, packed + m->dim);
  }
}

/* ---- programs ---- */

static void plan(decoder *d, void (*work)(decoder *, const layer *, int, int, float *), const layer *y, int total) {
  int most = d->threads * ITEMS_A_THREAD;
  if (total) d->phases[d->phase_count++] = (phase){work, y, total, total < most ? total : most};
}

static int tiles_of(const matrix *m) { return (m->outputs + TILE - 1) / TILE; }

static void run(decoder *d) {
  d->base = (uint32_t)(atomic_load(&d->ticket) >> 32) + 1;
  uint32_t last = d->base + (uint32_t)d->phase_count;
  open_phase(d, d->base);
  take_part(d, 0, &last);
}

static void begin(decoder *d, const lane *lanes, int count, float *logits) {
  d->lanes = lanes, d->count = count, d->logits = logits, d->phase_count = 0;
}

/* ---- what Python calls ---- */

__attribute__((visibility("default"))) int32_t dgx_abi(void) { return ABI; }

__attribute__((visibility("default"))) void dgx_close(decoder *d) {
  if (!d) return;
  atomic_store(&d->closing, true);
  atomic_fetch_add(&d->bell, 1);
  syscall(SYS_futex, &d->bell, FUTEX_WAKE_PRIVATE, INT32_MAX, NULL, NULL, 0);
  for (int i = 0; i < d->started; i++) pthread_join(d->workers[i], NULL);
  for (int i = 0; d->scores && i < d->threads; i++) free(d->scores[i]);
  free(d->scores), free(d->workers), free(d->phases), free(d->state), free(d->wide), free(d->heard), free(d->rounded);
  free(d->scales), free(d);
}

/* Memory for passes of up to LANES lanes over up to `positions` positions (text included); NULL if there is none. */
__attribute__((visibility("default"))) decoder *dgx_open(const model *m, int32_t positions, int32_t threads) {
  decoder *d = aligned_alloc(64, (sizeof *d + 63) / 64 * 64);
  if (!d) return NULL;
  memset(d, 0, sizeof *d);
  d->model = m, d->threads = threads;
  d->width = (m->dim / m->heads + 7) / 8 * 8;
  size_t widest = (size_t)blocks_of(m->wide > m->dim ? m->wide : m->dim);
  d->phases = calloc((size_t)(PHASES_A_LAYER * m->layers + 4), sizeof *d->phases);
  d->state = calloc((size_t)LANES * (size_t)m->dim, sizeof(float));
  d->heard = calloc((size_t)LANES * (size_t)m->dim, sizeof(float));
  d->wide = calloc((size_t)LANES * wide_stride(d), sizeof(float));
  d->rounded = calloc((size_t)LANES * widest, BLOCK);
  d->scales = calloc((size_t)LANES * widest, sizeof(float));
  d->scores = calloc((size_t)threads, sizeof *d->scores);
  d->workers = calloc((size_t)threads, sizeof *d->workers);
  atomic_store(&d->ticket, SURPLUS);
  bool whole = d->phases && d->state && d->heard && d->wide && d->rounded && d->scales && d->scores && d->workers;
  for (int i = 0; whole && i < threads; i++) whole = (d->scores[i] = calloc((size_t)positions + 64, sizeof(float)));
  for (int i = 1; whole && i < threads; i++) {
    worker_start *start = malloc(sizeof *start);
    if ((whole = start)) {
      *start = (worker_start){d, i};
      if (pthread_create(&d->workers[d->started], NULL, worker, start)) free(start), whole = false;
      else d->started++;
    }
  }
  if (whole) return d;
  dgx_close(d);
  return NULL;
}

/* Advance `count` lanes. Lanes of one row may come in one call if their positions follow one another. */
__attribute__((visibility("default"))) void dgx_step(decoder *d, const lane *lanes, int32_t count, float *logits) {
  const model *m = d->model;
  for (int32_t start = 0; start < count; start += LANES) {
    begin(d, lanes + start, count - start < LANES ? count - start : LANES, logits);
    d->attending = d->wanted = 0;
    for (int l = 0; l < d->count; l++) {
      if (d->lanes[l].cross) d->with_text[d->attending++] = l;
      if (d->lanes[l].wanted >= 0) d->with_logits[d->wanted++] = l;
    }
    plan(d, read_in, NULL, d->count);
    for (const layer *y = m->layer; y < m->layer + m->layers; y++) {
      plan(d, ready_self, y, d->count);
      plan(d, self_in, y, tiles_of(&y->self_in));
      plan(d, remember, y, d->count * m->heads);
      plan(d, attend_self, y, d->count * m->heads);
      plan(d, round_heard, y, d->count);
      plan(d, self_out, y, tiles_of(&y->self_out));
      if (d->attending) {
        plan(d, ready_cross, y, d->attending);
        plan(d, cross_query, y, tiles_of(&y->cross_query));
        plan(d, attend_text, y, d->attending * m->heads);
        plan(d, round_heard_text, y, d->attending);
        plan(d, cross_out, y, tiles_of(&y->cross_out));
      }
      plan(d, ready_feed, y, d->count);
      plan(d, widen, y, tiles_of(&y->widen));
      plan(d, round_wide, y, d->count);
      plan(d, narrow, y, tiles_of(&y->narrow));
    }
    if (d->wanted) {
      plan(d, ready_logits, NULL, d->wanted);
      plan(d, give_logits, NULL, tiles_of(&m->logits));
    }
    run(d);
  }
}

/* Write the keys and values of text: a lane a position, with its vector, and the cache in place of the row's. */
__attribute__((visibility("default"))) void dgx_text(decoder *d, const lane *lanes, int32_t count) {
  const model *m = d->model;
  for (int32_t start = 0; start < count; start += LANES) {
    begin(d, lanes + start, count - start < LANES ? count - start : LANES, NULL);
    plan(d, text_in, NULL, d->count);
    for (const layer *y = m->layer; y < m->layer + m->layers; y++) {
      plan(d, text_key_value, y, tiles_of(&y->cross_key_value));
      plan(d, remember_text, y, d->count * m->heads);
    }
    run(d);
  }
}
