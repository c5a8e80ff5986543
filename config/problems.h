/*
 * problems: everything that is wrong with a configuration, in one go.
 *
 * Each problem names its place (file and line, or a file alone), the setting, and what to do. A
 * warning doesn't stop a start or a reload. Messages never hold a secret's value.
 * Ownership: the list owns its texts. Threads: one at a time.
 */
#ifndef MLLPGW_CONFIG_PROBLEMS_H
#define MLLPGW_CONFIG_PROBLEMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdio.h>

enum problem_severity { PROBLEM_WARNING, PROBLEM_ERROR };

/* Where a setting stands. file is owned by the configuration or the list that it came with. */
struct place {
    const char *file;
    unsigned line; /* 0: no line */
};

struct problem {
    enum problem_severity severity;
    char *file; /* may be NULL */
    unsigned line;
    char *setting; /* "listeners.adt.frame_timeout_ms"; may be NULL */
    char *text;
};

struct problems {
    struct problem *items;
    size_t count;
    size_t errors;  /* dropped ones included */
    size_t dropped; /* after the first 100, or for want of memory */
    size_t capacity;
};

void problems_init(struct problems *problems);
void problems_free(struct problems *problems);

/* Running out of memory is counted as an error all the same. */
__attribute__((format(printf, 5, 6))) void problems_add(struct problems *problems,
                                                        enum problem_severity severity,
                                                        struct place place, const char *setting,
                                                        const char *format, ...);

/* By file and line; config_load() and config_check_files() have done it already. */
void problems_sort(struct problems *problems);

/* "gateway.cfg:12: error: listeners.adt.tls: there is no tls named \"hospital\" (known: hospitals)" a line,
 * then "... and N more" where some were dropped. */
void problems_print(const struct problems *problems, FILE *out);

#endif
