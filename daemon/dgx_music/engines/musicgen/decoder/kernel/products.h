/* Products of 8-bit weights and activations. */
#ifndef DGX_PRODUCTS_H
#define DGX_PRODUCTS_H
#include "eight.h"

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

#endif
