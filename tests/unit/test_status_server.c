/* links: vpn */
/* The status socket: who gets which lines, who is dropped, and what becomes of the socket. */
#include "vpn/status_server.h"
#include "vpn/tunneld_log.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#define LARGE ((size_t)1024 * 1024)

struct case_place {
    char directory[32], path[64];
    uv_loop_t loop;
    struct status_server *server;
    gid_t group;
    unsigned greeted;
};

static char *greeting(void *context, size_t *ret_length)
{
    struct case_place *place = context;
    char *line = strdup("hello\n");

    place->greeted++;
    *ret_length = 6;
    return line;
}

static int open_server(struct case_place *place)
{
    char error[STATUS_SERVER_ERROR_BYTES] = "";
    int result = status_server_open(&place->loop, place->path, (gid_t)-1, greeting, place,
                                    &place->server, &place->group, error);
    assert_true((result == 0) == (error[0] == '\0'));
    return result;
}

static int set_up(void **state)
{
    struct case_place *place = calloc(1, sizeof *place);

    assert_non_null(place);
    snprintf(place->directory, sizeof place->directory, "/tmp/mgw-status-XXXXXX");
    assert_non_null(mkdtemp(place->directory));
    snprintf(place->path, sizeof place->path, "%s/s", place->directory);
    assert_int_equal(uv_loop_init(&place->loop), 0);
    assert_int_equal(open_server(place), 0);
    *state = place;
    return 0;
}

static int tear_down(void **state)
{
    struct case_place *place = *state;

    status_server_close(&place->server);
    status_server_close(&place->server);
    assert_int_equal(uv_run(&place->loop, UV_RUN_DEFAULT), 0);
    assert_int_equal(uv_loop_close(&place->loop), 0);
    assert_int_equal(access(place->path, F_OK), -1);
    assert_int_equal(rmdir(place->directory), 0);
    free(place);
    return 0;
}

static int connect_client(struct case_place *place)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

    assert_true(fd >= 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place->path);
    assert_int_equal(connect(fd, (const struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

/* Until the loop has done what it can. */
static void turn(struct case_place *place)
{
    for (int i = 0; i < 8; i++)
        uv_run(&place->loop, UV_RUN_NOWAIT);
}

static void receives(int fd, const char *expected)
{
    char bytes[256] = "";
    ssize_t length = recv(fd, bytes, sizeof bytes - 1, MSG_DONTWAIT);

    assert_int_equal(length, strlen(expected));
    assert_string_equal(bytes, expected);
}

static void test_each_gets_lines_from_when_it_came(void **state)
{
    struct case_place *place = *state;
    int first = connect_client(place), second;

    turn(place);
    status_server_send(place->server, "one\n", 4);
    second = connect_client(place);
    turn(place);
    status_server_send(place->server, "two\n", 4);
    receives(first, "hello\none\ntwo\n");
    receives(second, "hello\ntwo\n");
    assert_int_equal(place->greeted, 2);
    assert_int_equal(status_server_clients(place->server), 2);
    close(first);
    turn(place);
    assert_int_equal(status_server_clients(place->server), 1);
    status_server_send(place->server, "three\n", 6);
    receives(second, "three\n");
    close(second);
}

static void test_what_a_client_says_is_not_read(void **state)
{
    struct case_place *place = *state;
    int fd = connect_client(place);
    char bytes[4096];

    memset(bytes, 'x', sizeof bytes);
    turn(place);
    while (send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL) > 0)
        turn(place);
    assert_int_equal(errno, EAGAIN); /* it is full, and stays so */
    turn(place);
    assert_int_equal(send(fd, bytes, sizeof bytes, MSG_DONTWAIT | MSG_NOSIGNAL), -1);
    status_server_send(place->server, "one\n", 4);
    receives(fd, "hello\none\n");
    close(fd);
}

static size_t drain(int fd)
{
    static char bytes[65536];
    size_t all = 0;
    ssize_t length;

    while ((length = recv(fd, bytes, sizeof bytes, MSG_DONTWAIT)) > 0)
        all += (size_t)length;
    return all;
}

static void test_a_large_line_comes_whole_to_a_slow_client(void **state)
{
    struct case_place *place = *state;
    int fd = connect_client(place);
    char *line = malloc(LARGE);
    size_t got = 0;

    assert_non_null(line);
    memset(line, 'a', LARGE);
    line[LARGE - 1] = '\n';
    turn(place);
    status_server_send(place->server, line, LARGE);
    for (int i = 0; i < 64 && got < LARGE + 6; i++) {
        got += drain(fd);
        status_server_send(place->server, "left out\n", 9); /* in the middle of another: not sent */
        turn(place);
    }
    got += drain(fd);
    assert_true(got >= LARGE + 6);
    assert_int_equal((got - LARGE - 6) % 9, 0);
    assert_int_equal(status_server_clients(place->server), 1);
    close(fd);
    free(line);
}

static void test_who_does_not_read_is_dropped(void **state)
{
    struct case_place *place = *state;
    int deaf = connect_client(place), good = connect_client(place);
    char *line = calloc(1, LARGE);

    assert_non_null(line);
    turn(place);
    status_server_send(place->server, line, LARGE); /* begun, and never to be finished for one */
    for (unsigned i = 0; i <= STATUS_SERVER_BEHIND; i++) {
        assert_int_equal(status_server_clients(place->server), 2);
        for (int k = 0; k < 32; k++) {
            (void)drain(good);
            turn(place);
        }
        status_server_send(place->server, "beat\n", 5);
    }
    turn(place);
    assert_int_equal(status_server_clients(place->server), 1);
    receives(good, "beat\n");
    close(deaf);
    close(good);
    free(line);
}

static void test_so_many_and_no_more(void **state)
{
    struct case_place *place = *state;
    int fds[STATUS_SERVER_CLIENTS + 1];
    char byte;

    for (unsigned i = 0; i <= STATUS_SERVER_CLIENTS; i++) {
        fds[i] = connect_client(place);
        turn(place);
    }
    assert_int_equal(status_server_clients(place->server), STATUS_SERVER_CLIENTS);
    assert_int_equal(recv(fds[STATUS_SERVER_CLIENTS], &byte, 1, 0), 0);
    close(fds[0]);
    turn(place);
    close(fds[STATUS_SERVER_CLIENTS]);
    fds[0] = connect_client(place); /* there is room again */
    turn(place);
    receives(fds[0], "hello\n");
    for (unsigned i = 0; i < STATUS_SERVER_CLIENTS; i++)
        close(fds[i]);
}

static void test_the_socket(void **state)
{
    struct case_place *place = *state;
    struct case_place other = *place;
    struct stat status;

    assert_int_equal(stat(place->path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0660);
    assert_int_equal(place->group, status.st_gid);
    assert_int_equal(open_server(&other), -EADDRINUSE); /* somebody answers on it */
    snprintf(other.path, sizeof other.path, "%s/none/s", place->directory);
    assert_int_equal(open_server(&other), -ENOENT);
    turn(place);
    /* One that was left behind: a socket that nobody listens on. */
    status_server_close(&place->server);
    turn(place);
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    snprintf(address.sun_path, sizeof address.sun_path, "%s", place->path);
    assert_int_equal(bind(fd, (const struct sockaddr *)&address, sizeof address), 0);
    close(fd);
    assert_int_equal(open_server(place), 0);
    fd = connect_client(place);
    turn(place);
    receives(fd, "hello\n");
    close(fd);
    /* What is no socket is somebody's file. */
    snprintf(other.path, sizeof other.path, "%s/file", place->directory);
    fd = open(other.path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
    assert_true(fd >= 0);
    close(fd);
    assert_int_equal(open_server(&other), -EADDRINUSE);
    assert_int_equal(stat(other.path, &status), 0);
    assert_int_equal(unlink(other.path), 0);
}

static size_t count_lines(int fd, const char *word)
{
    char text[4096] = "";
    size_t count = 0;

    assert_true(pread(fd, text, sizeof text - 1, 0) >= 0);
    for (const char *at = text; (at = strstr(at, word)) != NULL; at++)
        count++;
    return count;
}

/* The loop has nothing to do at once: else it would turn and turn. */
static bool is_idle(struct case_place *place)
{
    struct pollfd loop = {.fd = uv_backend_fd(&place->loop), .events = POLLIN};

    turn(place);
    return poll(&loop, 1, 0) == 0;
}

static void test_without_descriptors_it_waits_and_says_so_once(void **state)
{
    struct case_place *place = *state;
    int log_fd = memfd_create("log", MFD_CLOEXEC), fd, spare;
    struct rlimit before, none;

    tunneld_log_set_fd(log_fd);
    fd = connect_client(place);
    spare = dup(fd);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    none = (struct rlimit){(rlim_t)spare, before.rlim_max};
    close(spare); /* the lowest that is free */
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
    assert_true(is_idle(place));
    uv_run(&place->loop, UV_RUN_ONCE); /* the next attempt */
    assert_true(is_idle(place));
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(place->greeted, 0);
    assert_int_equal(count_lines(log_fd, "event=status-client-not-accepted reason="), 1);
    while (place->greeted == 0)
        uv_run(&place->loop, UV_RUN_ONCE);
    receives(fd, "hello\n");
    tunneld_log_set_fd(STDERR_FILENO);
    close(log_fd);
    close(fd);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_each_gets_lines_from_when_it_came, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_what_a_client_says_is_not_read, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_a_large_line_comes_whole_to_a_slow_client, set_up,
                                        tear_down),
        cmocka_unit_test_setup_teardown(test_who_does_not_read_is_dropped, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_so_many_and_no_more, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_the_socket, set_up, tear_down),
        cmocka_unit_test_setup_teardown(test_without_descriptors_it_waits_and_says_so_once, set_up,
                                        tear_down),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
