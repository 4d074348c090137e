/* Counts of answers (answers.h): a table by open addressing with a bound; a track that no longer
 * fits until the next batch is not counted, which is said in a metric. */
#include "service/streaming/answers.h"

#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"
#include "service/streaming/streaming_store.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

enum {
    SLOTS = 16384, /* a power of two: 256 KB */
    TRACKS_MAX = SLOTS / 2,
    AT_ONCE = 500, /* rows a write, so that the writer's others need not wait for long */
    DAY_MS = 24 * 3600 * 1000,
};

struct answers {
    pthread_mutex_t lock;
    unsigned used;
    struct metric *lost;
    struct answer_count slots[SLOTS]; /* track_id 0: free */
};

int answers_new(struct answers **ret_answers)
{
    struct answers *answers = calloc(1, sizeof *answers);
    if (answers == NULL) {
        return ERR_NO_MEMORY;
    }
    (void)pthread_mutex_init(&answers->lock, NULL);
    answers->lost = metric_get(METRIC_COUNTER, "tutti_streaming_uncounted_total",
                               "Answers of tracks that the count had no room for.", "");
    *ret_answers = answers;
    return 0;
}

void answers_free(struct answers *answers)
{
    if (answers != NULL) {
        (void)pthread_mutex_destroy(&answers->lock);
        free(answers);
    }
}

/* Fibonacci hashing, since ids of one minute differ in few bits: the upper 14 are the slot. */
static unsigned slot_of(int64_t track_id)
{
    return (unsigned)(((uint64_t)track_id * UINT64_C(11400714819323198485)) >> 50);
}

void answers_count(struct answers *answers, int64_t track_id)
{
    if (answers == NULL) {
        return;
    }
    (void)pthread_mutex_lock(&answers->lock);
    unsigned at = slot_of(track_id);
    while (answers->slots[at].track_id != 0 && answers->slots[at].track_id != track_id) {
        at = (at + 1) % SLOTS;
    }
    bool fits = answers->slots[at].track_id != 0 || answers->used < TRACKS_MAX;
    if (fits) {
        answers->used += answers->slots[at].track_id == 0 ? 1 : 0;
        answers->slots[at].track_id = track_id;
        answers->slots[at].answers++;
    }
    (void)pthread_mutex_unlock(&answers->lock);
    metric_add(fits ? NULL : answers->lost, 1);
}

/* All there is, in a list of the caller's; the table is empty then. */
static unsigned take(struct answers *answers, struct answer_count list[TRACKS_MAX])
{
    unsigned count = 0;
    (void)pthread_mutex_lock(&answers->lock);
    for (unsigned i = 0; i < SLOTS; i++) {
        if (answers->slots[i].track_id != 0) {
            list[count++] = answers->slots[i];
        }
    }
    memset(answers->slots, 0, sizeof answers->slots);
    answers->used = 0;
    (void)pthread_mutex_unlock(&answers->lock);
    return count;
}

struct batch {
    int64_t day;
    const struct answer_count *list;
    unsigned count;
};

static int write_batch(struct db_session *session, void *argument)
{
    const struct batch *batch = argument;
    int error = 0;
    for (unsigned i = 0; error == 0 && i < batch->count; i++) {
        error = answers_add(session, batch->day, &batch->list[i]);
    }
    return error;
}

static int by_track(const void *left, const void *right)
{
    int64_t a = ((const struct answer_count *)left)->track_id;
    int64_t b = ((const struct answer_count *)right)->track_id;
    return (a > b) - (a < b);
}

int answers_write(struct answers *answers, struct db *db, int64_t now_ms)
{
    (void)pthread_mutex_lock(&answers->lock);
    bool empty = answers->used == 0;
    (void)pthread_mutex_unlock(&answers->lock);
    if (empty) {
        return 0;
    }
    struct answer_count *list = calloc(TRACKS_MAX, sizeof *list);
    if (list == NULL) {
        return ERR_NO_MEMORY;
    }
    unsigned count = take(answers, list);
    qsort(list, count, sizeof *list, by_track); /* processes lock rows in one order */
    int error = 0;
    for (unsigned at = 0; error == 0 && at < count; at += AT_ONCE) {
        struct batch batch = {.day = now_ms / DAY_MS,
                              .list = list + at,
                              .count = count - at < AT_ONCE ? count - at : AT_ONCE};
        error = db_write(db, write_batch, &batch);
    }
    free(list);
    return error;
}
