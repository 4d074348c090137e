/* Doctor's check of the index of names (doctor_checks.h): whether it can be opened, answers, and
 * was built. */
#include "boot/doctor_checks.h"

#include "backend/index/index.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/problem.h"
#include "boot/config.h"

static void judge(struct index *index, struct finding *finding)
{
    struct problem problem = {0};
    struct index_size size;
    int error = index_ping(index, &problem);
    if (error != 0) {
        finding_fail(finding,
                     "start it: until then searches are answered 503, and all else goes on", "%s",
                     finding_words(&problem, error));
        return;
    }
    if (index_place(index) < 0) {
        finding_ok(finding, "none yet; a server with the role search builds it");
        return;
    }
    index_size(index, &size);
    finding_ok(finding, "%lld things in %lld MB%s, built %lld hours ago", (long long)size.docs,
               (long long)(size.bytes / 1000000),
               index_is_shared(index) ? " of an OpenSearch that all processes share" : "",
               (long long)((clock_wall_ms() - index_built_ms(index)) / 3600000));
}

void doctor_check_search(struct doctor *doctor, struct finding *finding)
{
    struct problem problem = {0};
    struct index *index = NULL;
    int error = index_open(config_text(doctor->config, CONFIG_SEARCH_STORE), &index, &problem);
    if (error != 0) {
        finding_fail(finding, "check search.store: the server does not start with it", "%s",
                     finding_words(&problem, error));
        return;
    }
    judge(index, finding);
    index_close(index);
}
