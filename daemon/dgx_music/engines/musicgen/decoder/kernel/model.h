/* Sizes, and the structures that Python fills in. */
#ifndef DGX_MODEL_H
#define DGX_MODEL_H
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

#endif
