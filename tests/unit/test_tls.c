/* links: tls */
/* wrap: recv */
#include "tls/tls.h"

#include "support/pki.h"
#include "tls/internal.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { ROUNDS_MAX = 200000 };

/* --- two ends ----------------------------------------------------------------------------- */

struct ends {
    struct tls_server *server;
    struct tls_client_context *context;
    struct tls_session *at_server, *at_client;
    /* With a relay between them: client_fd <-> relay[0], relay[1] <-> server_fd. */
    int server_fd, client_fd, relay[2];
    size_t relay_bytes; /* at a time; 0: no relay */
};

static struct tls_server *server_new(const char *certificate, const char *ca, const char *crl,
                                     enum tls_client client, enum bundle_profile profile)
{
    char key[700], error[256] = "";
    snprintf(key, sizeof key, "%s", pki_file(certificate));
    snprintf(key + strlen(key) - 4, 5, ".key");
    struct bundle_files files = {.certificate = pki_file(certificate),
                                 .key = key,
                                 .ca = ca == NULL ? NULL : pki_file(ca),
                                 .crl = crl == NULL ? NULL : pki_file(crl),
                                 .crl_required = crl != NULL,
                                 .profile = profile};
    struct bundle *bundle = bundle_load(&files, time(NULL), NULL, NULL);
    assert_non_null(bundle);
    struct tls_server *server = tls_server_new(bundle, client, error);
    if (server == NULL)
        fail_msg("%s", error);
    bundle_release(&bundle);
    return server;
}

static struct tls_client_context *client_new(const char *certificate, const char *ca,
                                             const char *name)
{
    char key[700] = "", error[256] = "";
    if (certificate != NULL) {
        snprintf(key, sizeof key, "%s", pki_file(certificate));
        snprintf(key + strlen(key) - 4, 5, ".key");
    }
    struct tls_client_settings settings = {.certificate =
                                               certificate == NULL ? NULL : pki_file(certificate),
                                           .key = certificate == NULL ? NULL : key,
                                           .ca = pki_file(ca),
                                           .server_name = name};
    struct tls_client_context *context = tls_client_new(&settings, error);
    if (context == NULL)
        fail_msg("%s: %s", certificate, error);
    return context;
}

static void open_pair(int fds[2])
{
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
}

/* Takes server and context. */
static void ends_open(struct ends *ends, struct tls_server *server,
                      struct tls_client_context *context, size_t relay_bytes)
{
    int one[2], two[2];
    *ends = (struct ends){.server = server, .context = context, .relay_bytes = relay_bytes};
    open_pair(one);
    ends->server_fd = one[0];
    ends->client_fd = one[1];
    ends->relay[0] = ends->relay[1] = -1;
    if (relay_bytes > 0) {
        open_pair(two);
        ends->relay[1] = one[1];
        ends->relay[0] = two[0];
        ends->client_fd = two[1];
    }
    ends->at_server = tls_session_new(server, ends->server_fd, span_of(NULL, 0));
    assert_non_null(ends->at_server);
    if (context != NULL) {
        ends->at_client = tls_client_session_new(context, ends->client_fd);
        assert_non_null(ends->at_client);
    }
}

static void close_fd(int *fd)
{
    if (*fd >= 0)
        close(*fd);
    *fd = -1;
}

static void ends_close(struct ends *ends)
{
    tls_session_free(&ends->at_server);
    tls_session_free(&ends->at_client);
    tls_server_release(&ends->server);
    tls_client_free(&ends->context);
    close_fd(&ends->server_fd);
    close_fd(&ends->client_fd);
    close_fd(&ends->relay[0]);
    close_fd(&ends->relay[1]);
}

static void relay_one_way(int from, int to, size_t bytes)
{
    char data[65536];
    ssize_t got = recv(from, data, bytes, 0);
    if (got > 0)
        assert_int_equal(send(to, data, (size_t)got, MSG_NOSIGNAL), got);
}

static void relay(struct ends *ends)
{
    if (ends->relay_bytes == 0)
        return;
    relay_one_way(ends->relay[0], ends->relay[1], ends->relay_bytes);
    relay_one_way(ends->relay[1], ends->relay[0], ends->relay_bytes);
}

/* Until the server's side has ended its handshake; its answer. The client's in ret_client. */
static int shake(struct ends *ends, int *ret_client)
{
    int server = -EAGAIN, client = -EAGAIN;
    for (int i = 0; i < ROUNDS_MAX && (server == -EAGAIN || client == -EAGAIN); i++) {
        if (client == -EAGAIN)
            client = tls_session_handshake(ends->at_client);
        relay(ends);
        if (server == -EAGAIN)
            server = tls_session_handshake(ends->at_server);
        relay(ends);
        if (server != -EAGAIN && server != 0 && i > 1000 && ends->relay_bytes == 0)
            break;
    }
    *ret_client = client;
    return server;
}

static void send_all(struct ends *ends, struct tls_session *from, struct tls_session *to,
                     const char *data, size_t length, char *ret_data)
{
    size_t sent = 0, got = 0;
    for (int i = 0; i < ROUNDS_MAX && got < length; i++) {
        if (sent < length) {
            ssize_t count = tls_session_write(from, data + sent, length - sent);
            assert_true(count > 0 || count == -EAGAIN);
            assert_int_equal(count == -EAGAIN || sent + (size_t)count < length,
                             tls_session_wants_write(from));
            sent += count > 0 ? (size_t)count : 0;
        }
        relay(ends);
        ssize_t count = tls_session_read(to, ret_data + got, length - got);
        assert_true(count > 0 || count == -EAGAIN);
        got += count > 0 ? (size_t)count : 0;
    }
    assert_int_equal(got, length);
}

static void check_traffic(struct ends *ends)
{
    static const size_t sizes[] = {1, 600, 8192, 8193, 16383, 16384, 100000};
    static char data[100000], back[100000];
    for (size_t i = 0; i < sizeof data; i++)
        data[i] = (char)(i * 7 + i / 251);
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        size_t length = ends->relay_bytes == 1 && sizes[i] > 9000 ? 1000 : sizes[i];
        memset(back, 0, length);
        send_all(ends, ends->at_client, ends->at_server, data, length, back);
        assert_memory_equal(data, back, length);
        memset(back, 0, length);
        send_all(ends, ends->at_server, ends->at_client, data, length, back);
        assert_memory_equal(data, back, length);
    }
}

static void only_12(struct tls_client_context *context)
{
    mbedtls_ssl_conf_max_tls_version(&context->config, MBEDTLS_SSL_VERSION_TLS1_2);
}

/* --- a peer that never stops -------------------------------------------------------------- */

/* While bytes is set, the socket of fd has them without end, over and over. */
static struct {
    int fd;
    const unsigned char *bytes;
    size_t length, at;
    size_t given;   /* since the last look */
    unsigned tries; /* after which it ends after all, so that a test fails instead of hanging */
} flood = {.fd = -1};

ssize_t __real_recv(int fd, void *data, size_t size, int flags);
ssize_t __wrap_recv(int fd, void *data, size_t size, int flags);

ssize_t __wrap_recv(int fd, void *data, size_t size, int flags)
{
    if (flood.bytes == NULL || fd != flood.fd)
        return __real_recv(fd, data, size, flags);
    if (flood.tries == 0) {
        errno = EAGAIN;
        return -1;
    }
    flood.tries--;
    for (size_t i = 0; i < size; i++) {
        ((unsigned char *)data)[i] = flood.bytes[flood.at];
        flood.at = (flood.at + 1) % flood.length;
    }
    flood.given += size;
    return (ssize_t)size;
}

static void flood_start(int fd, const unsigned char *bytes, size_t length)
{
    flood.fd = fd;
    flood.bytes = bytes;
    flood.length = length;
    flood.at = flood.given = 0;
    flood.tries = 5000;
}

static size_t flood_given(void)
{
    size_t given = flood.given;
    flood.given = 0;
    return given;
}

/* --- handshakes that succeed -------------------------------------------------------------- */

static void good_handshake(bool old, size_t relay_bytes, enum bundle_profile profile,
                           const char *server_certificate, const char *client_certificate)
{
    struct ends ends;
    int client;
    struct tls_client_context *context = client_new(client_certificate, "ca.pem", "localhost");
    if (old)
        only_12(context);
    ends_open(&ends, server_new(server_certificate, "ca.pem", NULL, TLS_CLIENT_REQUIRED, profile),
              context, relay_bytes);
    int server = shake(&ends, &client);
    if (server != 0 || client != 0)
        fail_msg("%s, %s: %d \"%s\" %d \"%s\"", server_certificate, client_certificate, server,
                 tls_session_problem(ends.at_server), client, tls_session_problem(ends.at_client));
    assert_string_equal(tls_session_version(ends.at_server), old ? "TLSv1.2" : "TLSv1.3");
    assert_string_equal(tls_session_problem(ends.at_server), "");
    assert_non_null(strstr(tls_session_cipher(ends.at_server), "GCM"));
    assert_non_null(tls_session_identity(ends.at_server));
    assert_non_null(tls_session_subject(ends.at_server));
    check_traffic(&ends);
    /* a close_notify is the end of the stream */
    char byte;
    tls_session_shutdown(ends.at_client);
    for (int i = 0; i < 1000; i++)
        relay(&ends);
    assert_int_equal(tls_session_read(ends.at_server, &byte, 1), 0);
    ends_close(&ends);
}

static void good(void **state)
{
    (void)state;
    for (int old = 0; old < 2; old++) {
        good_handshake(old, 0, BUNDLE_BCP195, "server.pem", "client1.pem");
        good_handshake(old, 0, BUNDLE_NIST_800_52R2, "server.pem", "client2.pem");
        good_handshake(old, 1, BUNDLE_BCP195, "server.pem", "client1.pem");
        good_handshake(old, 7, BUNDLE_BCP195, "server.pem", "client1.pem");
        /* our own chain between 4 and 8 KB; the client's through an intermediate; RSA */
        good_handshake(old, 0, BUNDLE_BCP195, "extra/long.pem", "extra/via-intermediate.pem");
        good_handshake(old, 1000, BUNDLE_BCP195, "extra/long.pem", "extra/rsa2048.pem");
    }
    good_handshake(false, 0, BUNDLE_TLS13, "server.pem", "client1.pem");
}

/* A peer that reads slowly: records wait inside mbedTLS, and a call comes again. */
static void blocked_writes(void **state)
{
    static char data[300000], back[300000];
    (void)state;
    for (int old = 0; old < 2; old++) {
        struct ends ends;
        int client, small = 2048;
        struct tls_client_context *context = client_new("client1.pem", "ca.pem", "localhost");
        if (old)
            only_12(context);
        ends_open(&ends,
                  server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195),
                  context, 0);
        assert_int_equal(shake(&ends, &client), 0);
        assert_int_equal(setsockopt(ends.server_fd, SOL_SOCKET, SO_SNDBUF, &small, sizeof small),
                         0);
        for (size_t i = 0; i < sizeof data; i++)
            data[i] = (char)(i * 13 + i / 509);
        ssize_t taken = tls_session_write(ends.at_server, data, sizeof data);
        assert_true(taken >= 0 || taken == -EAGAIN);
        assert_true(tls_session_wants_write(ends.at_server));
        size_t sent = taken > 0 ? (size_t)taken : 0;
        assert_true(sent < sizeof data);
        /* the other direction goes on meanwhile */
        assert_int_equal(tls_session_write(ends.at_client, "x", 1), 1);
        assert_int_equal(tls_session_read(ends.at_server, back, sizeof back), 1);
        for (size_t got = 0; got < sizeof data;) {
            taken = sent == sizeof data
                        ? 0
                        : tls_session_write(ends.at_server, data + sent, sizeof data - sent);
            assert_true(taken >= 0 || taken == -EAGAIN);
            sent += taken > 0 ? (size_t)taken : 0;
            ssize_t count = tls_session_read(ends.at_client, back + got, sizeof back - got);
            assert_true(count > 0 || count == -EAGAIN);
            got += count > 0 ? (size_t)count : 0;
        }
        assert_memory_equal(data, back, sizeof data);
        assert_false(tls_session_wants_write(ends.at_server));
        ends_close(&ends);
    }
}

/* Many records in one segment: what was read ahead has to come out without the socket. */
static void pending_bytes(void **state)
{
    struct ends ends;
    int client;
    char data[64];
    (void)state;
    ends_open(&ends, server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195),
              client_new("client1.pem", "ca.pem", "localhost"), 0);
    assert_int_equal(shake(&ends, &client), 0);
    for (int i = 0; i < 20; i++)
        assert_int_equal(tls_session_write(ends.at_client, "0123456789", 10), 10);
    assert_false(tls_session_has_pending(ends.at_server));
    for (int i = 0; i < 20; i++) {
        assert_int_equal(tls_session_read(ends.at_server, data, 4), 4);
        assert_true(tls_session_has_pending(ends.at_server));
        assert_int_equal(tls_session_read(ends.at_server, data + 4, sizeof data - 4), 6);
        assert_memory_equal(data, "0123456789", 10);
        assert_int_equal(tls_session_has_pending(ends.at_server), i < 19);
    }
    assert_int_equal(tls_session_read(ends.at_server, data, sizeof data), -EAGAIN);
    close_fd(&ends.client_fd);
    assert_int_equal(tls_session_read(ends.at_server, data, sizeof data), 0);
    ends_close(&ends);
}

/* Bytes that came behind a PROXY header, before TLS began. */
static void bytes_from_before(void **state)
{
    struct ends ends;
    int client = -EAGAIN, server = -EAGAIN;
    char hello[4096];
    (void)state;
    for (size_t cut = 1; cut < 300; cut += 57) {
        ends_open(&ends,
                  server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195),
                  client_new("client1.pem", "ca.pem", "localhost"), 0);
        client = tls_session_handshake(ends.at_client);
        ssize_t got = recv(ends.server_fd, hello, cut, 0);
        assert_true(got > 0);
        tls_session_free(&ends.at_server);
        ends.at_server = tls_session_new(ends.server, ends.server_fd, span_of(hello, (size_t)got));
        server = shake(&ends, &client);
        assert_int_equal(server, 0);
        check_traffic(&ends);
        ends_close(&ends);
    }
}

/* --- handshakes that are refused ---------------------------------------------------------- */

struct refusal {
    const char *client, *ca, *crl;
    int expected;
    const char *problem; /* part of it */
};

static const struct refusal refusals[] = {
    {NULL, "ca.pem", NULL, -EACCES, "the client sent no certificate"},
    {"revoked.pem", "ca.pem", "ca.crl", -EACCES, "the client's certificate is refused: revoked"},
    {"extra/expired.pem", "ca.pem", NULL, -EACCES, "refused: expired 20"},
    {"extra/future.pem", "ca.pem", NULL, -EACCES, "refused: not valid before 20"},
    {"extra/eku-server.pem", "ca.pem", NULL, -EACCES, "(clientAuth)"},
    {"extra/ku-encipherment.pem", "ca.pem", NULL, -EACCES, "key usage"},
    {"extra/wrong-ca.pem", "ca.pem", NULL, -EACCES, "signed by a CA that is not in client_ca"},
    {"extra/false-ca-client.pem", "ca.pem", NULL, -EACCES, "not in client_ca"},
    {"extra/via-missing.pem", "ca.pem", NULL, -EACCES, "not in client_ca"},
    {"extra/via-intermediate.pem", "ca.pem", "ca.crl", -EACCES, "no CRL of its CA"},
    {"extra/rsa1024.pem", "ca.pem", NULL, -EACCES, "too weak"},
    {"extra/sha1.pem", "ca.pem", NULL, -EACCES, "digest that is too weak"},
    {"extra/nc-bad.pem", "ca.pem", NULL, -EACCES, "name constraints"},
    {"extra/nc-critical-good.pem", "ca.pem", NULL, -EACCES, "a critical extension"},
    {"extra/nc-rid-any.pem", "ca.pem", NULL, -EACCES, "can't be honoured"},
};

static void check_refusal(const struct refusal *row, bool old, enum tls_client mode)
{
    struct ends ends;
    int client;
    char data[16];
    struct tls_client_context *context = client_new(row->client, "ca.pem", "localhost");
    if (old)
        only_12(context);
    ends_open(&ends, server_new("server.pem", row->ca, row->crl, mode, BUNDLE_BCP195), context, 0);
    int server = shake(&ends, &client);
    const char *problem = tls_session_problem(ends.at_server);
    if (server != row->expected || strstr(problem, row->problem) == NULL)
        fail_msg("%s (TLS 1.%d, mode %d): want \"%s\", have %d \"%s\"", row->client, old ? 2 : 3,
                 (int)mode, row->problem, server, problem);
    assert_null(tls_session_identity(ends.at_server));
    /* none came, or it could not be read */
    bool unread = row->client == NULL || strstr(row->client, "nc-critical") != NULL;
    assert_int_equal(unread, tls_session_subject(ends.at_server) == NULL);
    assert_false(tls_session_is_plain(ends.at_server));
    /* the alert has gone to the client, who says so; over TLS 1.3 its handshake was over before */
    if (client == 0)
        client = (int)tls_session_read(ends.at_client, data, sizeof data);
    problem = tls_session_problem(ends.at_client);
    if (client != -EPROTO || strstr(problem, "(alert ") == NULL)
        fail_msg("%s (TLS 1.%d): the client has %d \"%s\"", row->client, old ? 2 : 3, client,
                 problem);
    ends_close(&ends);
}

static void refused(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof refusals / sizeof refusals[0]; i++) {
        for (int old = 0; old < 2; old++) {
            /* mbedTLS's client holds a weak certificate back where its own rules refuse it */
            check_refusal(&refusals[i], old, TLS_CLIENT_REQUIRED);
            if (refusals[i].client != NULL)
                check_refusal(&refusals[i], old, TLS_CLIENT_OPTIONAL);
        }
    }
}

/* client1's certificate, and behind it so many times another: a file beside pki's own. */
static const char *long_chain(const char *other, int times)
{
    static char path[700];
    char command[3000];
    snprintf(path, sizeof path, "%s", pki_file("chain.pem"));
    snprintf(command, sizeof command,
             "cp '%s' '%s' && cp '%s' '%.600s.key' && for i in $(seq %d); do cat '%s' >>'%s'; done",
             pki_file("client1.pem"), path, pki_file("client1.key"), pki_file("chain"), times,
             other, path);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own files */
    return "chain.pem";
}

static const char *odd_ca(const char *name, const char *key)
{
    char command[3000], pem[32];
    snprintf(pem, sizeof pem, "%s.pem", name);
    const char *path = pki_file(pem);
    snprintf(command, sizeof command,
             "openssl req -x509 -newkey %s -noenc -keyout '%.600s.key' -out '%s' -subj /CN=%s "
             "-days 30 2>/dev/null",
             key, path, path, name);
    assert_int_equal(system(command), 0); /* NOLINT(cert-env33-c): our own files */
    return path;
}

/* What a client sends along costs time before anybody knows who it is: too much of it is refused
 * before a signature is looked at. */
static void bounded_chains(void **state)
{
    (void)state;
    (void)odd_ca("wide", "rsa:2048 -pkeyopt rsa_keygen_pubexp:0x10000000000000001");
    for (int old = 0; old < 2; old++) {
        for (int mode = TLS_CLIENT_REQUIRED; mode <= TLS_CLIENT_OPTIONAL; mode++) {
            enum tls_client client = (enum tls_client)mode;
            struct refusal many = {long_chain(pki_file("ca.pem"), 8), "ca.pem", NULL, -EACCES,
                                   "it came in a chain of 9 certificates; at most 8 are taken"};
            check_refusal(&many, old, client);
            struct refusal slow = {long_chain(pki_file("wide.pem"), 1), "ca.pem", NULL, -EACCES,
                                   "an exponent of more than 64 bits"};
            check_refusal(&slow, old, client);
        }
        good_handshake(old, 0, BUNDLE_BCP195, "server.pem", long_chain(pki_file("ca.pem"), 7));
    }
}

/* Their signatures are slow enough to be a weapon; mbedTLS is built without them. */
static void no_brainpool(void **state)
{
    struct tls_client_settings settings = {
        .ca = odd_ca("brainpool", "ec -pkeyopt ec_paramgen_curve:brainpoolP512r1")};
    char error[256] = "";
    (void)state;
    assert_null(tls_client_new(&settings, error));
    assert_non_null(strstr(error, "cannot be read"));
}

static void optional_and_off(void **state)
{
    struct ends ends;
    int client;
    (void)state;
    for (int old = 0; old < 2; old++) {
        for (int mode = TLS_CLIENT_OPTIONAL; mode <= TLS_CLIENT_OFF; mode++) {
            const char *certificate = mode == TLS_CLIENT_OFF ? "client1.pem" : NULL;
            struct tls_client_context *context = client_new(certificate, "ca.pem", "127.0.0.1");
            if (old)
                only_12(context);
            ends_open(&ends,
                      server_new("server.pem", "ca.pem", NULL, (enum tls_client)mode,
                                 BUNDLE_TLS13 * (unsigned)!old),
                      context, 0);
            assert_int_equal(shake(&ends, &client), 0);
            assert_int_equal(client, 0);
            assert_null(tls_session_identity(ends.at_server));
            char reason[160];
            assert_int_equal(tls_session_verify_again(ends.at_server, ends.server, reason), 0);
            check_traffic(&ends);
            ends_close(&ends);
        }
    }
}

static void no_ca_for_clients(void **state)
{
    struct bundle_files files = {.certificate = pki_file("server.pem"),
                                 .key = pki_file("server.key")};
    struct bundle *bundle = bundle_load(&files, time(NULL), NULL, NULL);
    char error[256];
    (void)state;
    assert_null(tls_server_new(bundle, TLS_CLIENT_REQUIRED, error));
    assert_non_null(strstr(error, "no client_ca"));
    bundle_release(&bundle);
}

/* The client's side: it refuses a server, and the server says so in words. */
static void client_refuses(void **state)
{
    static const struct {
        const char *ca, *name, *at_client, *at_server;
    } rows[] = {
        {"extra/other-ca.pem", "localhost", "not in the CA file",
         "the client refused our certificate (alert unknown_ca)"},
        {"ca.pem", "other.example", "is not for \"other.example\"",
         "the client refused our certificate (alert "},
        {"ca.pem", "192.0.2.1", "is not for \"192.0.2.1\"", "the client refused our certificate"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        for (int old = 0; old < 2; old++) {
            struct ends ends;
            int client;
            struct tls_client_context *context =
                client_new("client1.pem", rows[i].ca, rows[i].name);
            if (old)
                only_12(context);
            ends_open(&ends,
                      server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195),
                      context, 0);
            int server = shake(&ends, &client);
            assert_int_equal(client, -EACCES);
            assert_int_equal(server, -EPROTO);
            if (strstr(tls_session_problem(ends.at_client), rows[i].at_client) == NULL ||
                strstr(tls_session_problem(ends.at_server), rows[i].at_server) == NULL)
                fail_msg("row %zu: \"%s\", \"%s\"", i, tls_session_problem(ends.at_client),
                         tls_session_problem(ends.at_server));
            ends_close(&ends);
        }
    }
}

static void client_settings_errors(void **state)
{
    struct tls_client_settings settings = {.ca = "/nowhere.pem"};
    char error[256] = "";
    (void)state;
    assert_null(tls_client_new(&settings, error));
    assert_string_equal(error, "/nowhere.pem: cannot be opened: No such file or directory");
    settings.ca = NULL;
    assert_null(tls_client_new(&settings, error));
    settings.ca = pki_file("ca.pem");
    settings.certificate = pki_file("client1.pem");
    assert_null(tls_client_new(&settings, error));
    settings.key = pki_file("client2.key");
    assert_null(tls_client_new(&settings, error));
    assert_non_null(strstr(error, "is not the certificate's key"));
}

/* --- what is no handshake ----------------------------------------------------------------- */

static void raw_bytes(const char *bytes, size_t length, enum bundle_profile profile, int expected,
                      const char *problem, bool plain)
{
    struct ends ends;
    ends_open(&ends, server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, profile), NULL,
              0);
    assert_int_equal(send(ends.client_fd, bytes, length, 0), length);
    shutdown(ends.client_fd, SHUT_WR);
    int server = tls_session_handshake(ends.at_server);
    if (server != expected || strstr(tls_session_problem(ends.at_server), problem) == NULL)
        fail_msg("want %d \"%s\", have %d \"%s\"", expected, problem, server,
                 tls_session_problem(ends.at_server));
    assert_int_equal(tls_session_is_plain(ends.at_server), plain);
    assert_int_equal(tls_session_is_silent(ends.at_server), length == 0);
    /* broken stays broken */
    char byte;
    assert_int_equal(tls_session_handshake(ends.at_server), -EPROTO);
    assert_int_equal(tls_session_read(ends.at_server, &byte, 1), -EPROTO);
    assert_int_equal(tls_session_write(ends.at_server, "x", 1), -EPROTO);
    assert_false(tls_session_wants_write(ends.at_server));
    tls_session_shutdown(ends.at_server);
    ends_close(&ends);
}

/* A ClientHello of one suite, with one extension (extended_master_secret), that claims a version. */
static size_t old_hello(unsigned char minor, unsigned char hello[64])
{
    static const unsigned char rest[] = {0x00, 0x00, 0x02, 0xc0, 0x2b, 0x01, 0x00,
                                         0x00, 0x04, 0x00, 0x17, 0x00, 0x00};
    memset(hello, 0, 64);
    hello[0] = 22;
    hello[1] = 3;
    hello[2] = 1;
    hello[4] = 4 + 2 + 32 + sizeof rest;
    hello[5] = 1;
    hello[8] = 2 + 32 + sizeof rest;
    hello[9] = 3;
    hello[10] = minor;
    memcpy(hello + 11 + 32, rest, sizeof rest);
    return 11 + 32 + sizeof rest;
}

static void no_tls(void **state)
{
    unsigned char hello[64];
    size_t length = old_hello(1, hello);
    (void)state;
    raw_bytes("\x0bMSH|^~\\&|", 10, BUNDLE_BCP195, -EPROTO, "the client spoke plain MLLP, not TLS",
              true);
    raw_bytes("GET / HTTP/1.1\r\n\r\n", 18, BUNDLE_BCP195, -EPROTO, "plain HTTP", true);
    raw_bytes("MSH|^~\\&|", 9, BUNDLE_BCP195, -EPROTO, "plain HL7 without MLLP", true);
    raw_bytes("\x80\x2e\x01\x00\x02", 5, BUNDLE_BCP195, -EPROTO, "first byte 0x80", true);
    raw_bytes("\0", 1, BUNDLE_BCP195, -EPROTO, "first byte 0x00", true);
    raw_bytes("", 0, BUNDLE_BCP195, -ECONNRESET, "went away before the handshake began", false);
    raw_bytes("\x16\x03\x01", 3, BUNDLE_BCP195, -ECONNRESET, "in the middle of the handshake",
              false);
    raw_bytes("\x16\x03\x01\xff\xff\x01", 6, BUNDLE_BCP195, -EPROTO, "the TLS handshake failed",
              false);
    raw_bytes((char *)hello, length, BUNDLE_BCP195, -EPROTO,
              "offers at most TLS 1.0; this listener takes TLS 1.2 and 1.3", false);
    length = old_hello(3, hello);
    raw_bytes((char *)hello, length, BUNDLE_TLS13, -EPROTO,
              "offers at most TLS 1.2; this listener takes TLS 1.3 only", false);
}

/* TLS 1.3 passes over ChangeCipherSpec, and mbedTLS inside one call. A client that sends nothing
 * else gets a bounded part of each turn, and of the whole. */
static const unsigned char change_cipher_spec[] = {20, 3, 3, 0, 1, 1};

static void endless_handshake(void **state)
{
    struct ends ends;
    int calls = 0, server;
    size_t total = 0;
    (void)state;
    ends_open(&ends, server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195),
              client_new("client1.pem", "ca.pem", "localhost"), 0);
    assert_int_equal(tls_session_handshake(ends.at_client), -EAGAIN);
    assert_int_equal(tls_session_handshake(ends.at_server), -EAGAIN); /* the ClientHello */
    flood_start(ends.server_fd, change_cipher_spec, sizeof change_cipher_spec);
    do {
        server = tls_session_handshake(ends.at_server);
        size_t given = flood_given();
        total += given;
        assert_in_range(given, server == -EAGAIN ? 1 : 0, 40 << 10);
        assert_false(tls_session_has_pending(ends.at_server)); /* the rest is in the socket */
    } while (server == -EAGAIN && ++calls < 100);
    flood.bytes = NULL;
    assert_int_equal(server, -EPROTO);
    assert_string_equal(tls_session_problem(ends.at_server),
                        "the client sent 128 KiB and the handshake is still not over");
    assert_in_range(total, 100 << 10, 140 << 10);
    assert_int_equal(tls_session_handshake(ends.at_server), -EPROTO);
    ends_close(&ends);
}

/* The same once it is open: there it may go on for ever, but gives others a turn; and what it sends
 * besides comes through. */
static void endless_nothing(void **state)
{
    struct ends ends;
    int client;
    char byte;
    (void)state;
    ends_open(&ends, server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195),
              client_new("client1.pem", "ca.pem", "localhost"), 0);
    assert_int_equal(shake(&ends, &client), 0);
    flood_start(ends.server_fd, change_cipher_spec, sizeof change_cipher_spec);
    for (int i = 0; i < 10; i++) {
        uint64_t before = tls_session_received(ends.at_server);
        assert_int_equal(tls_session_read(ends.at_server, &byte, 1), -EAGAIN);
        size_t given = flood_given();
        assert_in_range(given, 400 << 10, 520 << 10);
        assert_int_equal(tls_session_received(ends.at_server) - before, given);
    }
    size_t rest = (sizeof change_cipher_spec - flood.at) % sizeof change_cipher_spec;
    assert_int_equal(send(ends.client_fd, change_cipher_spec + flood.at, rest, 0), rest);
    flood.bytes = NULL;
    check_traffic(&ends);
    ends_close(&ends);
}

static void nothing_in_common(void **state)
{
    static const int chacha[] = {MBEDTLS_TLS1_3_CHACHA20_POLY1305_SHA256,
                                 MBEDTLS_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, 0};
    static const uint16_t x25519[] = {MBEDTLS_SSL_IANA_TLS_GROUP_X25519, 0};
    (void)state;
    for (int i = 0; i < 4; i++) {
        struct ends ends;
        int client;
        struct tls_client_context *context = client_new("client1.pem", "ca.pem", "localhost");
        if (i % 2 == 0)
            mbedtls_ssl_conf_ciphersuites(&context->config, chacha);
        else
            mbedtls_ssl_conf_groups(&context->config, x25519);
        if (i >= 2)
            only_12(context);
        ends_open(
            &ends,
            server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_NIST_800_52R2),
            context, 0);
        assert_int_equal(shake(&ends, &client), -EPROTO);
        if (strstr(tls_session_problem(ends.at_server), "in common with the client") == NULL)
            fail_msg("%d: \"%s\"", i, tls_session_problem(ends.at_server));
        ends_close(&ends);
    }
}

/* --- deciding again ----------------------------------------------------------------------- */

static void decided_again(void **state)
{
    static const struct {
        const char *client, *ca, *crl;
        const char *reason; /* NULL: still good */
    } rows[] = {
        {"client1.pem", "ca.pem", NULL, NULL},
        {"client1.pem", "ca.pem", "ca.crl", NULL},
        {"client1.pem", "extra/two-cas.pem", NULL, NULL},
        {"revoked.pem", "ca.pem", "ca.crl", "revoked"},
        {"client1.pem", "extra/other-ca.pem", NULL, "not in client_ca"},
        {"extra/via-intermediate.pem", "ca.pem", "extra/both.crl", NULL},
        {"extra/via-intermediate.pem", "ca.pem", "extra/revokes-intermediate.crl", "revoked"},
        {"extra/via-intermediate.pem", "extra/intermediate.pem", NULL, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct ends ends;
        int client;
        char reason[160] = "";
        ends_open(&ends,
                  server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195),
                  client_new(rows[i].client, "ca.pem", "localhost"), 0);
        assert_int_equal(shake(&ends, &client), 0);
        struct tls_server *next =
            server_new("server.pem", rows[i].ca, rows[i].crl, TLS_CLIENT_REQUIRED, BUNDLE_BCP195);
        int result = tls_session_verify_again(ends.at_server, next, reason);
        if (rows[i].reason == NULL ? result != 0
                                   : result != -EACCES || strstr(reason, rows[i].reason) == NULL)
            fail_msg("row %zu: %d \"%s\"", i, result, reason);
        /* the session itself goes on */
        check_traffic(&ends);
        tls_server_release(&next);
        ends_close(&ends);
    }
}

/* --- resumption, with a client written elsewhere ------------------------------------------ */

static int listen_on_loopback(int *ret_port)
{
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t length = sizeof address;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_true(fd >= 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof address), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&address, &length), 0);
    *ret_port = ntohs(address.sin_port);
    return fd;
}

static void wait_for(struct tls_session *session, int fd)
{
    struct pollfd poll_fd = {.fd = fd,
                             .events = tls_session_wants_write(session) ? POLLOUT : POLLIN};
    assert_true(poll(&poll_fd, 1, 20000) > 0);
}

/* Echoes until the client closes; true when it had shown its certificate. */
static bool echo_one(struct tls_server *server, int listener)
{
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), result;
    assert_true(fd >= 0);
    struct tls_session *session = tls_session_new(server, fd, span_of(NULL, 0));
    while ((result = tls_session_handshake(session)) == -EAGAIN)
        wait_for(session, fd);
    if (result != 0)
        fail_msg("%s", tls_session_problem(session));
    bool known = tls_session_identity(session) != NULL;
    for (;;) {
        char data[256];
        ssize_t count = tls_session_read(session, data, sizeof data);
        if (count == -EAGAIN) {
            wait_for(session, fd);
            continue;
        }
        if (count <= 0)
            break;
        assert_int_equal(tls_session_write(session, data, (size_t)count), count);
    }
    tls_session_shutdown(session);
    tls_session_free(&session);
    close(fd);
    return known;
}

static void resumption(void **state)
{
    char command[4000], sessions[] = "/tmp/test_tls.XXXXXX", line[512];
    int port, listener = listen_on_loopback(&port);
    struct tls_server *server =
        server_new("server.pem", "ca.pem", NULL, TLS_CLIENT_REQUIRED, BUNDLE_BCP195);
    (void)state;
    int fd = mkstemp(sessions);
    assert_true(fd >= 0);
    close(fd);
    for (int round = 0; round < 4; round++) {
        const char *version = round < 2 ? "-tls1_2" : "-tls1_3";
        snprintf(command, sizeof command,
                 "(echo hello; sleep 0.3) | openssl s_client -connect 127.0.0.1:%d %s -CAfile '%s' "
                 "-cert '%s' -key '%s' %s %s 2>&1",
                 port, version, pki_file("ca.pem"), pki_file("client1.pem"),
                 pki_file("client1.key"), round % 2 == 0 ? "-sess_out" : "-sess_in", sessions);
        FILE *pipe = popen(command, "r");
        assert_non_null(pipe);
        assert_true(echo_one(server, listener));
        int fresh = 0, resumed = 0, echoed = 0;
        while (fgets(line, sizeof line, pipe) != NULL) {
            fresh += strncmp(line, "New, TLS", 8) == 0;
            resumed += strncmp(line, "Reused, ", 8) == 0;
            echoed += strcmp(line, "hello\n") == 0;
        }
        pclose(pipe);
        assert_int_equal(resumed, 0);
        assert_int_equal(fresh, 1);
        assert_int_equal(echoed, 1);
    }
    unlink(sessions);
    close(listener);
    tls_server_release(&server);
}

static int make(void **state)
{
    (void)state;
    pki_make();
    return tls_global_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good),
        cmocka_unit_test(blocked_writes),
        cmocka_unit_test(pending_bytes),
        cmocka_unit_test(bytes_from_before),
        cmocka_unit_test(refused),
        cmocka_unit_test(bounded_chains),
        cmocka_unit_test(no_brainpool),
        cmocka_unit_test(optional_and_off),
        cmocka_unit_test(no_ca_for_clients),
        cmocka_unit_test(client_refuses),
        cmocka_unit_test(client_settings_errors),
        cmocka_unit_test(no_tls),
        cmocka_unit_test(endless_handshake),
        cmocka_unit_test(endless_nothing),
        cmocka_unit_test(nothing_in_common),
        cmocka_unit_test(decided_again),
        cmocka_unit_test(resumption),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
