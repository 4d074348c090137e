/* Metrics: registered once, added up, written as Prometheus reads them. */
#include "net/metrics.h"

#include "base/buffer.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static int64_t answer(void *argument)
{
    return *(int *)argument;
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
    int value = 7;
    metric_ask("t_asked", "Asked.", "", answer, &value);
    assert_written("t_asked 7\n");
    value = 8;
    assert_written("t_asked 8\n");
    metric_ask_end(&value);
    assert_written("t_asked 0\n");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(counters_and_gauges_are_written),
        cmocka_unit_test(histograms_are_cumulative),
        cmocka_unit_test(askers_are_asked_until_they_end),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
