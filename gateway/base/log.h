/*
 * log: one structured line an event, on standard error.
 *
 *   2026-11-22T07:48:39.123Z info event=connection-closed connection=17 peer=st-marys-lab reason=idle-timeout
 *
 * Format "text" is logfmt behind time and level; "json" is one object a line. Values are escaped
 * so that no input can forge a line. Message content never gets here: the only piece of a message
 * that may is the control id, through LOG_CONTROL_ID (escaped, at most 64 bytes).
 * Each event name is rate-limited by itself (a burst of 20, then 1 a second; what was left out is
 * counted in "suppressed=N" of the next line). Error and audit lines are not limited, but for those
 * that anybody who reaches a listener can cause: connection-refused, tls-handshake-failed and
 * message-refused, whose limit is that of the event and its "address" (or else "peer") together.
 * Metrics count every one of them.
 * Threads: any. A line is one write(2). The settings may change at run time (reload).
 */
#ifndef MLLPGW_BASE_LOG_H
#define MLLPGW_BASE_LOG_H

#include "base/span.h"

#include <stdbool.h>
#include <stdint.h>

enum log_level {
    LOG_LEVEL_DEBUG,
    LOG_LEVEL_INFO,
    LOG_LEVEL_WARNING,
    LOG_LEVEL_ERROR,
    LOG_LEVEL_AUDIT, /* who was let in, who was refused, what an operator did; never filtered */
};

enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

enum log_field_kind { LOG_FIELD_STRING, LOG_FIELD_INTEGER, LOG_FIELD_CONTROL_ID };

struct log_field {
    const char *name;
    enum log_field_kind kind;
    struct span text;
    int64_t integer;
};

#define LOG_STRING(n, s)                                                                           \
    ((struct log_field){.name = (n), .kind = LOG_FIELD_STRING, .text = span_of_string(s)})
#define LOG_SPAN(n, s) ((struct log_field){.name = (n), .kind = LOG_FIELD_STRING, .text = (s)})
#define LOG_INTEGER(n, i)                                                                          \
    ((struct log_field){.name = (n), .kind = LOG_FIELD_INTEGER, .integer = (int64_t)(i)})
#define LOG_CONTROL_ID(s)                                                                          \
    ((struct log_field){.name = "control_id", .kind = LOG_FIELD_CONTROL_ID, .text = (s)})

/* event and the names of fields: literals (the rate limiter keeps the pointer). A STRING field with
 * an empty text is left out. What does not fit into a line (8 KB, 512 bytes a value) is cut or left
 * out, and the line says truncated=1. Bytes that are not printable ASCII are written as \xNN in
 * text and as \u00NN in JSON. */
void log_event(enum log_level level, const char *event, const struct log_field *fields,
               size_t count);

#define LOG_EVENT(level, event, ...)                                                               \
    log_event((level), (event), (const struct log_field[]){__VA_ARGS__},                           \
              sizeof((const struct log_field[]){__VA_ARGS__}) / sizeof(struct log_field))

void log_configure(enum log_level minimum, enum log_format format);
bool log_enabled(enum log_level level);
/* Where lines go (default 2). For tests. */
void log_set_fd(int fd);

#endif
