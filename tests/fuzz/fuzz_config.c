/* links: config */
/* A configuration file: whatever stands in it, it is read or refused, with problems that can be
 * printed, and nothing leaks. What is read differs from itself in nothing. */
#include "config/config.h"

#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static FILE *nowhere;

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct problems problems;
    size_t changed = 0;
    if (!nowhere) {
        nowhere = fopen("/dev/null", "w");
    }
    problems_init(&problems);
    struct config *config = config_load_text((const char *)data, size, "/nonexistent/fuzz.cfg",
                                             "/nonexistent", &problems);
    if ((config == NULL) != (problems.errors > 0)) {
        abort();
    }
    if (nowhere) {
        problems_print(&problems, nowhere);
    }
    if (config && (config_diff(config, config, &problems, &changed) != 0 || changed != 0)) {
        abort();
    }
    config_free(&config);
    problems_free(&problems);
    return 0;
}
