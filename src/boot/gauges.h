/* What a process tells /metrics of itself: build, memory, descriptors, CPU, its engines and the
 * disks below its data. Called by serve.c on the main thread; asked on the pool. */
#pragma once

struct config;
struct platform;

/* Until gauges_end. Both arguments are borrowed until then. */
void gauges_begin(const struct config *config, struct platform *platform);
void gauges_end(void);
