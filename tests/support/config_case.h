/*
 * config_case: a good configuration of one line a section, of which a test replaces some lines.
 *
 * A replaced line may hold line feeds; the lines behind it move. Needs cmocka.h before it and links
 * config.
 */
#ifndef MLLPGW_TESTS_CONFIG_CASE_H
#define MLLPGW_TESTS_CONFIG_CASE_H

#include "config/config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* In the order of their lines, from line 1. NULL: the good one. */
struct config_case {
    const char *gateway, *spool, *admin, *tls, *peers, *listeners, *stores, *routes, *more;
};

#define GOOD_GATEWAY "gateway = { };"
#define GOOD_SPOOL "spool = { key_file = \"k\"; };"
#define GOOD_ADMIN "admin = { };"
#define GOOD_TLS                                                                                   \
    "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; client_ca = \"ca\"; } );"
#define GOOD_PEERS                                                                                 \
    "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; certificates = [ \"dns:a\" ]; "     \
    "maximum_message_bytes = 32768; } );"
#define GOOD_LISTENERS                                                                             \
    "listeners = ( { name = \"l\"; address = \"127.0.0.1:2575\"; tls = \"t\"; "                    \
    "peers = [ \"p\" ]; } );"
#define GOOD_STORES "stores = ( { name = \"s\"; type = \"directory\"; path = \"m\"; } );"
#define GOOD_ROUTES "routes = ( { name = \"r\"; from = \"l\"; to = \"s\"; } );"

static inline char *config_case_text(const struct config_case *wanted)
{
    static char text[65536];
#define CASE_LINE(member, good) wanted->member ? wanted->member : (good)
    (void)snprintf(
        text, sizeof text, "%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n%s\n", CASE_LINE(gateway, GOOD_GATEWAY),
        CASE_LINE(spool, GOOD_SPOOL), CASE_LINE(admin, GOOD_ADMIN), CASE_LINE(tls, GOOD_TLS),
        CASE_LINE(peers, GOOD_PEERS), CASE_LINE(listeners, GOOD_LISTENERS),
        CASE_LINE(stores, GOOD_STORES), CASE_LINE(routes, GOOD_ROUTES), CASE_LINE(more, ""));
#undef CASE_LINE
    return text;
}

static inline struct config *config_case_load(const struct config_case *wanted,
                                              struct problems *problems)
{
    const char *text = config_case_text(wanted);
    return config_load_text(text, strlen(text), "case.cfg", "/base", problems);
}

static inline void config_case_show(const struct config_case *wanted,
                                    const struct problems *problems)
{
    fprintf(stderr, "--- the configuration\n%s--- its problems\n", config_case_text(wanted));
    problems_print(problems, stderr);
}

/* Is there such a problem? line 0: anywhere. */
static inline bool config_case_has(const struct problems *problems, enum problem_severity severity,
                                   unsigned line, const char *setting, const char *text)
{
    for (size_t i = 0; i < problems->count; i++) {
        const struct problem *problem = &problems->items[i];
        if (problem->severity == severity && (line == 0 || problem->line == line) &&
            (!setting || (problem->setting && strcmp(problem->setting, setting) == 0)) &&
            strstr(problem->text, text)) {
            return true;
        }
    }
    return false;
}

/* Exactly one error and it is this one; or this warning and nothing else. */
static inline void config_case_one(const struct config_case *wanted, enum problem_severity severity,
                                   unsigned line, const char *setting, const char *text)
{
    struct problems problems;
    problems_init(&problems);
    struct config *config = config_case_load(wanted, &problems);
    bool alone =
        severity == PROBLEM_ERROR ? !config && problems.errors == 1 : config && problems.count == 1;
    bool fine = alone && config_case_has(&problems, severity, line, setting, text);
    if (!fine) {
        fprintf(stderr, "wanted %u %s: %s\n", line, setting, text);
        config_case_show(wanted, &problems);
    }
    config_free(&config);
    problems_free(&problems);
    assert_true(fine);
}

static inline struct config *config_case_good(const struct config_case *wanted)
{
    struct problems problems;
    problems_init(&problems);
    struct config *config = config_case_load(wanted, &problems);
    if (!config || problems.count > 0) {
        config_case_show(wanted, &problems);
    }
    bool fine = config && problems.count == 0;
    problems_free(&problems);
    if (!fine) {
        config_free(&config);
    }
    assert_true(fine);
    return config;
}

#endif
