/* links: admin spool loop base config */
#include "admin/admin.h"
#include "admin/page.h"
#include "admin/web.h"
#include "base/log.h"
#include "support/fake_gateway.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

struct fixture {
    struct fake_gateway fake;
    struct metrics *metrics;
    struct admin *admin;
    char directory[64], socket[96];
    int port;
};

static int setup(void **state)
{
    static const struct metric_family family = {
        .name = "mllpgw_test_total", .help = "A test.", .kind = METRIC_COUNTER};
    struct fixture *f = calloc(1, sizeof *f);
    char error[512] = "";

    assert_non_null(f);
    snprintf(f->directory, sizeof f->directory, "/tmp/test_admin.XXXXXX");
    assert_non_null(mkdtemp(f->directory));
    snprintf(f->socket, sizeof f->socket, "%s/s", f->directory);
    f->metrics = metrics_new();
    metric_add(metrics_slot(f->metrics, &family, NULL), 5);
    fake_gateway_init(&f->fake, f->metrics, NULL);
    const struct admin_settings settings = {.http_address = "127.0.0.1:0",
                                            .control_socket = f->socket};
    f->admin = admin_new(&f->fake.gateway, &settings, error);
    assert_string_equal(error, "");
    assert_non_null(f->admin);
    f->port = admin_http_port(f->admin);
    assert_int_equal(admin_start(f->admin), 0);
    *state = f;
    return 0;
}

static int teardown(void **state)
{
    struct fixture *f = *state;

    fake_gateway_settle(&f->fake);
    admin_free(&f->admin);
    assert_null(f->admin);
    metrics_free(f->metrics);
    rmdir(f->directory);
    free(f);
    return 0;
}

/* ---- a client ---- */

static int connect_to(const struct fixture *f)
{
    struct sockaddr_in address = {.sin_family = AF_INET,
                                  .sin_port = htons((uint16_t)f->port),
                                  .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct timeval limit = {.tv_sec = 30};
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    assert_true(fd >= 0);
    setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof address), 0);
    return fd;
}

static void say(int fd, const char *text)
{
    assert_int_equal(send(fd, text, strlen(text), MSG_NOSIGNAL), strlen(text));
}

/* All until the other side closes. */
static char *hear(int fd)
{
    static char answer[1 << 20];
    size_t length = 0;
    ssize_t got;

    while ((got = recv(fd, answer + length, sizeof answer - 1 - length, 0)) > 0)
        length += (size_t)got;
    answer[length] = '\0';
    close(fd);
    return answer;
}

static const char *request(const struct fixture *f, const char *method, const char *path)
{
    char text[512];
    int fd = connect_to(f);

    snprintf(text, sizeof text, "%s %s HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n", method,
             path);
    say(fd, text);
    return hear(fd);
}

static void assert_has(const char *answer, const char *text)
{
    if (strstr(answer, text) == NULL)
        fail_msg("no \"%s\" in: %s", text, answer);
}

static const char *body_of(const char *answer)
{
    const char *body = strstr(answer, "\r\n\r\n");

    assert_non_null(body);
    return body + 4;
}

/* ---- tests ---- */

static void metrics_page(void **state)
{
    const char *answer = request(*state, "GET", "/metrics");

    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, "Content-Type: text/plain; version=0.0.4");
    assert_has(answer, "# TYPE mllpgw_test_total counter\n");
    assert_has(answer, "mllpgw_test_total 5\n");
}

static void health(void **state)
{
    struct fixture *f = *state;

    assert_has(request(f, "GET", "/livez"), "HTTP/1.1 200 ");
    assert_has(request(f, "GET", "/readyz"), "HTTP/1.1 200 ");
    f->fake.why = "the spool is full\nthe store \"cloud\" is down";
    const char *answer = request(f, "GET", "/readyz");
    assert_has(answer, "HTTP/1.1 503 ");
    assert_has(answer, "Content-Type: text/plain");
    assert_string_equal(body_of(answer), "the spool is full\nthe store \"cloud\" is down\n");
    assert_has(request(f, "GET", "/livez"), "HTTP/1.1 200 ");
}

static void status_page(void **state)
{
    struct fixture *f = *state;

    f->fake.why = "a <b> & c";
    const char *answer = request(f, "GET", "/");
    assert_has(answer, "HTTP/1.1 200 ");
    assert_has(answer, "Content-Type: text/html");
    assert_has(answer, "Content-Security-Policy: default-src 'none'; style-src 'self'");
    assert_has(answer, "X-Content-Type-Options: nosniff");
    assert_has(answer, "Cache-Control: no-store");
    assert_has(answer, "&lt;script&gt;&amp;&#39;&quot;");
    assert_has(answer, "a &lt;b&gt; &amp; c");
    assert_has(answer, "<td>3m12s</td>");
    assert_has(answer, "2023-11-14T22:13:20Z");
    assert_has(answer, "</h1>\n<p class=\"not-ready\">not ready: a &lt;b");
    assert_has(answer, "<tr><th>version</th><td>1.2</td></tr>\n</table>");
    assert_null(strstr(answer, "<h2>version"));
    assert_null(strstr(answer, "<p class=\"trouble\">route well"));
    assert_has(answer,
               "<p class=\"trouble\">route slow waits for its store: cloud: HTTP 401 &lt;b");
    assert_has(answer, "route f&lt;t waits for an operator: store cloud: HTTP 401 &lt;b&gt;</p>");
    assert_null(strstr(answer, "<script"));
    assert_has(request(f, "GET", "/style.css"), "Content-Type: text/css");
    f->fake.status_fails = true;
    assert_has(request(f, "GET", "/"), "HTTP/1.1 503 ");
}

static void methods_and_paths(void **state)
{
    struct fixture *f = *state;
    const char *answer = request(f, "HEAD", "/metrics");

    assert_has(answer, "HTTP/1.1 200 ");
    assert_string_equal(body_of(answer), "");
    assert_string_equal(body_of(request(f, "HEAD", "/")), "");
    answer = request(f, "POST", "/metrics");
    assert_has(answer, "HTTP/1.1 405 ");
    assert_has(answer, "Allow: GET, HEAD");
    assert_has(request(f, "DELETE", "/"), "HTTP/1.1 405 ");
    assert_has(request(f, "GET", "/nothing"), "HTTP/1.1 404 ");
    assert_has(request(f, "GET", "/../etc/passwd"), "HTTP/1.1 404 ");
    assert_has(request(f, "GET", "//"), "HTTP/1.1 404 ");
    int fd = connect_to(f);
    say(fd, "GET /livez HTTP/1.1\r\nHost: x\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbody");
    assert_has(hear(fd), "HTTP/1.1 200 ");
}

static void one_connection_several_requests(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);

    say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\nGET /livez HTTP/1.1\r\nHost: x\r\n\r\n"
            "GET /nothing HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n");
    const char *answer = hear(fd);
    assert_has(answer, "</html>");
    assert_has(strstr(answer, "</html>"), "alive\n");
    assert_has(strstr(answer, "alive\n"), "HTTP/1.1 404 ");
}

static void broken_requests(void **state)
{
    struct fixture *f = *state;
    static const char *const cut[] = {"\r\n\r\n", "\x16\x03\x01\x02\x00\x01\x00", "GET / HT"};
    static const char *const rows[] = {"GET / HTTP/9.9\r\n\r\n", "GET\r\n\r\n",
                                       "GET / HTTP/1.1\r\n\r\n" /* no Host */};
    char *large = malloc(100000);

    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        int fd = connect_to(f);
        say(fd, rows[i]);
        shutdown(fd, SHUT_WR);
        const char *answer = hear(fd);
        assert_null(strstr(answer, " 200 "));
    }
    for (size_t i = 0; i < sizeof cut / sizeof *cut; i++) {
        int fd = connect_to(f);
        say(fd, cut[i]);
        close(fd);
    }
    assert_non_null(large);
    memset(large, 'a', 99999);
    large[99999] = '\0';
    memcpy(large, "GET / HTTP/1.1\r\nX: ", 19);
    int fd = connect_to(f);
    (void)!send(fd, large, strlen(large), MSG_NOSIGNAL); /* the other side may have closed */
    assert_null(strstr(hear(fd), " 200 "));
    free(large);
    assert_has(request(f, "GET", "/livez"), "HTTP/1.1 200 ");
}

/* Trickling bytes hold a place only so long, and the other places still serve. */
static void slow_clients(void **state)
{
    struct fixture *f = *state;
    int slow[WEB_CONNECTIONS - 2];
    size_t count = sizeof slow / sizeof *slow, closed = 0;
    char byte;

    for (size_t i = 0; i < count; i++) {
        slow[i] = connect_to(f);
        say(slow[i], "GET /livez HTTP/1.1\r\nX: ");
    }
    for (int ms = 0; ms < WEB_REQUEST_MS + 5000 && closed < count; ms += 1000) {
        assert_has(request(f, "GET", "/livez"), "HTTP/1.1 200 ");
        nanosleep(&(struct timespec){.tv_sec = 1}, NULL);
        closed = 0;
        for (size_t i = 0; i < count; i++) {
            closed += recv(slow[i], &byte, 1, MSG_DONTWAIT) == 0 ||
                      send(slow[i], "x", 1, MSG_NOSIGNAL) < 0;
        }
    }
    assert_int_equal(closed, count);
    for (size_t i = 0; i < count; i++)
        close(slow[i]);
}

static void too_many_connections(void **state)
{
    struct fixture *f = *state;
    int fds[WEB_CONNECTIONS + 20];

    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        fds[i] = connect_to(f);
    for (size_t i = 0; i < sizeof fds / sizeof *fds; i++)
        close(fds[i]);
    assert_has(request(f, "GET", "/livez"), "HTTP/1.1 200 ");
}

static void gone_while_it_waits(void **state)
{
    struct fixture *f = *state;

    for (int i = 0; i < 50; i++) {
        int fd = connect_to(f);
        say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
        close(fd);
    }
    assert_has(request(f, "GET", "/"), "</html>");
}

static void end_while_asked(void **state)
{
    struct fixture *f = *state;
    int fd = connect_to(f);

    /* The teardown frees admin with the answer just made, or on its way. */
    say(fd, "GET / HTTP/1.1\r\nHost: x\r\n\r\n");
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
    close(fd);
}

static void addresses(void **state)
{
    struct fixture *f = *state;
    char error[512] = "", path[128], address[64];
    static const char *const bad[] = {"8080", "localhost:80", "127.0.0.1:http", "127.0.0.1:", ""};

    snprintf(path, sizeof path, "%s/t", f->directory);
    struct admin_settings settings = {.control_socket = path};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        settings.http_address = bad[i];
        assert_null(admin_new(&f->fake.gateway, &settings, error));
        assert_has(error, "admin.address");
        assert_int_equal(access(path, F_OK), -1);
    }
    snprintf(address, sizeof address, "127.0.0.1:%d", f->port);
    settings.http_address = address;
    assert_null(admin_new(&f->fake.gateway, &settings, error));
    assert_has(error, "in use");
    settings.http_address = NULL;
    struct admin *admin = admin_new(&f->fake.gateway, &settings, error);
    assert_non_null(admin);
    assert_int_equal(admin_http_port(admin), 0);
    admin_free(&admin);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(metrics_page, setup, teardown),
        cmocka_unit_test_setup_teardown(health, setup, teardown),
        cmocka_unit_test_setup_teardown(status_page, setup, teardown),
        cmocka_unit_test_setup_teardown(methods_and_paths, setup, teardown),
        cmocka_unit_test_setup_teardown(one_connection_several_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(broken_requests, setup, teardown),
        cmocka_unit_test_setup_teardown(too_many_connections, setup, teardown),
        cmocka_unit_test_setup_teardown(gone_while_it_waits, setup, teardown),
        cmocka_unit_test_setup_teardown(end_while_asked, setup, teardown),
        cmocka_unit_test_setup_teardown(addresses, setup, teardown),
        cmocka_unit_test_setup_teardown(slow_clients, setup, teardown),
    };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
