/* What a step consists of: normalising, products, attention. */
#ifndef DGX_PHASES_H
#define DGX_PHASES_H
#include "products.h"
#include "threads.h"

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

#endif
