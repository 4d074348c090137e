/* The crew of the media process (crew.h). A hand sleeps on its own condition until it is given
 * something to do, does it without the lock, and sleeps again.
 */
#include "media/crew.h"

#include "base/error.h"

#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>

enum { STACK_BYTES = 1 << 20 }; /* address space, which is limited, counts what is reserved too */

struct hand {
    pthread_cond_t called, done;
    bool taken;                  /* from its start until it was waited for */
    void (*work)(void *context); /* NULL: done */
    void *context;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static struct hand hands[CREW_HANDS_MAX]; /* under lock, as their number */
static unsigned hand_count;

static void *hand_run(void *argument)
{
    struct hand *hand = argument;
    pthread_mutex_lock(&lock);
    for (;;) {
        while (hand->work == NULL) {
            pthread_cond_wait(&hand->called, &lock);
        }
        pthread_mutex_unlock(&lock);
        hand->work(hand->context);
        pthread_mutex_lock(&lock);
        hand->work = NULL;
        pthread_cond_signal(&hand->done);
    }
    return NULL;
}

/* Under the lock. */
static struct hand *hire(void)
{
    pthread_attr_t attributes;
    pthread_t thread;
    if (hand_count == CREW_HANDS_MAX || pthread_attr_init(&attributes) != 0) {
        return NULL;
    }
    struct hand *hand = &hands[hand_count];
    pthread_cond_init(&hand->called, NULL);
    pthread_cond_init(&hand->done, NULL);
    (void)pthread_attr_setstacksize(&attributes, STACK_BYTES);
    (void)pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    bool hired = pthread_create(&thread, &attributes, hand_run, hand) == 0;
    (void)pthread_attr_destroy(&attributes);
    hand_count += hired;
    return hired ? hand : NULL;
}

int crew_hire(unsigned count)
{
    bool hired = true;
    pthread_mutex_lock(&lock);
    while (hired && hand_count < count && hand_count < CREW_HANDS_MAX) {
        hired = hire() != NULL;
    }
    pthread_mutex_unlock(&lock);
    return hired ? 0 : ERR_NO_MEMORY;
}

/* Under the lock. */
static struct hand *find_idle(void)
{
    for (unsigned i = 0; i < hand_count; i++) {
        if (!hands[i].taken) {
            return &hands[i];
        }
    }
    return hire();
}

struct hand *crew_start(void (*work)(void *context), void *context)
{
    pthread_mutex_lock(&lock);
    struct hand *hand = find_idle();
    if (hand != NULL) {
        hand->taken = true;
        hand->work = work;
        hand->context = context;
        pthread_cond_signal(&hand->called);
    }
    pthread_mutex_unlock(&lock);
    return hand;
}

void crew_wait(struct hand *hand)
{
    pthread_mutex_lock(&lock);
    while (hand->work != NULL) {
        pthread_cond_wait(&hand->done, &lock);
    }
    hand->taken = false;
    pthread_mutex_unlock(&lock);
}
