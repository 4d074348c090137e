/* LIMIT: rates by user or address and class of operation, and sizes, before anything costs.
 *
 * Each class of operation has its lane of the pool, and its limits tighten with that lane's delay
 * (delay.h, rates_share). Its patience is the multiple of http_config.tighten_delay_ms up to which
 * it keeps its whole limit. Uploads give way first and playback last, so that who listens notices
 * least. Of what is common, the cheap part of those who are signed in has a lane before the rest.
 * Runs on the loop threads, but for limit_note_run.
 */
#include "net/server.h"

#include "base/clock.h"
#include "base/error.h"
#include "net/metrics.h"

enum { COSTLY_US = 20 * 1000, RUN_SHIFT = 3 };

static const struct class_row {
    const char *label;
    enum job_lane lane;
    unsigned patience;
} classes[RATE_CLASSES_] = {
    [RATE_NONE] = {NULL, JOB_PLAY, 0}, /* signed media */
    [RATE_READ] = {"class=\"read\"", JOB_COMMON, 2},
    [RATE_WRITE] = {"class=\"write\"", JOB_COMMON, 2},
    [RATE_UPLOAD] = {"class=\"upload\"", JOB_BULK, 1},
    [RATE_PLAY] = {"class=\"play\"", JOB_PLAY, 8},
    [RATE_LOGIN] = {"class=\"login\"", JOB_COMMON, 4},
    [RATE_OBJECT] = {"class=\"object\"", JOB_BULK, 1},
};

bool limit_is_costly(const struct route_entry *entry)
{
    return atomic_load_explicit(&entry->run_us, memory_order_relaxed) >= COSTLY_US;
}

/* Of each run an eighth enters. Two that end at once may lose one of them, which no average minds.
 */
void limit_note_run(struct route_entry *entry, int64_t took_us)
{
    int64_t run_us = atomic_load_explicit(&entry->run_us, memory_order_relaxed);
    atomic_store_explicit(&entry->run_us, run_us + (took_us - run_us) / (1 << RUN_SHIFT),
                          memory_order_relaxed);
}

enum job_lane limit_lane(const struct request_private *request)
{
    const struct route *row = request->entry->row;
    enum job_lane lane = classes[row->rate].lane;
    if ((row->flags & ROUTE_VITAL) != 0) {
        return JOB_PLAY;
    }
    bool prompt = lane == JOB_COMMON && request->request.call.actor.user_id != 0 &&
                  !limit_is_costly(request->entry);
    return prompt ? JOB_PROMPT : lane;
}

/* By user, else by address (of IPv6: its /64). */
static uint64_t rate_key(const struct request_private *request, enum rate_class class)
{
    const struct actor *actor = &request->request.call.actor;
    struct address owner = address_owner(&request->remote_address);
    uint64_t key =
        actor->user_id != 0 ? (uint64_t)actor->user_id * 0x9e3779b97f4a7c15u : address_hash(&owner);
    return key ^ ((uint64_t)(class + 1) * 0xbf58476d1ce4e5b9u);
}

static unsigned class_share(struct http_server *server, enum rate_class class, enum job_lane lane,
                            int64_t now_us)
{
    bool hashes = class == RATE_LOGIN; /* those queue for a pool of their own, without lanes */
    struct job_pool *pool = hashes ? server->hash_pool : server->pool;
    lane = hashes ? JOB_PLAY : lane;
    unsigned full_ms = server_settings(server)->config.tighten_delay_ms * classes[class].patience;
    return rates_share((int64_t)full_ms * 1000, job_pool_delay_us(pool, lane, now_us));
}

int limit_rate(struct request_private *request, enum rate_class class)
{
    struct http_server *server = request->server;
    const struct rate *rate = &request->settings->config.rates[class];
    if (class == RATE_NONE || rate->per_minute == 0) {
        return 0;
    }
    int64_t now_us = request->started_us;
    enum job_lane lane = request->entry != NULL ? limit_lane(request) : classes[class].lane;
    unsigned share = class_share(server, class, lane, now_us);
    request->rate = rates_take(server->rates, rate_key(request, class), rate, share, now_us);
    if (request->rate.allowed) {
        return 0;
    }
    struct problem *problem = &request->request.call.problem;
    unsigned after_s = request->rate.retry_after_s;
    problem->retry_after_s = after_s > 0 ? (int)after_s : 1;
    const struct route *row = request->entry != NULL ? request->entry->row : NULL;
    bool s3 = row != NULL && (row->flags & ROUTE_XML_ERRORS) != 0; /* its clients know 503 */
    return problem_set(problem, s3 ? ERR_BUSY : ERR_RATE_LIMITED,
                       "Too many requests of this kind; try again in %d s", problem->retry_after_s);
}

int limit_size(struct request_private *request)
{
    int error = memory_full(request);
    if (error != 0) {
        return error;
    }
    size_t bytes_max = request->entry->row->body_bytes_max;
    if (request->content_length > 0 && (uint64_t)request->content_length > bytes_max) {
        return problem_set(&request->request.call.problem, ERR_TOO_LARGE,
                           "The body has %lld bytes; at most %zu are allowed here",
                           (long long)request->content_length, bytes_max);
    }
    return 0;
}

#define ASK_SHARE(name, class)                                                                     \
    static int64_t ask_##name(void *argument)                                                      \
    {                                                                                              \
        return class_share(argument, class, classes[class].lane, clock_monotonic_us()) * 100 /     \
               RATES_WHOLE;                                                                        \
    }
ASK_SHARE(read, RATE_READ)
ASK_SHARE(write, RATE_WRITE)
ASK_SHARE(upload, RATE_UPLOAD)
ASK_SHARE(play, RATE_PLAY)
ASK_SHARE(login, RATE_LOGIN)
ASK_SHARE(object, RATE_OBJECT)

void limit_metrics(struct http_server *server)
{
    static int64_t (*const asks[RATE_CLASSES_])(void *argument) = {
        [RATE_READ] = ask_read, [RATE_WRITE] = ask_write, [RATE_UPLOAD] = ask_upload,
        [RATE_PLAY] = ask_play, [RATE_LOGIN] = ask_login, [RATE_OBJECT] = ask_object,
    };
    for (unsigned class = RATE_READ; class < RATE_CLASSES_; class ++) {
        metric_ask("tutti_rate_share_percent",
                   "What is left of the rate limits at the queue's delay.", classes[class].label,
                   asks[class], server);
    }
}
