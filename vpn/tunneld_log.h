/*
 * tunneld_log: mllp-tunneld's log: one structured line an event on standard error, in the format of
 * the gateway's (gateway/base/log.h), so that one reader reads both:
 *
 *   2026-11-22T07:48:39.123Z info event=tunnel-up tunnel=st-marys peer=203.0.113.9
 *
 * Values are escaped so that no peer's identity can forge a line; a text that is empty is left out.
 * Never a secret: nobody hands it one. Threads: one.
 */
#ifndef MLLPGW_VPN_TUNNELD_LOG_H
#define MLLPGW_VPN_TUNNELD_LOG_H

#include "config/config.h"

struct tunneld_field {
    const char *name;
    const char *text; /* NULL: it is the number */
    int64_t number;
};

#define TUNNELD_TEXT(n, t) ((struct tunneld_field){.name = (n), .text = (t)})
#define TUNNELD_NUMBER(n, i) ((struct tunneld_field){.name = (n), .number = (int64_t)(i)})

void tunneld_log(enum config_log_level level, const char *event, const struct tunneld_field *fields,
                 size_t count);

#define TUNNELD_LOG(level, event, ...)                                                             \
    tunneld_log((level), (event), (const struct tunneld_field[]){__VA_ARGS__},                     \
                sizeof((const struct tunneld_field[]){__VA_ARGS__}) /                              \
                    sizeof(struct tunneld_field))

void tunneld_log_configure(enum config_log_level minimum, enum config_log_format format);
/* Where lines go (default 2). For tests. */
void tunneld_log_set_fd(int fd);

#endif
