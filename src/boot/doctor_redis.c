/* Doctor's check of Redis (doctor_checks.h). */
#include "boot/doctor_checks.h"

#include "backend/redis/redis_check.h"
#include "base/error.h"
#include "base/problem.h"
#include "boot/config.h"

#include <stdio.h>
#include <string.h>

static void judge(const struct redis_report *report, unsigned timeout_ms, struct finding *finding)
{
    char advice[320];
    finding_ok(finding, "Redis %s at %s answers in %.1f ms", report->version, report->primary,
               (double)report->answer_us / 1000);
    if (report->answer_us > (int64_t)timeout_ms * 500) {
        finding_warn(finding, "put Redis nearer, or raise timeout_ms in cache.store",
                     "Redis at %s takes %.1f ms to answer; calls give up after %u", report->primary,
                     (double)report->answer_us / 1000, timeout_ms);
    }
    if (report->refuses_when_full) {
        finding_warn(finding, "CONFIG SET maxmemory-policy volatile-ttl",
                     "Redis at %s will refuse writes when its memory is full", report->primary);
    }
    if (report->silent[0] != '\0') {
        finding_warn(finding, "start them, or take them out of cache.store",
                     "Sentinels that do not answer, or do not know the primary: %s",
                     report->silent);
    }
    if (report->missing[0] != '\0') {
        (void)snprintf(advice, sizeof advice, "ACL SETUSER NAME %s", report->missing);
        finding_fail(finding, advice, "at %s this user may not do all that is needed",
                     report->primary);
    }
}

void doctor_check_redis(struct doctor *doctor, struct finding *finding)
{
    const char *url = config_text(doctor->config, CONFIG_CACHE_STORE);
    struct redis_report report;
    struct redis_address address;
    struct problem problem = {0};
    if (strcmp(url, "memory:") == 0) {
        finding_ok(finding, "none is set up (cache.store); one process needs none");
        return;
    }
    int error = redis_address_parse(url, &address, &problem);
    error = error != 0 ? error : redis_check(url, &report, &problem);
    if (error == 0) {
        judge(&report, address.timeout_ms, finding);
    } else {
        finding_fail(finding,
                     error == ERR_UNAVAILABLE
                         ? "start it: until then each process has its own limits and cache, and "
                           "hears of ended sessions late"
                         : "check cache.store: the server does not start with it",
                     "%s", finding_words(&problem, error));
    }
    explicit_bzero(&address, sizeof address);
}
