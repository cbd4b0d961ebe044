/* Eight floats at a time, laid out the same on every processor. */
#ifndef DGX_EIGHT_H
#define DGX_EIGHT_H
#include "model.h"

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

#endif
