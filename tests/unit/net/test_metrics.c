/* Metrics: registered once, added up, written as Prometheus reads them. */
#include "net/metrics.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

static int64_t answer(void *argument)
{
    return *(int64_t *)argument;
}

static void assert_not_written(const char *line)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    metrics_write(&text);
    assert_null(strstr(text.data, line));
    buffer_done(&text);
}

static void assert_written(const char *line)
{
    struct buffer text;
    buffer_init(&text, 1 << 20);
    metrics_write(&text);
    if (strstr(text.data, line) == NULL) {
        fail_msg("%s is not in:\n%s", line, text.data);
    }
    buffer_done(&text);
}

static void counters_and_gauges_are_written(void **state)
{
    (void)state;
    struct metric *one = metric_get(METRIC_COUNTER, "t_total", "Things.", "a=\"1\"");
    struct metric *two = metric_get(METRIC_COUNTER, "t_total", "Things.", "a=\"2\"");
    assert_ptr_equal(one, metric_get(METRIC_COUNTER, "t_total", "Things.", "a=\"1\""));
    metric_add(one, 3);
    metric_add(two, 4);
    metric_set(metric_get(METRIC_GAUGE, "t_now", "Now.", ""), -5);
    metric_add(NULL, 1);
    assert_written("# HELP t_total Things.\n# TYPE t_total counter\nt_total{a=\"1\"} 3\n"
                   "t_total{a=\"2\"} 4\n");
    assert_written("# TYPE t_now gauge\nt_now -5\n");
}

static void histograms_are_cumulative(void **state)
{
    (void)state;
    struct metric *metric = metric_get(METRIC_HISTOGRAM, "t_seconds", "Times.", "r=\"x\"");
    metric_observe_us(metric, 500);
    metric_observe_us(metric, 1000);
    metric_observe_us(metric, 1001);
    metric_observe_us(metric, 99000000);
    assert_written("t_seconds_bucket{r=\"x\",le=\"0.001\"} 2\n");
    assert_written("t_seconds_bucket{r=\"x\",le=\"0.0025\"} 3\n");
    assert_written("t_seconds_bucket{r=\"x\",le=\"10\"} 3\n");
    assert_written("t_seconds_bucket{r=\"x\",le=\"+Inf\"} 4\n");
    assert_written("t_seconds_sum{r=\"x\"} 99.002501\nt_seconds_count{r=\"x\"} 4\n");
}

static void askers_are_asked_until_they_end(void **state)
{
    (void)state;
    int64_t value = 7;
    metric_ask("t_asked", "Asked.", "", answer, &value);
    assert_written("t_asked 7\n");
    value = 8;
    assert_written("t_asked 8\n");
    value = METRIC_UNKNOWN;
    assert_not_written("\nt_asked ");
    value = 9;
    assert_written("\nt_asked 9\n");
    metric_ask_end(&value);
    assert_not_written("\nt_asked ");
    metric_ask("t_asked", "Asked.", "", answer, &value);
    assert_written("\nt_asked 9\n");
    metric_ask_end(&value);
}

static void microseconds_are_written_in_seconds(void **state)
{
    (void)state;
    int64_t value = 2000003;
    metric_ask_kind(METRIC_COUNTER_US, "t_cpu_seconds_total", "CPU.", "", answer, &value);
    assert_written("# TYPE t_cpu_seconds_total counter\nt_cpu_seconds_total 2.000003\n");
    metric_ask_end(&value);
    metric_set(metric_get(METRIC_GAUGE_US, "t_delay_seconds", "Delay.", ""), -1500000);
    assert_written("# TYPE t_delay_seconds gauge\nt_delay_seconds -1.500000\n");
}

/* A loop that registers its first 404 must not wait for a database that is being asked. */
static int64_t register_while_asked(void *argument)
{
    (void)argument;
    metric_add(metric_get(METRIC_COUNTER, "t_meanwhile_total", "Meanwhile.", ""), 1);
    return 1;
}

static void registering_does_not_wait_for_askers(void **state)
{
    (void)state;
    int argument;
    (void)alarm(10);
    metric_ask("t_slow", "Slow.", "", register_while_asked, &argument);
    assert_written("t_meanwhile_total 1\n");
    metric_ask_end(&argument);
    (void)alarm(0);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_written),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(askers_are_asked_until_they_end),
        cmocka_unit_test(microseconds_are_written_in_seconds),
        cmocka_unit_test(registering_does_not_wait_for_askers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
