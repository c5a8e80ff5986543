/* links: base */
#include "base/log.h"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

static int ends[2];
static char got[65536];

/* What was logged since the last call. */
static const char *read_log(void)
{
    ssize_t length = read(ends[0], got, sizeof got - 1);

    got[length > 0 ? length : 0] = '\0';
    return got;
}

/* The line behind its time stamp: " info event=..." */
static const char *read_behind_time(void)
{
    const char *line = read_log();

    assert_true(strlen(line) > 24);
    assert_int_equal(line[10], 'T');
    assert_int_equal(line[23], 'Z');
    return line + 24;
}

static int open_pipe(void **state)
{
    (void)state;
    if (pipe2(ends, O_NONBLOCK) != 0)
        return -1;
    log_set_fd(ends[1]);
    return 0;
}

static void text_lines(void **state)
{
    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    LOG_EVENT(LOG_LEVEL_INFO, "closed", LOG_INTEGER("connection", 17),
              LOG_STRING("peer", "st-marys"), LOG_STRING("empty", ""), LOG_STRING("none", NULL),
              LOG_STRING("words", "two words"));
    assert_string_equal(read_behind_time(),
                        " info event=closed connection=17 peer=st-marys words=\"two words\"\n");
    LOG_EVENT(LOG_LEVEL_DEBUG, "unseen", LOG_INTEGER("a", 1));
    assert_string_equal(read_log(), "");
    assert_false(log_enabled(LOG_LEVEL_DEBUG));
    log_configure(LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
    LOG_EVENT(LOG_LEVEL_WARNING, "unseen", LOG_INTEGER("a", 1));
    assert_string_equal(read_log(), "");
    LOG_EVENT(LOG_LEVEL_AUDIT, "admitted", LOG_INTEGER("negative", -5));
    assert_string_equal(read_behind_time(), " audit event=admitted negative=-5\n");
}

/* No value can start a line, a field or end its own quotes. */
static void forged_lines(void **state)
{
    static const char evil[] = "a\" b=c\\\n2026 info x\r\t\x1b[31m\0\x80\xff\x7f=";

    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    LOG_EVENT(LOG_LEVEL_ERROR, "e", LOG_SPAN("v", span_of(evil, sizeof evil - 1)));
    assert_string_equal(read_behind_time(), " error event=e v=\"a\\\" b=c\\\\\\n2026 info "
                                            "x\\r\\t\\x1b[31m\\x00\\x80\\xff\\x7f=\"\n");
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_JSON);
    LOG_EVENT(LOG_LEVEL_ERROR, "e", LOG_SPAN("v", span_of(evil, sizeof evil - 1)),
              LOG_INTEGER("n", 3));
    const char *line = read_log();
    assert_memory_equal(line, "{\"time\":\"", 9);
    assert_string_equal(line + 33,
                        "\",\"level\":\"error\",\"event\":\"e\",\"v\":\"a\\\" b=c\\\\\\n2026 info "
                        "x\\r\\t\\u001b[31m\\u0000\\u0080\\u00ff\\u007f=\",\"n\":3}\n");
}

static void control_ids(void **state)
{
    char text[100];

    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    memset(text, 'x', sizeof text);
    LOG_EVENT(LOG_LEVEL_ERROR, "e", LOG_CONTROL_ID(span_of(text, sizeof text)));
    assert_string_equal(read_behind_time(),
                        " error event=e control_id="
                        "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx "
                        "control_id_bytes=100\n");
    LOG_EVENT(LOG_LEVEL_ERROR, "e", LOG_CONTROL_ID(span_of(NULL, 0)));
    assert_string_equal(read_behind_time(), " error event=e control_id=\"\"\n");
}

/* A line has one size at most, ends as one, and JSON stays JSON. */
static void long_lines(void **state)
{
    struct log_field fields[60];
    char text[2000];

    (void)state;
    memset(text, '\n', sizeof text);
    for (size_t i = 0; i < 60; i++)
        fields[i] = LOG_SPAN("field", span_of(text, sizeof text));
    for (int format = LOG_FORMAT_TEXT; format <= LOG_FORMAT_JSON; format++) {
        log_configure(LOG_LEVEL_INFO, (enum log_format)format);
        log_event(LOG_LEVEL_ERROR, "e", fields, 60);
        const char *line = read_log();
        size_t length = strlen(line);
        assert_true(length > 4000 && length <= 8192);
        assert_ptr_equal(strchr(line, '\n'), line + length - 1);
        if (format == LOG_FORMAT_JSON)
            assert_string_equal(line + length - 15, "\"truncated\":1}\n");
        else
            assert_string_equal(line + length - 13, " truncated=1\n");
    }
}

static void rate_limit(void **state)
{
    int lines = 0;

    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (int i = 0; i < 100; i++)
        LOG_EVENT(LOG_LEVEL_WARNING, "flood", LOG_INTEGER("i", i));
    for (const char *at = read_log(); *at != '\0'; at++)
        lines += *at == '\n';
    assert_in_range(lines, 20, 21); /* a second may have gone by */
    LOG_EVENT(LOG_LEVEL_WARNING, "another", LOG_INTEGER("i", 1));
    assert_string_equal(read_behind_time(), " warning event=another i=1\n");
    for (int i = 0; i < 100; i++)
        LOG_EVENT(LOG_LEVEL_AUDIT, "audited", LOG_INTEGER("i", i));
    lines = 0;
    for (const char *at = read_log(); *at != '\0'; at++)
        lines += *at == '\n';
    assert_int_equal(lines, 100);
    usleep(1100 * 1000);
    LOG_EVENT(LOG_LEVEL_WARNING, "flood", LOG_INTEGER("i", 1));
    assert_non_null(strstr(read_log(), " i=1 suppressed="));
}

static int count_lines(const char *text)
{
    int lines = 0;

    for (; *text != '\0'; text++)
        lines += *text == '\n';
    return lines;
}

static void refuse_often(const char *event, const char *address, int times)
{
    for (int i = 0; i < times; i++)
        LOG_EVENT(LOG_LEVEL_AUDIT, event, LOG_STRING("peer", "lab"),
                  LOG_STRING("address", address));
}

/* Who only has to connect to make a line can't fill the disk with them, nor hide another's. */
static void lines_from_outside_are_limited(void **state)
{
    static const char *const events[] = {"connection-refused", "tls-handshake-failed",
                                         "message-refused"};

    (void)state;
    log_configure(LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
    for (size_t i = 0; i < 3; i++) {
        refuse_often(events[i], "192.0.2.1", 100);
        assert_in_range(count_lines(read_log()), 20, 21); /* a second may have gone by */
        refuse_often(events[i], "192.0.2.2", 5);
        assert_int_equal(count_lines(read_log()), 5);
    }
    for (int i = 0; i < 100; i++)
        LOG_EVENT(LOG_LEVEL_AUDIT, "message-refused", LOG_STRING("peer", "ward"));
    assert_in_range(count_lines(read_log()), 20, 21);
    for (int i = 0; i < 100; i++)
        LOG_EVENT(LOG_LEVEL_AUDIT, "operator-command", LOG_STRING("address", "192.0.2.1"));
    assert_int_equal(count_lines(read_log()), 100);
    usleep(1100 * 1000);
    refuse_often("connection-refused", "192.0.2.1", 1);
    assert_non_null(strstr(read_log(), " address=192.0.2.1 suppressed="));
}

/* Neither can who has very many addresses; and a new one is heard once there is room again. */
static void many_addresses_are_limited(void **state)
{
    char address[32];
    int lines = 0;

    (void)state;
    for (int i = 0; i < 20000; i++) {
        snprintf(address, sizeof address, "2001:db8::%x", i);
        LOG_EVENT(LOG_LEVEL_AUDIT, "connection-refused", LOG_STRING("address", address));
        if (i % 100 == 99)
            lines += count_lines(read_log());
    }
    assert_in_range(lines, 256, 256 * 30);
    usleep(1100 * 1000);
    refuse_often("connection-refused", "198.51.100.1", 1);
    assert_int_equal(count_lines(read_log()), 1);
}

/* The table of event names is bounded. */
static void many_events(void **state)
{
    static char names[600][12];

    (void)state;
    for (size_t i = 0; i < 600; i++) {
        snprintf(names[i], sizeof names[i], "event-%zu", i);
        LOG_EVENT(LOG_LEVEL_WARNING, names[i], LOG_INTEGER("i", i));
    }
    assert_non_null(strstr(read_log(), "event-200"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_lines),
        cmocka_unit_test(forged_lines),
        cmocka_unit_test(control_ids),
        cmocka_unit_test(long_lines),
        cmocka_unit_test(rate_limit),
        cmocka_unit_test(lines_from_outside_are_limited),
        cmocka_unit_test(many_addresses_are_limited),
        cmocka_unit_test(many_events),
    };

    return cmocka_run_group_tests_name("log", tests, open_pipe, NULL);
}
