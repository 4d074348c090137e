/* What /metrics answers. Its route goes onto the pool before all others and is never refused
 * (docs/decisions/0162), but to put its text together takes milliseconds, asks databases and disks
 * and holds locks of the metrics: who asked for it all the time would have the pool for themselves.
 * So one request at a time makes the text, in a second at most SCRAPES_PER_SECOND do; all others
 * are given the last one. Who asks every few seconds always has a new one. Pool threads.
 *
 * It is for who speaks with the process itself: the world, for whom a trusted proxy asks, is told
 * that there is nothing.
 */
#include "net/server.h"

#include "base/buffer.h"
#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

#include <stdlib.h>

enum { METRICS_BYTES_MAX = 8 << 20, SCRAPES_PER_SECOND = 20 };

/* Whether the text is this request's to make. */
static bool begin(struct scrape *scrape)
{
    int64_t second = clock_monotonic_ms() / 1000;
    pthread_mutex_lock(&scrape->lock);
    if (scrape->second != second) {
        scrape->second = second;
        scrape->made = 0;
    }
    bool mine = !scrape->making && scrape->made < SCRAPES_PER_SECOND;
    if (mine) {
        scrape->making = true;
        scrape->made++;
    }
    pthread_mutex_unlock(&scrape->lock);
    return mine;
}

static int make(struct scrape *scrape)
{
    struct buffer text;
    buffer_init(&text, METRICS_BYTES_MAX);
    breakers_measure();
    metrics_write(&text);
    int error = buffer_error(&text);
    char *unused = NULL;
    pthread_mutex_lock(&scrape->lock);
    scrape->making = false;
    if (error == 0) {
        unused = scrape->text;
        scrape->text = buffer_take(&text, &scrape->length);
    }
    pthread_mutex_unlock(&scrape->lock);
    free(unused);
    buffer_done(&text);
    return error;
}

static bool is_of_the_world(struct request *request)
{
    const struct request_private *self = request_private(request);
    return self->connection->trusted &&
           !networks_hold(&self->settings->trusted, &self->remote_address);
}

int scrape_handle(struct request *request)
{
    struct http_server *server = request->context;
    struct scrape *scrape = &server->scrape;
    if (is_of_the_world(request)) {
        return problem_set(&request->call.problem, ERR_NOT_FOUND, "There is nothing at /metrics");
    }
    int error = begin(scrape) ? make(scrape) : 0;
    if (error != 0) {
        return error;
    }
    pthread_mutex_lock(&scrape->lock);
    error = scrape->text != NULL
                ? reply_bytes(request, 200, "text/plain; version=0.0.4; charset=utf-8",
                              scrape->text, scrape->length, false)
                : ERR_BUSY; /* the first is being made */
    pthread_mutex_unlock(&scrape->lock);
    return error;
}

void scrape_init(struct scrape *scrape)
{
    pthread_mutex_init(&scrape->lock, NULL);
}

void scrape_done(struct scrape *scrape)
{
    pthread_mutex_destroy(&scrape->lock);
    free(scrape->text);
}
