/* What the database layer does on this machine: writes a second and their latencies at 1, 8 and 64
 * writers, reads a second, and the memory of a process with three databases open.
 *
 *   db_bench [FOLDER] [SECONDS]      (default: a fresh folder in the working directory, 3 s each)
 *   db_bench URL SECONDS SERVER      a database of PostgreSQL, whose server's CPU time counts, too
 *
 * The disk is what is measured: every write waits for its fsync.
 */
#include "backend/db/db.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "net/metrics.h"

#include <dirent.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { THREADS_MAX = 64, STEPS = 16, BUCKETS = 32 * STEPS }; /* latencies in 1/16 octaves of µs */

static const struct db_migration tables[] = {
    {1, "bench",
     "CREATE TABLE item (id BIGINT PRIMARY KEY, owner BIGINT NOT NULL, title TEXT NOT NULL);\n"
     "CREATE INDEX item_owner ON item (owner, id);\n"}};

struct worker {
    struct db *db;
    db_work *work;
    bool writes;
    int64_t until_ms;
    unsigned buckets[BUCKETS];
    unsigned count, failures;
};

static _Atomic int64_t last_id, last_seen;
static int server_pid;

enum { PLAYLIST_ROWS = 50 };

static int add_item(struct db_session *session, void *argument)
{
    (void)argument;
    int64_t id = atomic_fetch_add(&last_id, 1) + 1;
    return db_exec(session, "INSERT INTO item (id, owner, title) VALUES ($1, $2, $3)",
                   DB_BIND(db_int(id), db_int(id % 1000), db_text("A title of usual length")));
}

static int list_items(struct db_session *session, void *argument)
{
    (void)argument;
    DB_ROWS rows = NULL;
    int64_t owner = atomic_fetch_add(&last_id, 7) % 1000;
    int r = db_query(session, &rows,
                     "SELECT id, title FROM item WHERE owner = $1 ORDER BY id DESC LIMIT 20",
                     DB_BIND(db_int(owner)));
    while (r >= 0 && (r = db_next(rows)) == 1) {
    }
    return r;
}

/* A playlist's worth. */
static int add_items(struct db_session *session, void *argument)
{
    int r = 0;
    for (int i = 0; r >= 0 && i < PLAYLIST_ROWS; i++) {
        r = add_item(session, argument);
    }
    return r;
}

/* A track. */
static int find_item(struct db_session *session, void *argument)
{
    (void)argument;
    DB_ROWS rows = NULL;
    int64_t id = 1 + atomic_fetch_add(&last_seen, 7919) % (atomic_load(&last_id) + 1);
    int r = db_query(session, &rows, "SELECT owner, title FROM item WHERE id = $1",
                     DB_BIND(db_int(id)));
    return r < 0 || (r = db_next(rows)) < 0 ? r : 0;
}

/* What an answer of stream needs: the track, its album, its renditions. */
static int find_items(struct db_session *session, void *argument)
{
    int r = find_item(session, argument);
    r = r < 0 ? r : find_item(session, argument);
    return r < 0 ? r : list_items(session, argument);
}

static void *run_worker(void *argument)
{
    struct worker *worker = argument;
    while (clock_monotonic_ms() < worker->until_ms) {
        int64_t began_us = clock_monotonic_us();
        int r = worker->writes ? db_write(worker->db, worker->work, NULL)
                               : db_read(worker->db, worker->work, NULL);
        worker->failures += r < 0;
        double took_us = (double)(clock_monotonic_us() - began_us + 1);
        worker->buckets[(unsigned)(log2(took_us) * STEPS) % BUCKETS]++;
        worker->count++;
    }
    return NULL;
}

static double percentile_ms(const unsigned buckets[BUCKETS], unsigned count, double share)
{
    unsigned sum = 0, i = 0;
    while (i < BUCKETS && sum + buckets[i] < share * count) {
        sum += buckets[i++];
    }
    return exp2((i + 0.5) / STEPS) / 1e3;
}

/* The CPU time of a server: its processes that run, and those that ended. */
static double server_cpu_s(void)
{
    unsigned long ticks = 0;
    DIR *processes = server_pid > 0 ? opendir("/proc") : NULL;
    for (struct dirent *entry; processes != NULL && (entry = readdir(processes)) != NULL;) {
        char path[300];
        unsigned long user = 0, kernel = 0, ended_user = 0, ended_kernel = 0;
        int pid = 0, parent = 0;
        (void)snprintf(path, sizeof path, "/proc/%s/stat", entry->d_name);
        FILE *file = entry->d_name[0] >= '1' && entry->d_name[0] <= '9' ? fopen(path, "r") : NULL;
        if (file != NULL &&
            fscanf(file, "%d (%*[^)]) %*c %d %*d %*d %*d %*d %*u %*u %*u %*u %*u %lu %lu %lu %lu",
                   &pid, &parent, &user, &kernel, &ended_user, &ended_kernel) == 6 &&
            (pid == server_pid || parent == server_pid)) {
            ticks += user + kernel + (pid == server_pid ? ended_user + ended_kernel : 0);
        }
        if (file != NULL) {
            (void)fclose(file);
        }
    }
    if (processes != NULL) {
        (void)closedir(processes);
    }
    return (double)ticks / (double)sysconf(_SC_CLK_TCK);
}

struct measure {
    const char *name;
    db_work *work;
    bool writes;
};

static void measure(struct db *db, const struct measure *what, unsigned threads, int seconds)
{
    static struct worker workers[THREADS_MAX];
    unsigned buckets[BUCKETS] = {0};
    pthread_t ids[THREADS_MAX];
    struct metric *commits =
        metric_get(METRIC_COUNTER, "tutti_db_commits_total", "", "database=\"bench\"");
    int64_t commits_before = metric_value(commits), began_us = clock_monotonic_us();
    clock_t began_cpu = clock();
    double began_server_s = server_cpu_s();
    for (unsigned i = 0; i < threads; i++) {
        workers[i] = (struct worker){.db = db,
                                     .work = what->work,
                                     .writes = what->writes,
                                     .until_ms = clock_monotonic_ms() + seconds * 1000};
        (void)pthread_create(&ids[i], NULL, run_worker, &workers[i]);
    }
    unsigned count = 0, failures = 0;
    for (unsigned i = 0; i < threads; i++) {
        (void)pthread_join(ids[i], NULL);
        for (unsigned j = 0; j < BUCKETS; j++) {
            buckets[j] += workers[i].buckets[j];
        }
        count += workers[i].count;
        failures += workers[i].failures;
    }
    double took_s = (double)(clock_monotonic_us() - began_us) / 1e6;
    double cpu_s = (double)(clock() - began_cpu) / CLOCKS_PER_SEC + server_cpu_s() - began_server_s;
    int64_t made = metric_value(commits) - commits_before;
    printf("| %s | %u | %.0f | %.0f | %.2f | %.2f | %.1f | %u |\n", what->name, threads,
           count / took_s, count / cpu_s, percentile_ms(buckets, count, 0.5),
           percentile_ms(buckets, count, 0.99),
           what->writes ? (double)count / (double)(made > 0 ? made : 1) : 0.0, failures);
}

static long status_kb(const char *field)
{
    FILE *file = fopen("/proc/self/status", "r");
    char line[256];
    long kb = -1;
    while (file != NULL && fgets(line, sizeof line, file) != NULL) {
        if (strncmp(line, field, strlen(field)) == 0) {
            kb = strtol(line + strlen(field), NULL, 10);
        }
    }
    if (file != NULL) {
        (void)fclose(file);
    }
    return kb;
}

static struct db *open_in(const char *folder, const char *name)
{
    char url[512];
    bool server = strncmp(folder, "postgres", strlen("postgres")) == 0;
    (void)snprintf(url, sizeof url, server ? "%s" : "sqlite:%s/%s.db", folder, name);
    struct db *db = NULL;
    struct problem problem = {0};
    if (db_open(url, name, &db, &problem) < 0 || db_migrate(db, tables, 1, &problem) < 0) {
        (void)fprintf(stderr, "db_bench: %s\n", problem.detail);
        exit(1);
    }
    return db;
}

int main(int count, char **arguments)
{
    char fresh[] = "db-bench-XXXXXX";
    const char *folder = count > 1 ? arguments[1] : mkdtemp(fresh);
    int seconds = count > 2 ? atoi(arguments[2]) : 3;
    if (folder == NULL || seconds < 1) {
        (void)fprintf(stderr, "usage: db_bench [FOLDER] [SECONDS]\n");
        return 2;
    }
    server_pid = count > 3 ? atoi(arguments[3]) : 0;
    if (server_pid == 0) {
        (void)mkdir(folder, 0700);
    }
    long before_kb = status_kb("VmRSS:");
    struct db *other[2] = {open_in(folder, "users"), open_in(folder, "activity")};
    struct db *db = open_in(folder, "bench");
    printf("RSS: %ld kB at start, %ld kB with three databases open\n\n", before_kb,
           status_kb("VmRSS:"));
    puts(
        "| | threads | per second | per CPU-second | p50 ms | p99 ms | writes a commit | failed |\n"
        "|---|---|---|---|---|---|---|---|");
    static const struct {
        struct measure what;
        unsigned threads;
    } rows[] = {
        {{"writes", add_item, true}, 1},
        {{"writes", add_item, true}, 8},
        {{"writes", add_item, true}, 64},
        {{"writes of 50", add_items, true}, 1},
        {{"writes of 50", add_items, true}, 8},
        {{"reads of 1", find_item, false}, 4},
        {{"reads of 20", list_items, false}, 1},
        {{"reads of 20", list_items, false}, 4},
        {{"stream answers", find_items, false}, 4},
    };
    for (unsigned i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        measure(db, &rows[i].what, rows[i].threads, seconds);
    }
    printf("\nRSS: %ld kB after the load", status_kb("VmRSS:"));
    (void)fflush(stdout);
    (void)sleep(12); /* the layer gives memory back after 10 s without work */
    printf(", %ld kB when idle again\n", status_kb("VmRSS:"));
    db_close(db);
    db_close(other[0]);
    db_close(other[1]);
    return 0;
}
