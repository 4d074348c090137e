/* The child process tutti-media, seen from the server: started on demand, given jobs over a
 * socketpair (media/job.h), killed when it runs past its limits, ended by who is done with it. What
 * it answers is not trusted further than its shape: it has touched files from outside.
 *
 * One thread at a time per child. */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

struct child;

/* Starts nothing yet. niceness: how far it stands back for others, 0 … 19. NULL: out of memory. */
struct child *child_new(const char *path, int niceness);
void child_free(struct child *child); /* ends the process; NULL is fine */
/* Ends the process if there is one: it is started again by the next job. */
void child_end(struct child *child);
bool child_runs(const struct child *child);

/* Whether the kernel filters the process's system calls: 1 yes, 0 no, -1 it can't be seen. */
int child_is_filtered(const struct child *child);

struct child_job {
    json_t *request;
    const int *fds;
    unsigned fd_count;
    int64_t cpu_s_max;      /* of computing time */
    int64_t file_bytes_max; /* of each file that it writes; 0: it writes none */
    int64_t silence_ms_max; /* between two words of progress */
    int64_t wall_ms_max;    /* from begin to end */
    /* Called at least twice a second: not 0 kills the child and is returned. */
    int (*tick)(void *context);
    /* An output is whole. Not 0 kills the child and is returned. rendition is borrowed. */
    int (*done)(void *context, unsigned output, const json_t *rendition);
    void *context;
};

/* How it ended, if badly: a member of the closed list in media/failure.h, with words. */
struct child_failure {
    char code[24];
    char reason[320];
    bool final;
};

/* Adds the keys of files that are sealed, in their descriptors' order, as media/job.h has them. */
struct blob_source;
int child_add_keys(json_t *request, const struct blob_source *const *files, unsigned count);

/* Runs one job to its end. 0: *ret_answer is the caller's; ERR_INVALID: it failed, see failure; or
 * what tick or done returned. */
int child_run(struct child *child, const struct child_job *job, json_t **ret_answer,
              struct child_failure *failure);
