#include "base/log.h"

#include "base/clock.h"

#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_BYTES 8192
#define LOG_TAIL_BYTES 64       /* kept free for truncated=1, suppressed=N and the line's end */
#define LOG_VALUE_BYTES 512     /* of one value, before escaping */
#define LOG_CONTROL_ID_BYTES 64 /* semantics: "escaped, at most 64 bytes" */
#define LOG_BURST 20
#define LOG_REFILL_MS 1000
#define LOG_LIMITED_EVENTS 256 /* event names; what comes later shares the last entry */

static atomic_int log_minimum = LOG_LEVEL_INFO;
static atomic_int log_chosen_format = LOG_FORMAT_TEXT;
static atomic_int log_fd = STDERR_FILENO;

/* ---- rate limiter ---- */

struct log_limit {
    const char *event;
    int64_t refilled_ms;
    int tokens;
    int64_t suppressed;
};

static pthread_mutex_t log_limit_lock = PTHREAD_MUTEX_INITIALIZER;
static struct log_limit log_limits[LOG_LIMITED_EVENTS];
static size_t log_limit_count;

static struct log_limit *log_limit_find(const char *event, int64_t now)
{
    for (size_t i = 0; i < log_limit_count; i++)
        if (log_limits[i].event == event || strcmp(log_limits[i].event, event) == 0)
            return &log_limits[i];
    if (log_limit_count == LOG_LIMITED_EVENTS)
        return &log_limits[LOG_LIMITED_EVENTS - 1];

    struct log_limit *limit = &log_limits[log_limit_count++];
    *limit = (struct log_limit){.event = event, .refilled_ms = now, .tokens = LOG_BURST};
    return limit;
}

static bool log_limit_pass(const char *event, int64_t *ret_suppressed)
{
    int64_t now = clock_monotonic_ms(clock_system());

    pthread_mutex_lock(&log_limit_lock);
    struct log_limit *limit = log_limit_find(event, now);
    int64_t earned = (now - limit->refilled_ms) / LOG_REFILL_MS;
    if (earned >= LOG_BURST - limit->tokens) {
        limit->tokens = LOG_BURST;
        limit->refilled_ms = now;
    } else {
        limit->tokens += (int)earned;
        limit->refilled_ms += earned * LOG_REFILL_MS;
    }
    bool pass = limit->tokens > 0;
    if (pass) {
        limit->tokens--;
        *ret_suppressed = limit->suppressed;
        limit->suppressed = 0;
    } else {
        limit->suppressed++;
    }
    pthread_mutex_unlock(&log_limit_lock);
    return pass;
}

/* ---- one line ---- */

struct log_line {
    char text[LOG_LINE_BYTES];
    size_t length;
    bool json;
    bool full;      /* something did not fit into the part that is now being written */
    bool truncated; /* a field was left out or cut */
};

static void log_put(struct log_line *line, size_t limit, const char *text, size_t length)
{
    if (line->full || length > limit - line->length) {
        line->full = true;
        return;
    }
    memcpy(line->text + line->length, text, length);
    line->length += length;
}

__attribute__((format(printf, 3, 4))) static void
log_put_format(struct log_line *line, size_t limit, const char *format, ...)
{
    char text[160];
    va_list arguments;

    va_start(arguments, format);
    int length = vsnprintf(text, sizeof text, format, arguments);
    va_end(arguments);
    if (length < 0 || (size_t)length >= sizeof text)
        line->full = true;
    else
        log_put(line, limit, text, (size_t)length);
}

/* One byte of a value. JSON has no \xNN: there a byte becomes the code point of the same number. */
static void log_put_escaped(struct log_line *line, size_t limit, unsigned char byte)
{
    if (byte == '"' || byte == '\\')
        log_put_format(line, limit, "\\%c", byte);
    else if (byte >= 0x20 && byte < 0x7f)
        log_put(line, limit, (const char *)&byte, 1);
    else if (byte == '\n' || byte == '\r' || byte == '\t')
        log_put_format(line, limit, "\\%c", byte == '\n' ? 'n' : byte == '\r' ? 'r' : 't');
    else
        log_put_format(line, limit, line->json ? "\\u%04x" : "\\x%02x", byte);
}

static bool log_needs_quotes(struct span value)
{
    for (size_t i = 0; i < value.length; i++) {
        unsigned char byte = (unsigned char)value.data[i];
        if (byte <= 0x20 || byte >= 0x7f || byte == '"' || byte == '\\' || byte == '=')
            return true;
    }
    return value.length == 0;
}

static void log_put_value(struct log_line *line, size_t limit, struct span value)
{
    if (!line->json && !log_needs_quotes(value)) {
        log_put(line, limit, value.data, value.length);
        return;
    }
    log_put(line, limit, "\"", 1);
    for (size_t i = 0; i < value.length; i++)
        log_put_escaped(line, limit, (unsigned char)value.data[i]);
    log_put(line, limit, "\"", 1);
}

static void log_put_name(struct log_line *line, size_t limit, const char *name)
{
    log_put_format(line, limit, line->json ? ",\"%s\":" : " %s=", name);
}

static void log_put_integer(struct log_line *line, size_t limit, const char *name, int64_t value)
{
    log_put_name(line, limit, name);
    log_put_format(line, limit, "%lld", (long long)value);
}

static void log_put_text(struct log_line *line, size_t limit, const struct log_field *field)
{
    bool control_id = field->kind == LOG_FIELD_CONTROL_ID;
    size_t most = control_id ? LOG_CONTROL_ID_BYTES : LOG_VALUE_BYTES;
    struct span value = field->text;

    if (value.length == 0 && !control_id)
        return;
    if (value.length > most)
        value.length = most;
    log_put_name(line, limit, field->name);
    log_put_value(line, limit, value);
    if (field->text.length > most && control_id)
        log_put_integer(line, limit, "control_id_bytes", (int64_t)field->text.length);
    else if (field->text.length > most)
        line->truncated = true;
}

/* A field is there whole or not at all, so that JSON stays JSON. */
static void log_put_field(struct log_line *line, const struct log_field *field)
{
    size_t limit = LOG_LINE_BYTES - LOG_TAIL_BYTES;
    size_t before = line->length;

    if (field->kind == LOG_FIELD_INTEGER)
        log_put_integer(line, limit, field->name, field->integer);
    else
        log_put_text(line, limit, field);
    if (!line->full)
        return;
    line->length = before;
    line->full = false;
    line->truncated = true;
}

static void log_put_head(struct log_line *line, enum log_level level, const char *event)
{
    static const char *const levels[] = {"debug", "info", "warning", "error", "audit"};
    int64_t now = clock_wall_ms(clock_system());
    time_t seconds = (time_t)(now / 1000);
    struct tm parts;

    gmtime_r(&seconds, &parts);
    log_put_format(line, LOG_LINE_BYTES,
                   line->json ? "{\"time\":\"%04d-%02d-%02dT%02d:%02d:%02d.%03dZ\",\"level\":\"%s\""
                              : "%04d-%02d-%02dT%02d:%02d:%02d.%03dZ %s",
                   parts.tm_year + 1900, parts.tm_mon + 1, parts.tm_mday, parts.tm_hour,
                   parts.tm_min, parts.tm_sec, (int)(now % 1000), levels[level]);
    log_put_name(line, LOG_LINE_BYTES, "event");
    log_put_value(line, LOG_LINE_BYTES, span_of_string(event));
}

static void log_put_tail(struct log_line *line, int64_t suppressed)
{
    if (line->truncated)
        log_put_integer(line, LOG_LINE_BYTES, "truncated", 1);
    if (suppressed > 0)
        log_put_integer(line, LOG_LINE_BYTES, "suppressed", suppressed);
    log_put(line, LOG_LINE_BYTES, line->json ? "}\n" : "\n", line->json ? 2 : 1);
}

void log_event(enum log_level level, const char *event, const struct log_field *fields,
               size_t count)
{
    int64_t suppressed = 0;

    if (!log_enabled(level))
        return;
    if (level < LOG_LEVEL_ERROR && !log_limit_pass(event, &suppressed))
        return;

    struct log_line line;
    line.length = 0;
    line.full = false;
    line.truncated = false;
    line.json = atomic_load_explicit(&log_chosen_format, memory_order_relaxed) == LOG_FORMAT_JSON;
    log_put_head(&line, level, event);
    for (size_t i = 0; i < count; i++)
        log_put_field(&line, &fields[i]);
    log_put_tail(&line, suppressed);

    /* One write: lines of threads don't mix. There is nowhere to tell that it failed. */
    ssize_t written =
        write(atomic_load_explicit(&log_fd, memory_order_relaxed), line.text, line.length);
    (void)written;
}

void log_configure(enum log_level minimum, enum log_format format)
{
    atomic_store_explicit(&log_minimum, (int)minimum, memory_order_relaxed);
    atomic_store_explicit(&log_chosen_format, (int)format, memory_order_relaxed);
}

bool log_enabled(enum log_level level)
{
    return level == LOG_LEVEL_AUDIT ||
           (int)level >= atomic_load_explicit(&log_minimum, memory_order_relaxed);
}

void log_set_fd(int fd)
{
    atomic_store_explicit(&log_fd, fd, memory_order_relaxed);
}
