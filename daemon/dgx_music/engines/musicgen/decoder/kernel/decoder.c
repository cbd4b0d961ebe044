/* MusicGen's decoder with 8-bit weights, one whole step in one call.
 *
 * A "lane" is one position of one row of the batch: a step has a lane for every row, a prefill many lanes of one row.
 * Nothing that a lane computes depends on the other lanes of the call: every sum runs over the same numbers in the
 * same order, so a row's logits are equal to the bit alone and in company. They are also equal on every processor:
 * sums of products of 8-bit numbers are exact, and sums of floats are laid out in eight columns whatever the width of
 * the registers. Compile with -ffp-contract=off; the only fused products are those written as such.
 *
 * model.h has the structures, eight.h and products.h what differs from processor to processor, threads.h how the work is
 * shared, phases.h what it consists of; here it is put together.
 *
 * All of it is compiled for one kind of processor, told by the compiler's own macros:
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
#include "phases.h"

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
