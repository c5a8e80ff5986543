/* links: egress http spool loop hl7 base config */
/* The store of type directory: what lies there afterwards, and what each fault is called. */
#include "egress/directory_write.h"
#include "egress/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define BODY "MSH|^~\\&|A|B|C|D|2026||ADT^A01|ID1|P|2.5\rPID|1||\xe4\x00\rZZZ\r"
#define SECOND "MSH|^~\\&|A|B|C|D|2026||ADT|I2|P|2.5\rPID|2\r"
#define THIRD "MSH|^~\\&|A|B|C|D|2026||ADT|I3|P|2.5\r"
#define BATCH "BHS|^~\\&|A|B\rMSH|^~\\&|A|B|C|D|2026||ADT|I1|P|2.5\rPID|1\r" SECOND THIRD "BTS|3\r"

static struct loop *loop;
static struct offload *offload;
static struct metrics *metrics;
static char top[64], path[160], store_name[] = "files";
static struct config_store config;

struct outcome {
    struct verdict verdict;
    bool done;
    unsigned *left;
};

static void on_done(void *context, struct verdict *verdict)
{
    struct outcome *outcome = context;

    assert_false(outcome->done);
    outcome->done = true;
    outcome->verdict = *verdict;
    if (--*outcome->left == 0)
        loop_stop(loop);
}

static struct message *message_of(const char *peer, const char *body, size_t length, uint8_t number)
{
    char *copy = malloc(length);
    struct message *message;

    memcpy(copy, body, length);
    message = message_new(peer, "adt", copy, length);
    memset(message->digest, number, sizeof(message->digest));
    return message;
}

static struct store *open_store(void)
{
    const struct store_context context = {.loop = loop, .offload = offload, .metrics = metrics};
    char error[512] = "";
    struct store *store = store_new(&config, &context, error);

    assert_non_null(store);
    return store;
}

static struct verdict deliver(struct store *store, struct message *message,
                              struct store_progress *progress)
{
    unsigned left = 1;
    struct outcome outcome = {.left = &left};

    assert_non_null(store_deliver(store, message, progress, 0, on_done, &outcome));
    assert_false(outcome.done);
    loop_run(loop);
    assert_true(outcome.done);
    return outcome.verdict;
}

static unsigned count_files(const char *ending)
{
    DIR *directory = opendir(path);
    unsigned count = 0;

    assert_non_null(directory);
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;) {
        size_t length = strlen(entry->d_name), behind = strlen(ending);

        count += length > behind && strcmp(entry->d_name + length - behind, ending) == 0;
    }
    closedir(directory);
    return count;
}

static void assert_file(const char *name, const void *content, size_t length)
{
    char full[256], text[4096];
    ssize_t got;
    int fd;

    snprintf(full, sizeof(full), "%s/%s", path, name);
    fd = open(full, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        fail_msg("there is no %s", name);
    got = read(fd, text, sizeof(text));
    close(fd);
    assert_int_equal(got, length);
    assert_memory_equal(text, content, length);
}

#define ONES "01010101010101010101010101010101"

static void a_message_becomes_a_file(void **state)
{
    struct store *store = open_store();
    struct message *message = message_of("st-marys", BODY, sizeof(BODY) - 1, 1);
    struct verdict verdict = deliver(store, message, NULL);
    char full[256];
    struct stat there;

    (void)state;
    assert_int_equal(verdict.kind, VERDICT_ACCEPTED);
    assert_false(verdict.not_sent);
    assert_file("st-marys-" ONES ".hl7", BODY, sizeof(BODY) - 1);
    snprintf(full, sizeof(full), "%s/st-marys-" ONES ".hl7", path);
    assert_int_equal(stat(full, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0600);
    assert_int_equal(count_files(".tmp"), 0);
    message_release(&message);
    store_free(&store);
}

static void the_group_reads_where_it_is_told_to(void **state)
{
    config.group_readable = true;
    struct store *store = open_store();
    struct message *message = message_of("st-marys", BODY, sizeof(BODY) - 1, 1);
    char full[256];
    struct stat there;

    (void)state;
    config.group_readable = false;
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    snprintf(full, sizeof(full), "%s/st-marys-" ONES ".hl7", path);
    assert_int_equal(stat(full, &there), 0);
    assert_int_equal(there.st_mode & 0777, 0640);
    message_release(&message);
    store_free(&store);
}

static void a_repeat_replaces_nothing(void **state)
{
    struct store *store = open_store();
    struct message *message = message_of("lab", BODY, sizeof(BODY) - 1, 1);
    char full[256];
    struct stat first, second;

    (void)state;
    snprintf(full, sizeof(full), "%s/lab-" ONES ".hl7", path);
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    assert_int_equal(stat(full, &first), 0);
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    assert_int_equal(stat(full, &second), 0);
    assert_int_equal(first.st_ino, second.st_ino);
    /* A file that something has cut short is made good. */
    assert_int_equal(truncate(full, 3), 0);
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    assert_file("lab-" ONES ".hl7", BODY, sizeof(BODY) - 1);
    message_release(&message);
    store_free(&store);
}

static void names_are_safe(void **state)
{
    struct store *store = open_store();
    struct message *message = message_of("../../a b/\n", BODY, sizeof(BODY) - 1, 1);

    (void)state;
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    assert_file("_._.._a_b__-" ONES ".hl7", BODY, sizeof(BODY) - 1);
    message_release(&message);
    store_free(&store);
}

static void many_at_once(void **state)
{
    enum { COUNT = 200 };
    static struct outcome outcomes[COUNT];
    struct store *store = open_store();
    unsigned left = COUNT;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        struct message *message = message_of("p", BODY, sizeof(BODY) - 1, (uint8_t)i);

        outcomes[i] = (struct outcome){.left = &left};
        assert_non_null(store_deliver(store, message, NULL, 0, on_done, &outcomes[i]));
        message_release(&message);
    }
    loop_run(loop);
    for (unsigned i = 0; i < COUNT; i++)
        assert_int_equal(outcomes[i].verdict.kind, VERDICT_ACCEPTED);
    assert_int_equal(count_files(".hl7"), COUNT);
    assert_int_equal(count_files(".tmp"), 0);
    store_free(&store);
}

static void the_same_message_twice_at_once(void **state)
{
    struct store *store = open_store();
    struct message *message = message_of("p", BODY, sizeof(BODY) - 1, 1);
    unsigned left = 6;
    struct outcome outcomes[6];

    (void)state;
    for (size_t i = 0; i < 6; i++) {
        outcomes[i] = (struct outcome){.left = &left};
        assert_non_null(store_deliver(store, message, NULL, 0, on_done, &outcomes[i]));
    }
    loop_run(loop);
    for (size_t i = 0; i < 6; i++)
        assert_int_equal(outcomes[i].verdict.kind, VERDICT_ACCEPTED);
    assert_int_equal(count_files(".hl7"), 1);
    assert_int_equal(count_files(".tmp"), 0);
    message_release(&message);
    store_free(&store);
}

static void batches(void **state)
{
    struct message *message = message_of("p", BATCH, sizeof(BATCH) - 1, 1);
    struct store *store = open_store();
    struct store_progress progress = {0};

    (void)state;
    message->batch = true;
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED); /* whole */
    assert_file("p-" ONES ".hl7", BATCH, sizeof(BATCH) - 1);
    store_free(&store);

    config.batch = CONFIG_BATCH_SPLIT;
    store = open_store();
    assert_int_equal(deliver(store, message, &progress).kind, VERDICT_ACCEPTED);
    assert_int_equal(progress.parts, 3);
    assert_file("p-" ONES "-2.hl7", SECOND, sizeof(SECOND) - 1);
    assert_file("p-" ONES "-3.hl7", THIRD, sizeof(THIRD) - 1);
    assert_int_equal(count_files(".hl7"), 4);
    assert_int_equal(deliver(store, message, &progress).kind, VERDICT_ACCEPTED);
    assert_int_equal(count_files(".hl7"), 4);
    message_release(&message);
    store_free(&store);
}

static void a_batch_goes_on_where_it_failed(void **state)
{
    struct message *message = message_of("p", BATCH, sizeof(BATCH) - 1, 1);
    struct store *store;
    struct store_progress progress = {0};
    char full[256];

    (void)state;
    message->batch = true;
    config.batch = CONFIG_BATCH_SPLIT;
    store = open_store();
    snprintf(full, sizeof(full), "%s/p-" ONES "-2.hl7", path);
    assert_int_equal(mkdir(full, 0700), 0); /* in the second one's way */
    assert_int_equal(deliver(store, message, &progress).kind, VERDICT_RETRY);
    assert_int_equal(progress.parts, 1);
    assert_int_equal(count_files("-1.hl7"), 1);
    assert_int_equal(count_files("-3.hl7"), 0);
    assert_int_equal(rmdir(full), 0);
    assert_int_equal(deliver(store, message, &progress).kind, VERDICT_ACCEPTED);
    assert_int_equal(progress.parts, 3);
    assert_int_equal(count_files(".hl7"), 3);
    assert_int_equal(count_files(".tmp"), 0);
    message_release(&message);
    store_free(&store);
}

static void expect_reason(const char *reason, const char *step, const char *words)
{
    char wanted[256];

    snprintf(wanted, sizeof(wanted), "%s in %s: %s", step, path, words);
    assert_string_equal(reason, wanted);
}

/* Of a path that is longer than a reason its end is told. */
static void a_long_path_is_cut_in_front(void **state)
{
    char short_path[sizeof(path)];
    struct verdict verdict;
    struct store *store;
    struct message *message;

    (void)state;
    memcpy(short_path, path, sizeof(path));
    snprintf(path, sizeof(path), "/nowhere/%0140d/last", 0);
    store = open_store();
    message = message_of("p", BODY, sizeof(BODY) - 1, 1);
    verdict = deliver(store, message, NULL);
    memcpy(path, short_path, sizeof(path));
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_int_equal(strlen(verdict.reason), sizeof(verdict.reason) - 1);
    assert_memory_equal(verdict.reason, "open in ...0", 12);
    assert_non_null(strstr(verdict.reason, "0/last: No such file or directory (ENOENT)"));
    message_release(&message);
    store_free(&store);
}

static void a_missing_directory_is_the_operators_fault(void **state)
{
    struct store *store = open_store();
    struct message *message = message_of("p", BODY, sizeof(BODY) - 1, 1);
    struct verdict verdict;

    (void)state;
    assert_int_equal(rmdir(path), 0);
    verdict = deliver(store, message, NULL);
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    assert_true(verdict.not_sent);
    assert_false(verdict.about_message);
    expect_reason(verdict.reason, "open", "No such file or directory (ENOENT)");
    assert_int_equal(mkdir(path, 0700), 0);
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    message_release(&message);
    store_free(&store);
}

static void a_forbidden_directory_is_the_operators_fault(void **state)
{
    struct store *store;
    struct message *message;
    struct verdict verdict;

    (void)state;
    store = open_store();
    message = message_of("p", BODY, sizeof(BODY) - 1, 1);
    assert_int_equal(chmod(path, 0555), 0);
    if (geteuid() == 0) /* root may write anywhere */
        assert_int_equal(seteuid(65534), 0);
    verdict = deliver(store, message, NULL);
    assert_int_equal(seteuid(getuid()), 0);
    assert_int_equal(chmod(path, 0700), 0);
    assert_int_equal(verdict.kind, VERDICT_OPERATOR);
    expect_reason(verdict.reason, "create", "Permission denied (EACCES)");
    message_release(&message);
    store_free(&store);
}

/* RLIMIT_FSIZE fails as a full disk does: in the middle of a write. */
static void a_failed_write_leaves_nothing(void **state)
{
    struct store *store = open_store();
    size_t length = 100000;
    char *body = calloc(1, length);
    struct message *message = message_of("p", body, length, 1);
    struct rlimit old, small;
    struct verdict verdict;

    (void)state;
    free(body);
    assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
    small = (struct rlimit){50000, old.rlim_max};
    signal(SIGXFSZ, SIG_IGN);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &small), 0);
    verdict = deliver(store, message, NULL);
    assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
    assert_int_equal(verdict.kind, VERDICT_RETRY);
    expect_reason(verdict.reason, "write", "File too large (EFBIG)");
    assert_int_equal(count_files(".hl7"), 0);
    assert_int_equal(count_files(".tmp"), 0);
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    message_release(&message);
    store_free(&store);
}

static void cancelled_attempts_say_nothing(void **state)
{
    struct store *store = open_store();
    unsigned left = 1, never_left = 100;
    struct outcome never = {.left = &never_left}, last = {.left = &left};

    (void)state;
    for (uint8_t i = 0; i < 10; i++) {
        struct message *message = message_of("cancelled", BODY, sizeof(BODY) - 1, i);
        struct store_attempt *attempt = store_deliver(store, message, NULL, 0, on_done, &never);

        message_release(&message);
        store_cancel(&attempt);
        assert_null(attempt);
    }
    struct message *message = message_of("kept", BODY, sizeof(BODY) - 1, 1);
    assert_non_null(store_deliver(store, message, NULL, 0, on_done, &last));
    loop_run(loop);
    message_release(&message);
    assert_false(never.done);
    assert_true(count_files(".hl7") <= 2); /* the first may have been under way */
    assert_file("kept-" ONES ".hl7", BODY, sizeof(BODY) - 1);
    store_free(&store);
}

static void a_store_may_go_with_attempts_in_flight(void **state)
{
    struct store *store = open_store(), *other = open_store();
    unsigned left = 1, never_left = 100;
    struct outcome never = {.left = &never_left}, last = {.left = &left};
    struct message *message = message_of("p", BODY, sizeof(BODY) - 1, 1);

    (void)state;
    for (int i = 0; i < 5; i++)
        assert_non_null(store_deliver(store, message, NULL, 0, on_done, &never));
    store_free(&store);
    assert_non_null(store_deliver(other, message, NULL, 0, on_done, &last));
    loop_run(loop);
    assert_false(never.done);
    assert_true(last.done);
    message_release(&message);
    store_free(&other);
}

static void old_temporary_files_are_swept(void **state)
{
    struct message *message = message_of("p", BODY, sizeof(BODY) - 1, 1);
    const struct timespec long_ago[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    struct store *store;
    char name[256];
    int fd;

    (void)state;
    static const char *const names[] = {".p-00.hl7.12.3.tmp", ".p-01.hl7.12.3.tmp", "other.tmp"};
    for (size_t i = 0; i < 3; i++) {
        snprintf(name, sizeof(name), "%s/%s", path, names[i]);
        fd = open(name, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        if (i != 1)
            assert_int_equal(futimens(fd, long_ago), 0);
        close(fd);
    }
    store = open_store();
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    assert_int_equal(count_files(".tmp"), 2);
    message_release(&message);
    store_free(&store);
}

static void a_missing_directory_is_made(void **state)
{
    struct message *message = message_of("p", BODY, sizeof(BODY) - 1, 1);
    struct store *store;

    (void)state;
    assert_int_equal(rmdir(path), 0);
    store = open_store();
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    message_release(&message);
    store_free(&store);
}

static void outcomes_are_counted(void **state)
{
    struct store *store = open_store();
    struct message *message = message_of("p", BODY, sizeof(BODY) - 1, 1);
    struct buffer text;

    (void)state;
    assert_int_equal(deliver(store, message, NULL).kind, VERDICT_ACCEPTED);
    buffer_init(&text, 1 << 20);
    assert_int_equal(metrics_render(metrics, &text), 0);
    assert_int_equal(buffer_append_byte(&text, '\0'), 0);
    assert_non_null(
        strstr(text.data, "mllpgw_store_requests_total{store=\"files\",outcome=\"accepted\"}"));
    buffer_free(&text);
    message_release(&message);
    store_free(&store);
}

static int start(void **state)
{
    (void)state;
    umask(022);
    snprintf(top, sizeof(top), "/tmp/mllpgw-test-XXXXXX");
    if (mkdtemp(top) == NULL || chmod(top, 0755) != 0)
        return -1;
    snprintf(path, sizeof(path), "%s/files", top);
    loop = loop_new("test");
    offload = offload_new();
    metrics = metrics_new();
    return loop != NULL && offload != NULL && metrics != NULL ? 0 : -1;
}

static int stop(void **state)
{
    (void)state;
    offload_free(&offload);
    loop_free(&loop);
    metrics_free(metrics);
    return rmdir(top);
}

static int each_start(void **state)
{
    (void)state;
    config = (struct config_store){.name = store_name,
                                   .type = CONFIG_STORE_DIRECTORY,
                                   .batch = CONFIG_BATCH_WHOLE,
                                   .path = path};
    return mkdir(path, 0700);
}

static int each_stop(void **state)
{
    DIR *directory = opendir(path);

    (void)state;
    for (const struct dirent *entry; (entry = readdir(directory)) != NULL;)
        (void)unlinkat(dirfd(directory), entry->d_name, 0);
    closedir(directory);
    return rmdir(path);
}

#define EACH(test) cmocka_unit_test_setup_teardown(test, each_start, each_stop)

int main(void)
{
    const struct CMUnitTest tests[] = {
        EACH(a_message_becomes_a_file),
        EACH(the_group_reads_where_it_is_told_to),
        EACH(a_repeat_replaces_nothing),
        EACH(names_are_safe),
        EACH(many_at_once),
        EACH(the_same_message_twice_at_once),
        EACH(batches),
        EACH(a_batch_goes_on_where_it_failed),
        EACH(a_long_path_is_cut_in_front),
        EACH(a_missing_directory_is_the_operators_fault),
        EACH(a_forbidden_directory_is_the_operators_fault),
        EACH(a_failed_write_leaves_nothing),
        EACH(cancelled_attempts_say_nothing),
        EACH(a_store_may_go_with_attempts_in_flight),
        EACH(old_temporary_files_are_swept),
        EACH(a_missing_directory_is_made),
        EACH(outcomes_are_counted),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
