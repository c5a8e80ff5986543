/* links: tls base */
/*
 * What sockets and TLS cost without a gateway: CONNECTIONS clients send BYTES, wait for a small answer,
 * and send again. The server is one thread with epoll and prints its own CPU (user + system), in
 * microseconds a request: recv and send, with TLS also its records; handshakes are over before. The
 * clients are a process of their own.
 *
 *   bench_pingpong CONNECTIONS BYTES SECONDS [PKI-DIRECTORY]
 *
 * With a directory of certs/make_pki: mutual TLS 1.3 through gateway/tls.
 */
#include "base/clock.h"
#include "tls/tls.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define ANSWER_BYTES 120 /* about what an acknowledgment takes */
#define READ_BYTES 65536
#define WARM_UP_S 0.2

struct end {
    struct end *next; /* bench.ends */
    int fd;
    struct tls_session *tls;
    bool open;       /* the handshake is over */
    size_t received; /* of the request or the answer that is coming */
    size_t unsent;   /* of what is to be sent */
};

static struct {
    size_t bytes;
    char *request;
    char answer[ANSWER_BYTES];
    char scratch[READ_BYTES];
    struct tls_server *server;
    struct tls_client_context *client;
    struct end *ends;
    uint64_t requests;
    int opened;
} bench;

static void fail(const char *what)
{
    perror(what);
    exit(1);
}

static double wall_s(void)
{
    return (double)clock_monotonic_ns() / 1e9;
}

static double cpu_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

/* ---- one end of a connection ---- */

/* Bytes, -EAGAIN; ends the process on anything else, 0 included. */
static ssize_t end_read(struct end *end)
{
    ssize_t got;

    if (end->tls != NULL) {
        got = tls_session_read(end->tls, bench.scratch, sizeof bench.scratch);
    } else {
        got = recv(end->fd, bench.scratch, sizeof bench.scratch, 0);
        if (got < 0)
            got = -errno;
    }
    if (got == 0)
        exit(0); /* the other process has ended: so is the measurement */
    if (got < 0 && got != -EAGAIN)
        exit(0);
    return got;
}

static void end_write(struct end *end, const char *data, size_t length)
{
    while (end->unsent > 0) {
        const char *from = data + length - end->unsent;
        ssize_t sent = end->tls != NULL ? tls_session_write(end->tls, from, end->unsent)
                                        : send(end->fd, from, end->unsent, MSG_NOSIGNAL);
        if (sent < 0 && (end->tls != NULL ? sent == -EAGAIN : errno == EAGAIN))
            return;
        if (sent < 0)
            exit(0);
        end->unsent -= (size_t)sent;
    }
}

static bool end_handshake(struct end *end)
{
    if (end->open)
        return true;
    int result = end->tls == NULL ? 0 : tls_session_handshake(end->tls);
    if (result == -EAGAIN)
        return false;
    if (result < 0) {
        fprintf(stderr, "handshake: %s\n", tls_session_problem(end->tls));
        exit(1);
    }
    end->open = true;
    bench.opened++;
    return true;
}

/* Reads what has come of total bytes; true when all of it is there. One read too many is avoided where
 * the rest is known: the gateway does the same. */
static bool end_receive(struct end *end, size_t total)
{
    while (end->received < total) {
        ssize_t got = end_read(end);
        if (got < 0)
            return false;
        end->received += (size_t)got;
    }
    end->received = 0;
    return true;
}

static void end_watch(int epoll_fd, struct end *end, int operation)
{
    /* Edge-triggered both ways: no further call for a connection's whole life. */
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLET, .data.ptr = end};

    if (epoll_ctl(epoll_fd, operation, end->fd, &event) < 0)
        fail("epoll_ctl");
}

static struct end *end_new(int epoll_fd, int fd)
{
    struct end *end = calloc(1, sizeof *end);
    int one = 1;

    if (end == NULL)
        fail("calloc");
    end->fd = fd;
    end->next = bench.ends;
    bench.ends = end;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
    if (bench.server != NULL)
        end->tls = tls_session_new(bench.server, fd, span_of(NULL, 0));
    else if (bench.client != NULL)
        end->tls = tls_client_session_new(bench.client, fd);
    end_watch(epoll_fd, end, EPOLL_CTL_ADD);
    return end;
}

static void ends_free(void)
{
    while (bench.ends != NULL) {
        struct end *end = bench.ends;

        bench.ends = end->next;
        tls_session_free(&end->tls);
        close(end->fd);
        free(end);
    }
}

/* ---- the server ---- */

static void server_ready(struct end *end)
{
    if (!end_handshake(end))
        return;
    end_write(end, bench.answer, sizeof bench.answer);
    if (end->unsent == 0 && end_receive(end, bench.bytes)) {
        bench.requests++;
        end->unsent = sizeof bench.answer;
        end_write(end, bench.answer, sizeof bench.answer);
    }
}

static void server_turn(int epoll_fd)
{
    struct epoll_event events[64];
    int count = epoll_wait(epoll_fd, events, 64, 1000);

    for (int i = 0; i < count; i++)
        server_ready(events[i].data.ptr);
}

static void server_run(int listener, int connections, double seconds)
{
    int epoll_fd = epoll_create1(0);

    for (int i = 0; i < connections; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (fd < 0)
            fail("accept");
        end_new(epoll_fd, fd);
    }
    while (bench.opened < connections)
        server_turn(epoll_fd);
    double until = wall_s() + WARM_UP_S;
    while (wall_s() < until)
        server_turn(epoll_fd);
    double cpu = cpu_us(), wall = wall_s(), now;
    bench.requests = 0;
    do {
        server_turn(epoll_fd);
        now = wall_s();
    } while (now - wall < seconds);
    cpu = cpu_us() - cpu;
    printf("{\"per_second\": %.1f, \"cpu_us\": %.3f}\n", (double)bench.requests / (now - wall),
           cpu / (double)bench.requests);
}

/* ---- the clients ---- */

static void client_ready(struct end *end)
{
    bool before = end->open;

    if (!end_handshake(end))
        return;
    if (!before)
        end->unsent = bench.bytes;
    end_write(end, bench.request, bench.bytes);
    if (end->unsent == 0 && end_receive(end, sizeof bench.answer)) {
        end->unsent = bench.bytes;
        end_write(end, bench.request, bench.bytes);
    }
}

static void clients_run(const struct sockaddr_in *address, int connections)
{
    int epoll_fd = epoll_create1(0);
    struct epoll_event events[64];

    for (int i = 0; i < connections; i++) {
        int fd = socket(AF_INET, SOCK_STREAM, 0);
        if (fd < 0 || connect(fd, (const struct sockaddr *)address, sizeof *address) < 0)
            fail("connect");
        fcntl(fd, F_SETFL, O_NONBLOCK);
        client_ready(end_new(epoll_fd, fd));
    }
    for (;;) {
        int count = epoll_wait(epoll_fd, events, 64, -1);
        for (int i = 0; i < count; i++)
            client_ready(events[i].data.ptr);
    }
}

/* ---- both ---- */

static void report(void *context, bool error, const char *file, const char *text)
{
    (void)context;
    if (error)
        fprintf(stderr, "%s: %s\n", file, text);
}

static void use_server_tls(const char *directory)
{
    char certificate[4096], key[4096], ca[4096], error[256];
    struct bundle_files files = {
        .certificate = certificate, .key = key, .ca = ca, .profile = BUNDLE_TLS13};

    snprintf(certificate, sizeof certificate, "%s/server.pem", directory);
    snprintf(key, sizeof key, "%s/server.key", directory);
    snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    struct bundle *bundle = bundle_load(&files, (int64_t)time(NULL), report, NULL);
    if (bundle != NULL)
        bench.server = tls_server_new(bundle, TLS_CLIENT_REQUIRED, error);
    bundle_release(&bundle);
    if (bench.server == NULL)
        exit(1);
}

static void use_client_tls(const char *directory)
{
    char certificate[4096], key[4096], ca[4096], error[256];
    struct tls_client_settings settings = {
        .certificate = certificate, .key = key, .ca = ca, .server_name = "localhost"};

    snprintf(certificate, sizeof certificate, "%s/client1.pem", directory);
    snprintf(key, sizeof key, "%s/client1.key", directory);
    snprintf(ca, sizeof ca, "%s/ca.pem", directory);
    bench.client = tls_client_new(&settings, error);
    if (bench.client == NULL) {
        fprintf(stderr, "%s\n", error);
        exit(1);
    }
}

static int listen_somewhere(struct sockaddr_in *ret_address)
{
    socklen_t length = sizeof *ret_address;
    int fd = socket(AF_INET, SOCK_STREAM, 0);

    *ret_address =
        (struct sockaddr_in){.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    if (fd < 0 || bind(fd, (struct sockaddr *)ret_address, length) < 0 || listen(fd, 1024) < 0 ||
        getsockname(fd, (struct sockaddr *)ret_address, &length) < 0)
        fail("listen");
    return fd;
}

int main(int argc, char **argv)
{
    struct sockaddr_in address;

    if (argc < 4) {
        fputs("usage: bench_pingpong CONNECTIONS BYTES SECONDS [PKI-DIRECTORY]\n", stderr);
        return 2;
    }
    int connections = (int)strtol(argv[1], NULL, 10);
    bench.bytes = strtoul(argv[2], NULL, 10);
    bench.request = calloc(1, bench.bytes + 1);
    int listener = listen_somewhere(&address);
    pid_t child = fork();
    if (child < 0)
        fail("fork");
    if (tls_global_init() < 0)
        return 1;
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL);
        if (argc > 4)
            use_client_tls(argv[4]);
        clients_run(&address, connections);
    }
    if (argc > 4)
        use_server_tls(argv[4]);
    server_run(listener, connections, strtod(argv[3], NULL));
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    ends_free();
    tls_server_release(&bench.server);
    free(bench.request);
    return 0;
}
