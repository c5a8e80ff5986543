/* links: vpn */
/* mllp-tunneld's log: the gateway's format; no value can forge a line, cut one off or break JSON. */
#include "vpn/tunneld_log.h"

#include <jansson.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

static char text[16384];

/* What was logged since, without the time. */
static const char *logged(int fd)
{
    ssize_t length = pread(fd, text, sizeof text - 1, 0);

    assert_true(length >= 0);
    text[length] = '\0';
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(lseek(fd, 0, SEEK_SET), 0);
    return text[0] == '{' || text[0] == '\0' ? text : strchr(text, ' ') + 1;
}

static void test_text(void **state)
{
    int fd = memfd_create("log", MFD_CLOEXEC);

    (void)state;
    tunneld_log_set_fd(fd);
    tunneld_log_configure(CONFIG_LOG_INFO, CONFIG_LOG_TEXT);
    TUNNELD_LOG(CONFIG_LOG_INFO, "tunnel-up", TUNNELD_TEXT("tunnel", "a"), TUNNELD_TEXT("peer", ""),
                TUNNELD_NUMBER("flaps", -3));
    assert_string_equal(logged(fd), "info event=tunnel-up tunnel=a flaps=-3\n");
    assert_int_equal(strspn(text, "0123456789-T:.Z"), strlen("2026-11-22T07:48:39.123Z"));
    TUNNELD_LOG(CONFIG_LOG_ERROR, "x",
                TUNNELD_TEXT("id", "C=CH, CN=\"b\"\n2026 info event=y\x7f\\"));
    assert_string_equal(logged(fd),
                        "error event=x id=\"C=CH, CN=\\\"b\\\"\\n2026 info event=y\\x7f\\\\\"\n");
    TUNNELD_LOG(CONFIG_LOG_DEBUG, "x", TUNNELD_NUMBER("n", 1));
    assert_string_equal(logged(fd), "");
    close(fd);
}

static void test_json_and_long_lines(void **state)
{
    int fd = memfd_create("log", MFD_CLOEXEC);
    char longest[2000];

    (void)state;
    memset(longest, '"', sizeof longest);
    longest[sizeof longest - 1] = '\0';
    tunneld_log_set_fd(fd);
    for (unsigned format = 0; format < 2; format++) {
        tunneld_log_configure(CONFIG_LOG_DEBUG, format == 0 ? CONFIG_LOG_JSON : CONFIG_LOG_TEXT);
        TUNNELD_LOG(CONFIG_LOG_WARNING, "tunnel-down", TUNNELD_TEXT("tunnel", "a\x01"),
                    TUNNELD_NUMBER("n", 7), TUNNELD_TEXT("a", longest), TUNNELD_TEXT("b", longest),
                    TUNNELD_TEXT("c", longest), TUNNELD_TEXT("d", longest),
                    TUNNELD_TEXT("e", longest), TUNNELD_TEXT("f", longest));
        const char *line = logged(fd);
        assert_true(strlen(line) > 2000 && strlen(line) <= 4096);
        assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
        if (format == 1)
            break;
        json_t *object = json_loads(line, JSON_REJECT_DUPLICATES, NULL);
        assert_non_null(object);
        assert_string_equal(json_string_value(json_object_get(object, "event")), "tunnel-down");
        assert_string_equal(json_string_value(json_object_get(object, "level")), "warning");
        assert_string_equal(json_string_value(json_object_get(object, "tunnel")), "a\x01");
        assert_int_equal(json_integer_value(json_object_get(object, "n")), 7);
        json_decref(object);
    }
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_text),
        cmocka_unit_test(test_json_and_long_lines),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
