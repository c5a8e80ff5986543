/* links: admin spool loop base config */
#include "admin/control.h"
#include "base/log.h"
#include "support/fake_gateway.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <psa/crypto.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define ENTRIES 450
#define CANARY "CANARY-4711"

struct fixture {
    struct fake_gateway fake;
    struct metrics *metrics;
    struct spool *spool;
    struct loop *loop;
    struct control *control;
    char directory[64], path[96], log[96];
    int log_fd;
};

static atomic_int caller_operator;

static int identify_fake(int fd, gid_t operator_gid, struct control_caller *ret_caller)
{
    (void)fd;
    (void)operator_gid;
    *ret_caller = (struct control_caller){
        .uid = 4242, .pid = 77, .operator= atomic_load(&caller_operator) != 0};
    return 0;
}

static struct message *make_message(int number)
{
    char text[256];
    int length =
        snprintf(text, sizeof text,
                 "MSH|^~\\&|A|B|C|D|20260101||ADT^A01|ID%d|P|2.5\rPID|1||" CANARY "\r", number);
    char *body = malloc((size_t)length);
    assert_non_null(body);
    memcpy(body, text, (size_t)length);
    struct message *message = message_new("lab", "adt", body, (size_t)length);
    assert_non_null(message);
    const char *id = strstr(text, "ID"), *type = strstr(text, "ADT");
    message->control_id = span_of(body + (id - text), strlen(id) - strlen(strchr(id, '|')));
    message->message_type = span_of(body + (type - text), 7);
    message->received_wall_ms = 1700000000000;
    return message;
}

/* Every tenth one of the first fifty is dead and its lane went on; entry 450's lane is stopped. */
static void fill(struct spool_backend *backend)
{
    struct verdict refused = {.kind = VERDICT_REFUSED, .status = 422, .reason = "HTTP 422"};

    assert_int_equal(spool_backend_begin(backend), 0);
    for (int i = 1; i <= ENTRIES; i++) {
        struct message *message = make_message(i);
        uint64_t id = 0;
        assert_int_equal(spool_backend_digest(backend, message), 0);
        const char *lane = i == ENTRIES ? "cloud/stopped" : "cloud/lab";
        bool dead = (i <= 50 && i % 10 == 0) || i == ENTRIES;
        assert_int_equal(
            spool_backend_put(backend, message, "cloud", lane, dead, 1700000000000, &id), 0);
        assert_int_equal(id, i);
        if (dead)
            assert_int_equal(
                spool_backend_settle(backend, id, &refused, 0, false, i == ENTRIES, 1700000000001),
                0);
        message_release(&message);
    }
    assert_int_equal(spool_backend_commit(backend), 0);
}

static void start_control(void *context)
{
    struct control *control = context;
    assert_int_equal(control_start(control), 0);
}

static int setup(void **state)
{
    const struct spool_backend_settings settings = {
        .maximum_bytes = 1 << 30, .retain_ms = 0, .window_ms = 86400000};
    const struct spool_settings group = {.group_rows = 64};
    struct fixture *f = calloc(1, sizeof *f);
    struct spool_backend *backend = NULL;
    char error[512] = "";

    assert_non_null(f);
    assert_int_equal(psa_crypto_init(), PSA_SUCCESS);
    snprintf(f->directory, sizeof f->directory, "/tmp/test_control.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->path, sizeof f->path, "%s/control.sock", f->directory);
    snprintf(f->log, sizeof f->log, "%s/log", f->directory);
    f->log_fd = open(f->log, O_RDWR | O_CREAT | O_APPEND, 0600);
    log_set_fd(f->log_fd);
    f->metrics = metrics_new();
    assert_int_equal(spool_memory_open(&settings, 1700000000000, &backend, error), 0);
    fill(backend);
    f->spool = spool_new(backend, &group, clock_system(), f->metrics);
    assert_non_null(f->spool);
    fake_gateway_init(&f->fake, f->metrics, f->spool);
    f->loop = loop_new("admin");
    const struct control_settings control = {
        .path = f->path, .idle_ms = 1000, .identify = identify_fake};
    f->control = control_new(&f->fake.gateway, f->loop, &control, error);
    assert_non_null(f->control);
    assert_int_equal(loop_start(f->loop, start_control, f->control), 0);
    atomic_store(&caller_operator, 1);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fake_gateway_settle(&f->fake);
    loop_stop(f->loop);
    loop_join(f->loop);
    spool_free(&f->spool);
    control_end(f->control);
    mailbox_drain(loop_mailbox(f->loop));
    control_free(&f->control);
    loop_free(&f->loop);
    assert_int_equal(access(f->path, F_OK), -1); /* the socket is gone with us */
    metrics_free(f->metrics);
    log_set_fd(STDERR_FILENO);
    close(f->log_fd);
    unlink(f->log);
    rmdir(f->directory);
    free(f);
    return 0;
}

/* ---- a client ---- */

struct client {
    int fd;
    FILE *in;
};

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct timeval limit = {.tv_sec = 20};
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    return fd;
}

static struct client client_open(const struct fixture *f)
{
    struct client client = {.fd = connect_to(f->path)};
    client.in = fdopen(client.fd, "r");
    assert_non_null(client.in);
    return client;
}

static void client_close(struct client *client)
{
    fclose(client->in);
}

static void say(const struct client *client, const char *text)
{
    assert_int_equal(send(client->fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* The next line; NULL when the other side has closed. */
static json_t *hear(struct client *client)
{
    char *line = NULL;
    size_t size = 0;
    json_t *answer = NULL;

    if (getline(&line, &size, client->in) > 0) {
        answer = json_loads(line, 0, NULL);
        assert_non_null(answer);
        assert_null(strstr(line, CANARY));
    }
    free(line);
    return answer;
}

static json_t *ask_by(struct client *client, const char *text)
{
    say(client, text);
    say(client, "\n");
    json_t *answer = hear(client);
    assert_non_null(answer);
    assert_true(json_is_true(json_object_get(answer, "end")));
    return answer;
}

static json_t *ask(const struct fixture *f, const char *text)
{
    struct client client = client_open(f);
    json_t *answer = ask_by(&client, text);

    client_close(&client);
    return answer;
}

static void assert_refused(const struct fixture *f, const char *text, const char *code)
{
    json_t *answer = ask(f, text);

    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_string_equal(json_string_value(json_object_get(answer, "code")), code);
    assert_true(strlen(json_string_value(json_object_get(answer, "error"))) > 5);
    json_decref(answer);
}

static json_int_t number_in(const json_t *answer, const char *member)
{
    assert_true(json_is_true(json_object_get(answer, "ok")));
    const json_t *value = json_object_get(json_object_get(answer, "result"), member);
    assert_non_null(value);
    return json_integer_value(value);
}

static void assert_number(const struct fixture *f, const char *text, const char *member,
                          json_int_t expected)
{
    json_t *answer = ask(f, text);

    assert_int_equal(number_in(answer, member), expected);
    json_decref(answer);
}

/* Items over all lines; *ret_next is the last line's "next", 0 without. */
static json_int_t count_items(const struct fixture *f, const char *text, json_int_t *ret_next)
{
    struct client client = client_open(f);
    json_int_t count = 0;
    bool end = false;

    say(&client, text);
    say(&client, "\n");
    while (!end) {
        json_t *answer = hear(&client);
        assert_non_null(answer);
        size_t items = json_array_size(json_object_get(answer, "items"));
        assert_true(items <= CONTROL_PAGE);
        count += (json_int_t)items;
        end = json_is_true(json_object_get(answer, "end"));
        if (end) {
            assert_int_equal(number_in(answer, "count"), count);
            *ret_next =
                json_integer_value(json_object_get(json_object_get(answer, "result"), "next"));
        }
        json_decref(answer);
    }
    client_close(&client);
    return count;
}

static bool logged(const struct fixture *f, const char *text)
{
    static char log[1 << 20];
    ssize_t length = pread(f->log_fd, log, sizeof log - 1, 0);

    assert_true(length >= 0);
    log[length] = '\0';
    assert_null(strstr(log, CANARY));
    return strstr(log, text) != NULL;
}

/* ---- tests ---- */

static void simple_commands(void **state)
{
    struct fixture *f = *state;
    json_t *answer = ask(f, "{\"command\":\"version\"}");
    const json_t *result = json_object_get(answer, "result");

    assert_string_equal(json_string_value(json_object_get(result, "name")), "edge-1");
    assert_string_equal(json_string_value(json_object_get(result, "version")), "1.2.3");
    json_decref(answer);
    answer = ask(f, "{\"command\":\"settings\"}");
    result = json_object_get(json_object_get(answer, "result"), "text");
    assert_non_null(strstr(json_string_value(result), "control_group"));
    json_decref(answer);
    struct stat status;
    assert_int_equal(lstat(f->path, &status), 0);
    assert_int_equal(status.st_mode & 0777, 0660);
}

static void lines_that_are_no_command(void **state)
{
    struct fixture *f = *state;

    assert_refused(f, "{\"command\":\"nonsense\"}", "request");
    assert_refused(f, "{}", "request");
    assert_refused(f, "{\"command\":7}", "request");
    assert_refused(f, "[1]", "request");
    assert_refused(f, "\xff", "request");
    assert_refused(f, "{\"command\":\"ping\"", "request");
    assert_refused(f, "{\"command\":\"ping\",\"command\":\"drain\"}", "request");
    assert_refused(f, "", "request");
    assert_int_equal(atomic_load(&f->fake.drains), 0);
}

static void too_long_a_line(void **state)
{
    struct fixture *f = *state;
    struct client client = client_open(f);
    char *text = calloc(1, CONTROL_LINE_MAXIMUM + 1);

    assert_non_null(text);
    memset(text, 'x', CONTROL_LINE_MAXIMUM);
    say(&client, text);
    free(text);
    json_t *answer = hear(&client);
    assert_string_equal(json_string_value(json_object_get(answer, "code")), "request");
    json_decref(answer);
    assert_null(hear(&client));
    client_close(&client);
}

static void many_lines_at_once(void **state)
{
    struct fixture *f = *state;
    struct client client = client_open(f);

    for (int i = 0; i < 2000; i++)
        say(&client, i % 100 == 0 ? "{\"command\":\"status\"}\n" : "{\"command\":\"ping\"}\n");
    for (int i = 0; i < 2000; i++) {
        json_t *answer = hear(&client);
        assert_true(json_is_true(json_object_get(answer, "ok")));
        assert_int_equal(json_object_size(json_object_get(answer, "result")) > 0, i % 100 == 0);
        json_decref(answer);
    }
    client_close(&client);
}

static void bytes_one_by_one(void **state)
{
    struct fixture *f = *state;
    struct client client = client_open(f);
    static const char text[] = "{\"command\":\"ping\"}\n";

    for (size_t i = 0; i + 1 < sizeof text; i++)
        say(&client, (char[]){text[i], '\0'});
    json_t *answer = hear(&client);
    assert_true(json_is_true(json_object_get(answer, "ok")));
    json_decref(answer);
    client_close(&client);
}

static void status_and_connections(void **state)
{
    struct fixture *f = *state;
    json_int_t next = 0;

    f->fake.why = "the spool is full";
    json_t *answer = ask(f, "{\"command\":\"status\"}");
    const json_t *result = json_object_get(answer, "result");
    assert_true(json_is_false(json_object_get(result, "ready")));
    assert_string_equal(json_string_value(json_object_get(result, "why")), "the spool is full");
    assert_int_equal(json_array_size(json_object_get(result, "listeners")), 1);
    json_decref(answer);
    f->fake.status_fails = true;
    assert_refused(f, "{\"command\":\"status\"}", "failed");

    f->fake.connections = 401;
    assert_int_equal(count_items(f, "{\"command\":\"connections\"}", &next), 401);
    f->fake.connections = 0;
    assert_int_equal(count_items(f, "{\"command\":\"connections\"}", &next), 0);
    assert_int_equal(count_items(f, "{\"command\":\"tunnels\"}", &next), 1);
    f->fake.no_tunnels = true;
    assert_int_equal(count_items(f, "{\"command\":\"tunnels\"}", &next), 0);
}

static void reload_and_drain(void **state)
{
    struct fixture *f = *state;

    assert_number(f, "{\"command\":\"reload\"}", "changed", 3);
    f->fake.reload_fails = true;
    json_t *answer = ask(f, "{\"command\":\"reload\"}");
    const json_t *problem = json_array_get(json_object_get(answer, "problems"), 0);
    assert_true(json_is_false(json_object_get(answer, "ok")));
    assert_int_equal(json_integer_value(json_object_get(problem, "line")), 12);
    json_decref(answer);
    assert_true(logged(f, "command=reload uid=4242 pid=77 result=ok"));
    assert_true(logged(f, "command=reload uid=4242 pid=77 result=failed"));
    json_decref(ask(f, "{\"command\":\"drain\"}"));
    while (atomic_load(&f->fake.drains) == 0) /* the answer goes first */
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_true(logged(f, "command=drain uid=4242"));
}

static void lists(void **state)
{
    struct fixture *f = *state;
    json_int_t next = 0;

    assert_int_equal(count_items(f, "{\"command\":\"queue.list\"}", &next), ENTRIES);
    assert_int_equal(next, 0);
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\",\"state\":\"dead\"}", &next), 6);
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\",\"route\":\"none\"}", &next), 0);
    assert_int_equal(
        count_items(f, "{\"command\":\"queue.list\",\"lane\":\"cloud/stopped\"}", &next), 1);
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\",\"limit\":250}", &next), 250);
    assert_int_equal(next, 250);
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\",\"after\":250}", &next), 200);
    assert_refused(f, "{\"command\":\"queue.list\",\"state\":\"odd\"}", "request");
    assert_refused(f, "{\"command\":\"queue.list\",\"limit\":-1}", "request");
}

static void fill_more(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct message *message = make_message(1), *rare = message_new("rare", "adt", NULL, 0);
    uint64_t id;

    (void)spool;
    for (unsigned i = 0; i < 2 * SPOOL_LIST_ROWS && call->result == 0; i++)
        call->result = spool_backend_put(backend, message, "cloud", "cloud/lab", false, 1, &id);
    for (unsigned i = 0; i < 2 && call->result == 0; i++)
        call->result = spool_backend_put(backend, rare, "cloud", "cloud/lab", false, 1, &id);
    message_release(&message);
    message_release(&rare);
}

static void filled_more(struct spool_call *call)
{
    atomic_store((atomic_int *)call->context, 1);
}

/* Each call on the spool's thread looks at so many rows: a page without a match is not the end. */
static void few_among_many(void **state)
{
    struct fixture *f = *state;
    atomic_int done = 0;
    struct spool_call call = {.call = fill_more, .done = filled_more, .context = &done};
    json_int_t next = 0;

    spool_call(f->spool, &call);
    while (atomic_load(&done) == 0)
        nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    assert_int_equal(call.result, 0);
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\",\"peer\":\"rare\"}", &next), 2);
    assert_int_equal(next, 0);
    assert_int_equal(
        count_items(f, "{\"command\":\"queue.list\",\"peer\":\"rare\",\"limit\":1}", &next), 1);
    assert_int_equal(next, ENTRIES + 2 * SPOOL_LIST_ROWS + 1);
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\",\"peer\":\"none\"}", &next), 0);
    assert_number(f, "{\"command\":\"queue.discard\",\"peer\":\"rare\"}", "discarded", 2);
}

static void one_entry(void **state)
{
    struct fixture *f = *state;
    json_t *answer = ask(f, "{\"command\":\"queue.show\",\"id\":10}");
    const json_t *entry = json_object_get(json_object_get(answer, "result"), "entry");

    assert_string_equal(json_string_value(json_object_get(entry, "control_id")), "ID10");
    assert_string_equal(json_string_value(json_object_get(entry, "state")), "dead");
    assert_string_equal(
        json_string_value(json_object_get(json_object_get(entry, "last"), "reason")), "HTTP 422");
    assert_null(json_object_get(json_object_get(answer, "result"), "message"));
    json_decref(answer);
    assert_false(logged(f, "queue.show"));

    answer = ask(f, "{\"command\":\"queue.show\",\"id\":10,\"body\":true}");
    const json_t *body = json_object_get(json_object_get(answer, "result"), "message");
    assert_int_equal(strncmp(json_string_value(body), "TVNIfF5+XCZ8QXxCfEN8RHwyMDI2", 28), 0);
    json_decref(answer);
    assert_true(logged(f, "command=queue.show uid=4242 pid=77 result=ok entry=10"));
    assert_refused(f, "{\"command\":\"queue.show\",\"id\":9999}", "not-found");
    assert_refused(f, "{\"command\":\"queue.show\",\"id\":\"x\"}", "request");
}

static void operators_only(void **state)
{
    struct fixture *f = *state;
    json_int_t next = 0;

    atomic_store(&caller_operator, 0);
    assert_refused(f, "{\"command\":\"queue.show\",\"id\":10,\"body\":true}", "permission");
    assert_true(logged(f, "command=queue.show uid=4242 pid=77 result=permission entry=10"));
    assert_refused(f, "{\"command\":\"queue.replay\",\"id\":10}", "permission");
    assert_refused(f, "{\"command\":\"queue.discard\",\"id\":10}", "permission");
    assert_refused(f, "{\"command\":\"queue.move\",\"from\":\"cloud\",\"to\":\"x\"}", "permission");
    assert_true(logged(f, "command=queue.move uid=4242 pid=77 result=permission"));
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\"}", &next), ENTRIES);
    json_decref(ask(f, "{\"command\":\"queue.show\",\"id\":10}"));
    assert_number(f, "{\"command\":\"reload\"}", "changed", 3);
}

static void replays(void **state)
{
    struct fixture *f = *state;

    assert_refused(f, "{\"command\":\"queue.replay\",\"id\":10}", "out-of-order");
    assert_true(logged(f, "command=queue.replay uid=4242 pid=77 result=out-of-order entry=10"));
    assert_refused(f, "{\"command\":\"queue.replay\"}", "request");
    assert_refused(f, "{\"command\":\"queue.replay\",\"id\":11}", "state");
    json_t *answer = ask(f, "{\"command\":\"queue.replay\",\"id\":10,\"out_of_order\":true}");
    assert_true(number_in(answer, "id") > ENTRIES);
    json_decref(answer);
    /* The head of a stopped lane takes its old place. */
    answer = ask(f, "{\"command\":\"queue.replay\",\"id\":450}");
    assert_int_equal(number_in(answer, "replayed"), 1);
    json_decref(answer);
    answer = ask(f, "{\"command\":\"queue.replay\",\"all\":true}");
    assert_int_equal(number_in(answer, "failed"), 4);
    assert_int_equal(number_in(answer, "replayed"), 0);
    json_decref(answer);
    answer = ask(f, "{\"command\":\"queue.replay\",\"route\":\"cloud\",\"out_of_order\":true}");
    assert_int_equal(number_in(answer, "replayed"), 4);
    json_decref(answer);
}

static void discards(void **state)
{
    struct fixture *f = *state;
    json_int_t next = 0;

    assert_refused(f, "{\"command\":\"queue.discard\"}", "request");
    assert_number(f, "{\"command\":\"queue.discard\",\"id\":1}", "discarded", 1);
    assert_refused(f, "{\"command\":\"queue.discard\",\"id\":1}", "not-found");
    assert_true(logged(f, "command=queue.discard uid=4242 pid=77 result=ok entry=1\n"));
    assert_number(f, "{\"command\":\"queue.discard\",\"state\":\"dead\"}", "discarded", 6);
    assert_number(f, "{\"command\":\"queue.discard\",\"route\":\"cloud\"}", "discarded",
                  ENTRIES - 7);
    assert_true(logged(f, "result=ok entry=449\n"));
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\"}", &next), 0);
}

static void moves(void **state)
{
    struct fixture *f = *state;
    json_int_t next = 0;

    assert_refused(f, "{\"command\":\"queue.move\",\"from\":\"cloud\"}", "request");
    assert_refused(f, "{\"command\":\"queue.move\",\"from\":\"cloud\",\"to\":\"cloud\"}",
                   "request");
    assert_number(f, "{\"command\":\"queue.move\",\"from\":\"cloud\",\"to\":\"other\"}", "moved",
                  ENTRIES);
    assert_int_equal(count_items(f, "{\"command\":\"queue.list\",\"route\":\"other\"}", &next),
                     ENTRIES);
    assert_true(logged(f, "command=queue.move uid=4242 pid=77 result=ok"));
}

static void slow_and_broken_clients(void **state)
{
    struct fixture *f = *state;
    struct client slow[4];
    int one = 1024;

    for (size_t i = 0; i < 4; i++) {
        slow[i] = client_open(f);
        setsockopt(slow[i].fd, SOL_SOCKET, SO_RCVBUF, &one, sizeof one);
        for (int line = 0; line < 40; line++)
            say(&slow[i], "{\"command\":\"queue.list\"}\n");
    }
    client_close(&slow[0]); /* in the middle of everything */
    for (int i = 0; i < 20; i++)
        json_decref(ask(f, "{\"command\":\"ping\"}"));
    for (size_t i = 1; i < 4; i++) { /* after idle_ms each is cut off */
        struct pollfd closed = {.fd = slow[i].fd};
        assert_int_equal(poll(&closed, 1, 30000), 1);
        assert_true((closed.revents & POLLHUP) != 0);
    }
    json_decref(ask(f, "{\"command\":\"ping\"}"));
    for (size_t i = 1; i < 4; i++) {
        json_t *answer;
        int lists = 0;
        while ((answer = json_loadf(slow[i].in, JSON_DISABLE_EOF_CHECK, NULL)) != NULL) {
            lists += json_is_true(json_object_get(answer, "end"));
            json_decref(answer);
        }
        assert_true(lists < 40); /* it was cut off */
        client_close(&slow[i]);
    }
}

static void many_clients(void **state)
{
    struct fixture *f = *state;
    struct client clients[CONTROL_CLIENTS], more;

    for (size_t i = 0; i < CONTROL_CLIENTS; i++) {
        clients[i] = client_open(f);
        json_decref(ask_by(&clients[i], "{\"command\":\"ping\"}"));
    }
    more = client_open(f);
    assert_null(hear(&more));
    client_close(&more);
    for (size_t i = 0; i < CONTROL_CLIENTS; i++)
        client_close(&clients[i]);
    for (int i = 0; i < 3; i++) {
        more = client_open(f);
        say(&more, "{\"command\":\"ping\"}\n");
        json_t *answer = hear(&more);
        client_close(&more);
        bool served = answer != NULL;
        json_decref(answer);
        if (served)
            return;
        nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    }
    fail();
}

static void socket_files(void **state)
{
    struct fixture *f = *state;
    char error[512] = "", path[128];
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    struct control_settings settings = {.path = f->path};

    assert_null(control_new(&f->fake.gateway, f->loop, &settings, error));
    assert_non_null(strstr(error, "another process"));
    settings.path = f->log;
    assert_null(control_new(&f->fake.gateway, f->loop, &settings, error));
    assert_non_null(strstr(error, "no socket"));
    assert_int_equal(access(f->log, F_OK), 0);

    snprintf(path, sizeof path, "%s/stale", f->directory);
    snprintf(address.sun_path, sizeof address.sun_path, "%s/stale", f->directory);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    settings.path = path;
    struct control *control = control_new(&f->fake.gateway, f->loop, &settings, error);
    assert_non_null(control);
    control_free(&control);

    settings.control_group = "no-such-group-here";
    assert_null(control_new(&f->fake.gateway, f->loop, &settings, error));
    assert_non_null(strstr(error, "no-such-group-here"));
}

struct spool_block {
    struct spool_call call;
    sem_t begun, go_on;
};

static void block_spool(struct spool_call *call, struct spool *spool, struct spool_backend *backend)
{
    struct spool_block *block = call->context;

    (void)spool;
    (void)backend;
    sem_post(&block->begun);
    while (sem_wait(&block->go_on) != 0)
        ;
}

/* The first page comes when neither the loop nor the spool is there any more. */
static void a_list_under_way_ends_with_the_gateway(void **state)
{
    struct fixture *f = *state;
    struct spool_block block = {.call = {.call = block_spool, .context = &block}};
    struct client client = client_open(f), other = client_open(f);

    sem_init(&block.begun, 0, 0);
    sem_init(&block.go_on, 0, 0);
    spool_call(f->spool, &block.call);
    while (sem_wait(&block.begun) != 0)
        ;
    say(&client, "{\"command\": \"queue.list\"}\n");
    nanosleep(&(struct timespec){.tv_nsec = 50000000}, NULL);
    say(&other, "{\"command\": \"ping\"}\n");
    json_decref(hear(&other));
    loop_stop(f->loop);
    loop_join(f->loop);
    sem_post(&block.go_on);
    spool_free(&f->spool);
    control_end(f->control);
    assert_true(mailbox_drain(loop_mailbox(f->loop)) > 0);
    client_close(&client);
    client_close(&other);
    sem_destroy(&block.begun);
    sem_destroy(&block.go_on);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(simple_commands, setup, teardown),
        cmocka_unit_test_setup_teardown(lines_that_are_no_command, setup, teardown),
        cmocka_unit_test_setup_teardown(too_long_a_line, setup, teardown),
        cmocka_unit_test_setup_teardown(many_lines_at_once, setup, teardown),
        cmocka_unit_test_setup_teardown(bytes_one_by_one, setup, teardown),
        cmocka_unit_test_setup_teardown(status_and_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(reload_and_drain, setup, teardown),
        cmocka_unit_test_setup_teardown(lists, setup, teardown),
        cmocka_unit_test_setup_teardown(few_among_many, setup, teardown),
        cmocka_unit_test_setup_teardown(one_entry, setup, teardown),
        cmocka_unit_test_setup_teardown(operators_only, setup, teardown),
        cmocka_unit_test_setup_teardown(replays, setup, teardown),
        cmocka_unit_test_setup_teardown(discards, setup, teardown),
        cmocka_unit_test_setup_teardown(moves, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_and_broken_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(many_clients, setup, teardown),
        cmocka_unit_test_setup_teardown(socket_files, setup, teardown),
        cmocka_unit_test_setup_teardown(a_list_under_way_ends_with_the_gateway, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
