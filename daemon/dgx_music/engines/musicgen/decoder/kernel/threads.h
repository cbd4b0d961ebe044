/* The decoder, and the threads that work through its phases. */
#ifndef DGX_THREADS_H
#define DGX_THREADS_H
#include "model.h"

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

#endif
