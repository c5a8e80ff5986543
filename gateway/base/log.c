#include "base/log.h"

#include "base/clock.h"
#include "base/hash.h"

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
#define LOG_SOURCES 256        /* (event, address) pairs that are limited at a time */
#define LOG_SOURCE_WAYS 8      /* places that a pair may have */
#define LOG_SOURCE_BYTES 64    /* of an address or a peer's name; longer ones are cut */

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

static bool log_limit_take(struct log_limit *limit, int64_t now, int64_t *ret_suppressed)
{
    int64_t earned = (now - limit->refilled_ms) / LOG_REFILL_MS;

    if (earned >= LOG_BURST - limit->tokens) {
        limit->tokens = LOG_BURST;
        limit->refilled_ms = now;
    } else {
        limit->tokens += (int)earned;
        limit->refilled_ms += earned * LOG_REFILL_MS;
    }
    if (limit->tokens == 0) {
        limit->suppressed++;
        return false;
    }
    limit->tokens--;
    *ret_suppressed = limit->suppressed;
    limit->suppressed = 0;
    return true;
}

static bool log_limit_pass(const char *event, int64_t *ret_suppressed)
{
    int64_t now = clock_monotonic_ms(clock_system());

    pthread_mutex_lock(&log_limit_lock);
    bool pass = log_limit_take(log_limit_find(event, now), now, ret_suppressed);
    pthread_mutex_unlock(&log_limit_lock);
    return pass;
}

/* ---- limits of what anybody outside can cause ---- */

struct log_source {
    char key[LOG_SOURCE_BYTES];
    size_t key_length;
    struct log_limit limit; /* its event is NULL: a free place */
    int64_t used_ms;
};

static struct log_source log_sources[LOG_SOURCES];

static bool log_is_from_outside(const char *event)
{
    static const char *const events[] = {"connection-refused", "tls-handshake-failed",
                                         "message-refused"};

    for (size_t i = 0; i < sizeof events / sizeof events[0]; i++)
        if (strcmp(event, events[i]) == 0)
            return true;
    return false;
}

static struct span log_source_key(const struct log_field *fields, size_t count)
{
    struct span key = span_of_string("");

    for (size_t i = 0; i < count; i++) {
        if (fields[i].kind != LOG_FIELD_STRING || fields[i].text.length == 0)
            continue;
        if (strcmp(fields[i].name, "address") == 0) {
            key = fields[i].text;
            break;
        }
        if (strcmp(fields[i].name, "peer") == 0)
            key = fields[i].text;
    }
    return span_of(key.data, key.length < LOG_SOURCE_BYTES ? key.length : LOG_SOURCE_BYTES);
}

static size_t log_source_bucket(const char *event, struct span key)
{
    uint64_t hash = hash_bytes(hash_text(HASH_START, event), key.data, key.length);

    return (size_t)((hash >> 32) ^ hash) % (LOG_SOURCES / LOG_SOURCE_WAYS) * LOG_SOURCE_WAYS;
}

/* A new pair takes the place that was used longest ago. While that one still has a debt, its limit
 * goes on for the new pair as well: else who has many addresses would have as many bursts. */
static struct log_source *log_source_find(const char *event, struct span key, int64_t now)
{
    struct log_source *first = &log_sources[log_source_bucket(event, key)], *oldest = first;

    for (struct log_source *each = first; each < first + LOG_SOURCE_WAYS; each++) {
        if (each->limit.event != NULL && strcmp(each->limit.event, event) == 0 &&
            span_equal(span_of(each->key, each->key_length), key))
            return each;
        if (each->limit.event == NULL
                ? oldest->limit.event != NULL
                : oldest->limit.event != NULL && each->used_ms < oldest->used_ms)
            oldest = each;
    }
    if (oldest->limit.event == NULL)
        oldest->limit = (struct log_limit){.refilled_ms = now, .tokens = LOG_BURST};
    oldest->limit.event = event;
    oldest->key_length = key.length;
    if (key.length > 0)
        memcpy(oldest->key, key.data, key.length);
    return oldest;
}

static bool log_source_pass(const char *event, const struct log_field *fields, size_t count,
                            int64_t *ret_suppressed)
{
    int64_t now = clock_monotonic_ms(clock_system());
    struct span key = log_source_key(fields, count);

    pthread_mutex_lock(&log_limit_lock);
    struct log_source *source = log_source_find(event, key, now);
    source->used_ms = now;
    bool pass = log_limit_take(&source->limit, now, ret_suppressed);
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
    if (level >= LOG_LEVEL_ERROR && log_is_from_outside(event) &&
        !log_source_pass(event, fields, count, &suppressed))
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
