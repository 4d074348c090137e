/* The table of checks and the report (doctor.h). */
#include "boot/doctor.h"

#include "backend/blob/blob.h"
#include "backend/db/db.h"
#include "base/error.h"
#include "base/json.h"
#include "base/mem.h"
#include "base/problem.h"
#include "boot/command.h"
#include "boot/doctor_checks.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

static const struct check {
    const char *name;
    void (*run)(struct doctor *doctor, struct finding *finding);
} checks[] = {
    {"configuration", doctor_check_configuration},
    {"data", doctor_check_data},
    {"keys", doctor_check_keys},
    {"disk", doctor_check_disk},
    {"catalog", doctor_check_catalog},
    {"users", doctor_check_users},
    {"activity", doctor_check_activity},
    {"events", doctor_check_events},
    {"bus", doctor_check_bus},
    {"jobs", doctor_check_jobs},
    {"s3", doctor_check_s3},
    {"objects", doctor_check_objects},
    {"store", doctor_check_store},
    {"bytes", doctor_check_bytes}, /* only with --deep */
    {"redis", doctor_check_redis},
    {"search", doctor_check_search},
    {"media", doctor_check_media},
    {"server", doctor_check_server},
    {"edges", doctor_check_edges},
    {"mail", doctor_check_mail},
    {"clock", doctor_check_clock},
    {"limits", doctor_check_limits},
};

static const char *const state_words[] = {
    [FINDING_OK] = "ok", [FINDING_WARNING] = "warning", [FINDING_FAILED] = "failed"};

static void find(struct finding *finding, enum finding_state state, const char *advice,
                 const char *format, va_list arguments) __attribute__((format(printf, 4, 0)));
static void find(struct finding *finding, enum finding_state state, const char *advice,
                 const char *format, va_list arguments)
{
    if (state < finding->state) {
        return;
    }
    finding->state = state;
    (void)vsnprintf(finding->detail, sizeof finding->detail, format, arguments);
    (void)snprintf(finding->advice, sizeof finding->advice, "%s", advice);
}

void finding_ok(struct finding *finding, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    find(finding, FINDING_OK, "", format, arguments);
    va_end(arguments);
}

void finding_warn(struct finding *finding, const char *advice, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    find(finding, FINDING_WARNING, advice, format, arguments);
    va_end(arguments);
}

void finding_fail(struct finding *finding, const char *advice, const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    find(finding, FINDING_FAILED, advice, format, arguments);
    va_end(arguments);
}

const char *finding_words(const struct problem *problem, int error)
{
    return problem->detail[0] != '\0' ? problem->detail : error_title(error);
}

/* On a terminal states have colours: green, yellow, red. */
static void print_line(const char *name, const struct finding *finding)
{
    static const char *const colours[] = {"\033[32m", "\033[33m", "\033[31m"};
    bool coloured = isatty(STDOUT_FILENO) != 0;
    (void)printf("%s%-8s%s %-14s %s\n", coloured ? colours[finding->state] : "",
                 state_words[finding->state], coloured ? "\033[0m" : "", name, finding->detail);
    if (finding->advice[0] != '\0') {
        (void)printf("%23s → %s\n", "", finding->advice);
    }
    (void)fflush(stdout);
}

static int keep_json(json_t *list, const char *name, const struct finding *finding)
{
    json_t *one = json_pack("{s:s, s:s, s:s, s:s*}", "name", name, "state",
                            state_words[finding->state], "detail", finding->detail, "advice",
                            finding->advice[0] != '\0' ? finding->advice : NULL);
    return one != NULL ? json_array_append_new(list, one) : -1;
}

static void close_all(struct doctor *doctor)
{
    for (unsigned i = 0; i < PLACE_DATABASES_; i++) {
        db_close(doctor->databases[i]);
    }
    blob_store_close(doctor->objects);
}

static int end_report(json_t *list, const unsigned counts[3], bool json)
{
    if (!json) {
        (void)printf("%u ok, %u warnings, %u failed\n", counts[FINDING_OK], counts[FINDING_WARNING],
                     counts[FINDING_FAILED]);
    } else {
        json_t *report CLEANUP_JSON = json_pack(
            "{s:O, s:i, s:i, s:i}", "checks", list, "ok", (int)counts[FINDING_OK], "warnings",
            (int)counts[FINDING_WARNING], "failed", (int)counts[FINDING_FAILED]);
        (void)json_dumpf(report, stdout, JSON_INDENT(2));
        (void)fputc('\n', stdout);
    }
    return counts[FINDING_FAILED] > 0 ? EXIT_WRONG : EXIT_DONE;
}

int command_doctor(const struct command_line *line)
{
    struct doctor doctor = {.line = line, .config = line->config};
    if (line->config != NULL) {
        place_of(line->config, &doctor.place);
    }
    bool json = line->options[OPTION_JSON] != NULL;
    json_t *list CLEANUP_JSON = json_array();
    unsigned counts[3] = {0};
    for (unsigned i = 0; i < COUNT_OF(checks); i++) {
        struct finding finding = {.state = FINDING_OK};
        if (checks[i].run == doctor_check_bytes && line->options[OPTION_DEEP] == NULL) {
            continue;
        }
        checks[i].run(&doctor, &finding);
        counts[finding.state]++;
        if (!json) {
            print_line(checks[i].name, &finding);
        } else if (keep_json(list, checks[i].name, &finding) != 0) {
            finding.state = FINDING_FAILED;
        }
        if (line->config == NULL || doctor.shut) {
            break; /* all else follows from it */
        }
    }
    close_all(&doctor);
    return end_report(list, counts, json);
}
