/* Opening and closing (search.h). Main thread. */
#include "service/search/search_internal.h"

#include "base/error.h"

#include <stdlib.h>
#include <string.h>

int search_open(const struct search_config *config, struct search **ret_search,
                struct problem *problem)
{
    (void)problem;
    struct search *search = calloc(1, sizeof *search);
    if (search == NULL || (search->store = strdup(config->store)) == NULL) {
        free(search);
        return ERR_NO_MEMORY;
    }
    search->db = config->catalog_db;
    search->catalog = config->catalog;
    search->library = config->library;
    (void)pthread_mutex_init(&search->lock, NULL);
    (void)pthread_cond_init(&search->wake, NULL);
    *ret_search = search;
    return 0;
}

void search_close(struct search *search)
{
    if (search == NULL) {
        return;
    }
    follow_stop(search);
    index_close(search->index);
    (void)pthread_cond_destroy(&search->wake);
    (void)pthread_mutex_destroy(&search->lock);
    free(search->store);
    free(search);
}

int search_start(struct search *search, struct problem *problem)
{
    int error = index_open(search->store, &search->index, problem);
    return error != 0 ? error : follow_start(search);
}

bool search_is_shared(const struct search *search)
{
    return search != NULL && search->index != NULL && index_is_shared(search->index);
}

int search_ping(struct search *search, struct problem *problem)
{
    return search_is_shared(search) ? index_ping(search->index, problem) : 0;
}

int search_rebuild(struct search *search, struct search_built *ret_built, struct problem *problem)
{
    struct index *index = NULL;
    int64_t place = 0;
    int error = index_open(search->store, &index, problem);
    error = error != 0 ? error : index_ping(index, problem); /* it says why not */
    error = error != 0 ? error : build_index(search, index, &place, problem);
    if (error == 0) {
        struct index_size size;
        index_size(index, &size);
        *ret_built =
            (struct search_built){.docs = size.docs, .words = size.words, .bytes = size.bytes};
    }
    index_close(index);
    return error;
}
