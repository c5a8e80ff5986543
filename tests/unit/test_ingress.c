/* links: ingress spool tls admission vpn hl7 loop base config certs */
/* wrap: share_wait_ns share_charge */
/* Listeners and workers with real threads, sockets and TLS, over the memory spool. */
#include "ingress/ingress.h"

#include "base/log.h"
#include "hl7/ack.h"
#include "hl7/mllp.h"
#include "ingress/share.h"
#include "support/free_port.h"
#include "support/pki.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <semaphore.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#define WORKERS 2
#define PATIENCE_MS 20000
#define MESSAGE(id) "\vMSH|^~\\&|APP|FAC|GW|HUB|||ADT^A01|" id "|P|2.5\rPID|1\r\x1c\r"

struct site {
    struct ingress *ingress;
    struct spool *spool;
    struct metrics *metrics;
    struct limits *limits;
    struct sequences *sequences;
    struct snapshot *snapshot;
    unsigned plain_port, through_port, tls_port;
    int log_fd;
    sem_t done;
};

/* ---- the site ---- */

static struct snapshot *make_snapshot(const struct site *site, const char *tls, const char *plain)
{
    struct shared_config *shared;
    struct problems problems;
    struct snapshot *snapshot;
    char text[4096], error[512];
    struct config *config;

    problems_init(&problems);
    snprintf(
        text, sizeof(text),
        "gateway = { name = \"t\"; state_directory = \"state\"; };\n"
        "spool = { type = \"memory\"; };\n"
        "tls = ( { name = \"t\"; certificate = \"%s\"; key = \"%s\"; client_ca = \"%s\"; %s } );\n"
        "tunnels = ( { name = \"site\"; remote = \"192.0.2.9\"; psk_file = \"psk\";\n"
        "  local_subnets = [ \"127.0.0.1/32\" ]; remote_subnets = [ \"127.0.1.0/24\" ]; } );\n"
        "peers = ( { name = \"open\"; addresses = [ \"127.0.0.0/8\" ]; },\n"
        "  { name = \"ward\"; addresses = [ \"127.0.1.0/24\" ]; tunnel = \"site\"; },\n"
        "  { name = \"lab\"; addresses = [ \"127.0.0.1\" ]; certificates = [\n"
        "    \"dns:client1.demo.example\", \"dns:revoked.demo.example\" ]; } );\n"
        "listeners = ( { name = \"plain\"; address = \"127.0.0.1:%u\"; peers = [ \"open\" ]; %s },\n"
        "  { name = \"through\"; address = \"127.0.0.1:%u\"; peers = [ \"ward\" ]; },\n"
        "  { name = \"tls\"; address = \"127.0.0.1:%u\"; tls = \"t\"; peers = [ \"lab\" ]; } );\n"
        "stores = ( { name = \"files\"; type = \"directory\"; path = \"messages\"; } );\n"
        "routes = ( { name = \"r\"; from = \"plain\"; to = \"files\"; },\n"
        "  { name = \"t\"; from = \"through\"; to = \"files\"; },\n"
        "  { name = \"s\"; from = \"tls\"; to = \"files\"; } );\n",
        pki_file("server.pem"), pki_file("server.key"), pki_file("ca.pem"), tls, site->plain_port,
        plain, site->through_port, site->tls_port);
    config = config_load_text(text, strlen(text), "test.cfg", NULL, &problems);
    if (config == NULL) {
        problems_print(&problems, stderr);
        fail_msg("the configuration is wrong");
    }
    shared = shared_config_new(config);
    snapshot = snapshot_new(shared, NULL, time(NULL), &problems, error);
    if (snapshot == NULL) {
        fail_msg("%s", error);
    }
    shared_config_release(&shared);
    problems_free(&problems);
    return snapshot;
}

static void site_open(struct site *site, const char *plain)
{
    struct spool_backend_settings backend_settings = {.window_ms = 60000};
    struct spool_settings spool_settings = {.group_rows = 64};
    struct ingress_settings settings = {.workers = WORKERS};
    struct spool_backend *backend;
    char error[512];

    *site = (struct site){.metrics = metrics_new(),
                          .limits = limits_new(),
                          .sequences = sequences_new(),
                          .plain_port = free_port(),
                          .through_port = free_port(),
                          .tls_port = free_port(),
                          .log_fd = memfd_create("log", MFD_CLOEXEC)};
    sem_init(&site->done, 0, 0);
    log_set_fd(site->log_fd);
    site->snapshot = make_snapshot(site, "", plain);
    assert_int_equal(spool_memory_open(&backend_settings, 0, &backend, error), 0);
    site->spool = spool_new(backend, &spool_settings, clock_system(), site->metrics);
    assert_non_null(site->spool);
    settings.metrics = site->metrics;
    settings.limits = site->limits;
    settings.sequences = site->sequences;
    site->ingress = ingress_new(&settings, site->snapshot, error);
    if (site->ingress == NULL) {
        fail_msg("%s", error);
    }
    assert_int_equal(ingress_start(site->ingress, site->spool), 0);
}

static void site_close(struct site *site)
{
    ingress_stop(site->ingress);
    spool_free(&site->spool);
    ingress_free(&site->ingress);
    snapshot_release(&site->snapshot);
    assert_int_equal(limits_listener_connections(site->limits, "plain"), 0);
    assert_int_equal(limits_listener_connections(site->limits, "tls"), 0);
    assert_int_equal(limits_buffered_bytes(site->limits), 0);
    limits_free(&site->limits);
    sequences_free(&site->sequences);
    metrics_free(site->metrics);
    log_set_fd(2);
    close(site->log_fd);
    sem_destroy(&site->done);
}

static bool logged(const struct site *site, const char *wanted)
{
    static char text[1 << 20];

    for (int tries = 0; tries < PATIENCE_MS / 10; tries++) {
        ssize_t got = pread(site->log_fd, text, sizeof(text) - 1, 0);
        assert_true(got >= 0);
        text[got] = '\0';
        if (strstr(text, wanted) != NULL) {
            return true;
        }
        poll(NULL, 0, 10);
    }
    return false;
}

/* ---- clients ---- */

struct client {
    int fd;
    struct tls_client_context *context;
    struct tls_session *tls; /* NULL: plain */
};

static struct client connect_from(const char *address, unsigned port)
{
    struct sockaddr_in from = {.sin_family = AF_INET};
    struct sockaddr_in in = {.sin_family = AF_INET,
                             .sin_port = htons((uint16_t)port),
                             .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    struct client client = {.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};

    assert_true(client.fd >= 0);
    assert_int_equal(inet_pton(AF_INET, address, &from.sin_addr), 1);
    assert_int_equal(bind(client.fd, (const struct sockaddr *)&from, sizeof(from)), 0);
    assert_int_equal(connect(client.fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(fcntl(client.fd, F_SETFL, O_NONBLOCK), 0);
    return client;
}

static struct client connect_to(unsigned port)
{
    return connect_from("127.0.0.1", port);
}

static void wait_for(const struct client *client)
{
    bool write = client->tls != NULL && tls_session_wants_write(client->tls);
    struct pollfd wanted = {.fd = client->fd, .events = write ? POLLOUT : POLLIN};

    assert_int_equal(poll(&wanted, 1, PATIENCE_MS), 1);
}

/* 0, or the handshake's error; with TLS 1.3 a refusal comes with the first read instead. */
static int begin_tls(struct client *client, const char *certificate)
{
    char chain[64], key[64], error[256];
    struct tls_client_settings settings = {.ca = pki_file("ca.pem"), .server_name = "localhost"};
    int result;

    snprintf(chain, sizeof(chain), "%s.pem", certificate);
    snprintf(key, sizeof(key), "%s.key", certificate);
    settings.certificate = pki_file(chain);
    settings.key = pki_file(key);
    client->context = tls_client_new(&settings, error);
    assert_non_null(client->context);
    client->tls = tls_client_session_new(client->context, client->fd);
    assert_non_null(client->tls);
    while ((result = tls_session_handshake(client->tls)) == -EAGAIN) {
        wait_for(client);
    }
    return result;
}

static void send_text(struct client *client, const char *text)
{
    size_t length = strlen(text);

    if (client->tls != NULL) {
        assert_int_equal(tls_session_write(client->tls, text, length), length);
    } else {
        assert_int_equal(send(client->fd, text, length, MSG_NOSIGNAL), length);
    }
}

/* Bytes, 0 at the end, or negative. */
static ssize_t receive(struct client *client, char *data, size_t size)
{
    for (;;) {
        ssize_t got = client->tls != NULL ? tls_session_read(client->tls, data, size)
                                          : recv(client->fd, data, size, 0);
        if (client->tls == NULL && got < 0) {
            got = -errno;
        }
        if (got != -EAGAIN) {
            return got;
        }
        wait_for(client);
    }
}

static void expect_ack(struct client *client, const char *code, const char *control_id)
{
    struct ack_reply reply;
    char data[1024];
    ssize_t got = receive(client, data, sizeof(data)); /* the answer leaves in one write */

    assert_true(got > 3);
    assert_int_equal(data[0], MLLP_VT);
    assert_int_equal(data[got - 1], MLLP_CR);
    assert_int_equal(ack_read(span_of(data + 1, (size_t)got - 3), &reply), 0);
    assert_string_equal(ack_code_text(reply.code), code);
    assert_true(span_equal_string(reply.control_id, control_id));
}

static void expect_end(struct client *client)
{
    char data[1024];

    assert_int_equal(receive(client, data, sizeof(data)), 0);
}

static void disconnect(struct client *client)
{
    tls_session_free(&client->tls);
    tls_client_free(&client->context);
    close(client->fd);
}

/* ---- tests ---- */

static void count_done(struct ingress_census *census)
{
    sem_post(census->context);
}

static void no_wake(struct mailbox *mailbox)
{
    (void)mailbox;
}

static size_t census_of(struct site *site)
{
    struct ingress_census *census = ingress_census_new();
    struct mailbox mailbox;
    sem_t done;
    size_t count;

    assert_non_null(census);
    sem_init(&done, 0, 0);
    mailbox_init(&mailbox, no_wake);
    census->reply_to = &mailbox;
    census->done = count_done;
    census->context = &done;
    ingress_census(site->ingress, census);
    while (sem_trywait(&done) != 0) {
        mailbox_drain(&mailbox);
        poll(NULL, 0, 1);
    }
    count = census->count;
    for (size_t i = 0; i < count; i++) {
        assert_string_equal(census->connections[i].address, "127.0.0.1");
        assert_string_equal(census->connections[i].state, "open");
    }
    ingress_census_free(&census);
    sem_destroy(&done);
    return count;
}

static void many_plain_connections(void **state)
{
    struct client clients[40];
    struct site site;

    (void)state;
    site_open(&site, "");
    for (size_t i = 0; i < 40; i++) {
        clients[i] = connect_to(site.plain_port);
    }
    for (int round = 0; round < 20; round++) {
        char message[128], id[16];
        for (size_t i = 0; i < 40; i++) {
            snprintf(id, sizeof(id), "%d-%zu", round, i);
            snprintf(message, sizeof(message), "\vMSH|^~\\&|A|B|C|D|||ADT^A01|%s|P|2.5\r\x1c\r",
                     id);
            send_text(&clients[i], message);
        }
        for (size_t i = 0; i < 40; i++) {
            snprintf(id, sizeof(id), "%d-%zu", round, i);
            expect_ack(&clients[i], "AA", id);
        }
    }
    assert_int_equal(census_of(&site), 40);
    for (size_t i = 0; i < 20; i++) {
        disconnect(&clients[i]);
    }
    site_close(&site); /* the others are open still */
    for (size_t i = 20; i < 40; i++) {
        disconnect(&clients[i]);
    }
}

static void limits_over_workers(void **state)
{
    struct client clients[6];
    struct site site;

    (void)state;
    site_open(&site, "maximum_connections = 5;");
    for (size_t i = 0; i < 6; i++) {
        clients[i] = connect_to(site.plain_port);
        if (i < 5) {
            send_text(&clients[i], MESSAGE("M1"));
            expect_ack(&clients[i], "AA", "M1");
        }
    }
    expect_end(&clients[5]);
    assert_true(logged(&site, "reason=connection-limit-listener"));
    for (size_t i = 0; i < 6; i++) {
        disconnect(&clients[i]);
    }
    site_close(&site);
}

static void mutual_tls(void **state)
{
    struct client good, stranger, plain, silent;
    struct site site;
    char data[64];

    (void)state;
    site_open(&site, "");
    good = connect_to(site.tls_port);
    assert_int_equal(begin_tls(&good, "client1"), 0);
    send_text(&good, MESSAGE("M1") MESSAGE("M2"));
    expect_ack(&good, "AA", "M1");
    expect_ack(&good, "AA", "M2");
    stranger = connect_to(site.tls_port);
    if (begin_tls(&stranger, "client2") == 0) {
        assert_true(receive(&stranger, data, sizeof(data)) <= 0);
    }
    assert_true(logged(&site, "reason=certificate-not-listed"));
    plain = connect_to(site.tls_port);
    send_text(&plain, MESSAGE("M3"));
    assert_true(logged(&site, "reason=plain-on-tls-port"));
    silent = connect_to(site.tls_port);
    disconnect(&silent);
    send_text(&good, MESSAGE("M4"));
    expect_ack(&good, "AA", "M4");
    disconnect(&stranger);
    disconnect(&plain);
    disconnect(&good);
    site_close(&site);
}

/* waits: how often the handshakes' turn has not come yet; early: they had it all the same */
static atomic_int waits, looks, charges, early;

int64_t __real_share_wait_ns(const struct share *share, int64_t now_ns, bool others);
int64_t __wrap_share_wait_ns(const struct share *share, int64_t now_ns, bool others);
void __real_share_charge(struct share *share, int64_t began_ns, int64_t ended_ns);
void __wrap_share_charge(struct share *share, int64_t began_ns, int64_t ended_ns);

int64_t __wrap_share_wait_ns(const struct share *share, int64_t now_ns, bool others)
{
    atomic_fetch_add(&looks, 1);
    if (atomic_load(&waits) > 0) {
        atomic_fetch_sub(&waits, 1);
        return 1000000;
    }
    return __real_share_wait_ns(share, now_ns, others);
}

void __wrap_share_charge(struct share *share, int64_t began_ns, int64_t ended_ns)
{
    atomic_fetch_add(&charges, 1);
    atomic_fetch_add(&early, atomic_load(&waits) > 0 || ended_ns < began_ns);
    __real_share_charge(share, began_ns, ended_ns);
}

/* A handshake waits while others are owed time, is come back for though its socket stays quiet, and is
 * charged for what it took; messages don't wait meanwhile. */
static void handshakes_have_their_share(void **state)
{
    struct client plain, client;
    struct site site;

    (void)state;
    site_open(&site, "");
    plain = connect_to(site.plain_port);
    atomic_store(&looks, 0);
    atomic_store(&charges, 0);
    atomic_store(&waits, 1000000);
    client = connect_to(site.tls_port);
    assert_int_equal(send(client.fd, "\x16\x03\x01", 3, MSG_NOSIGNAL), 3);
    for (int i = 0; i < 5000 && atomic_load(&looks) < 20; i++) {
        send_text(&plain, MESSAGE("M1"));
        expect_ack(&plain, "AA", "M1");
    }
    assert_true(atomic_load(&looks) >= 20); /* it has come, and does not get in */
    assert_int_equal(atomic_load(&charges), 0);
    disconnect(&client);
    atomic_store(&waits, 20);
    client = connect_to(site.tls_port);
    assert_int_equal(begin_tls(&client, "client1"), 0);
    assert_int_equal(atomic_load(&waits), 0);
    assert_true(atomic_load(&charges) > 0);
    assert_int_equal(atomic_load(&early), 0);
    disconnect(&client);
    disconnect(&plain);
    site_close(&site);
}

/* A load balancer's probe, refused clients apart: nothing in the log. */
static void probes_make_no_noise(void **state)
{
    struct site site;

    (void)state;
    site_open(&site, "");
    for (int i = 0; i < 20; i++) {
        struct client tls = connect_to(site.tls_port), plain = connect_to(site.plain_port);
        disconnect(&tls);
        disconnect(&plain);
    }
    for (int tries = 0; tries < 1000 && limits_listener_connections(site.limits, "tls") +
                                                limits_listener_connections(site.limits, "plain") >
                                            0;
         tries++) {
        poll(NULL, 0, 10);
    }
    assert_int_equal(lseek(site.log_fd, 0, SEEK_END), 0);
    site_close(&site);
}

/* A certificate that a new CRL revokes ends its connection; its neighbour stays. */
static void revoked_by_a_reload(void **state)
{
    struct client good, revoked;
    struct snapshot *snapshot;
    struct site site;
    char crl[700];

    (void)state;
    site_open(&site, "");
    good = connect_to(site.tls_port);
    revoked = connect_to(site.tls_port);
    assert_int_equal(begin_tls(&good, "client1"), 0);
    assert_int_equal(begin_tls(&revoked, "revoked"), 0);
    send_text(&revoked, MESSAGE("M1"));
    expect_ack(&revoked, "AA", "M1");
    snprintf(crl, sizeof(crl), "crl = \"%s\";", pki_file("ca.crl"));
    snapshot = make_snapshot(&site, crl, "");
    assert_int_equal(ingress_apply(site.ingress, snapshot), 0);
    expect_end(&revoked); /* with a close_notify */
    assert_true(logged(&site, "event=certificate-refused-again"));
    send_text(&good, MESSAGE("M2"));
    expect_ack(&good, "AA", "M2");
    snapshot_release(&snapshot);
    disconnect(&good);
    disconnect(&revoked);
    site_close(&site);
}

/* Who waits for the workers knows that each of them has the new snapshot; and gets back when none of
 * them is there to take it. */
/* The snapshot with what is known of the tunnel now, in all workers. */
static void know(struct site *site, const struct admission_tunnel *tunnel, int64_t stays_until_ms,
                 int64_t heard_ms)
{
    struct selector local, remote;
    struct admission_child child = {&local, &remote, 1, 1, ADMISSION_FOREVER, stays_until_ms};
    struct admission_tunnel told = *tunnel;
    struct admission_known known = {.tunnels = &told, .tunnel_count = 1, .heard_ms = heard_ms};
    struct snapshot *snapshot;
    char error[512];

    assert_null(selector_parse("127.0.0.1/32", strlen("127.0.0.1/32"), &local));
    assert_null(selector_parse("127.0.1.0/24", strlen("127.0.1.0/24"), &remote));
    told.children = &child;
    told.child_count = 1;
    snapshot = snapshot_with(site->snapshot, &known, error);
    assert_non_null(snapshot);
    assert_int_equal(ingress_apply_and_wait(site->ingress, snapshot, PATIENCE_MS), 0);
    snapshot_release(&snapshot);
}

static void ask(struct client *client, const char *text, const char *control_id)
{
    send_text(client, text);
    expect_ack(client, "AA", control_id);
}

/* What workers were told of tunnels ends by itself, and is prolonged by lines that come. */
static void what_is_known_of_tunnels_runs_out(void **state)
{
    const struct admission_tunnel always = {.name = "site", .reason = REASON_TUNNEL_DOWN};
    const struct admission_tunnel live = {.name = "site",
                                          .reason = REASON_TUNNEL_DOWN,
                                          .live = true,
                                          .enters_ms = 60000,
                                          .stays_ms = 60000};
    int64_t now_ms = clock_monotonic_ms(clock_system());
    struct client ward, other;
    struct site site;

    (void)state;
    site_open(&site, "");
    know(&site, &always, ADMISSION_FOREVER, now_ms);
    other = connect_to(site.plain_port);
    ward = connect_from("127.0.1.5", site.through_port);
    ask(&ward, MESSAGE("M1"), "M1");
    ingress_heard(site.ingress, now_ms);
    know(&site, &live, ADMISSION_FOREVER, now_ms - 120000); /* by itself it would be over */
    ask(&ward, MESSAGE("M2"), "M2");
    know(&site, &live, clock_monotonic_ms(clock_system()) + 50, now_ms); /* nobody says more */
    expect_end(&ward);
    ask(&other, MESSAGE("M3"), "M3");
    disconnect(&ward);
    disconnect(&other);
    site_close(&site);
}

static void applied_and_waited_for(void **state)
{
    struct client client;
    struct snapshot *snapshot;
    char long_text[600] = "";
    struct site site;

    (void)state;
    site_open(&site, "");
    client = connect_to(site.plain_port);
    send_text(&client, MESSAGE("M1"));
    expect_ack(&client, "AA", "M1");
    snapshot = make_snapshot(&site, "", "maximum_frame_bytes = 400;");
    assert_int_equal(ingress_apply_and_wait(site.ingress, snapshot, PATIENCE_MS), 0);
    memset(long_text, 'x', sizeof(long_text) - 1);
    send_text(&client, "\vMSH|^~\\&|APP|FAC|GW|HUB|||ADT^A01|M2|P|2.5\rPID|");
    send_text(&client, long_text);
    expect_ack(&client, "AR", "M2");
    disconnect(&client);
    ingress_stop(site.ingress);
    assert_int_equal(ingress_apply_and_wait(site.ingress, site.snapshot, 0), -ETIMEDOUT);
    snapshot_release(&snapshot);
    site_close(&site);
}

/* Many are decided in many turns. Who speaks before his turn has come is refused all the same; who is
 * quiet hears of it by and by. */
static void applied_to_many(void **state)
{
    struct client clients[60];
    struct snapshot *snapshot;
    struct site site;
    char data[64];

    (void)state;
    site_open(&site, "");
    for (size_t i = 0; i < 60; i++) {
        clients[i] = connect_to(site.plain_port);
        send_text(&clients[i], MESSAGE("M1"));
        expect_ack(&clients[i], "AA", "M1");
    }
    snapshot = make_snapshot(&site, "", "proxy_from = [ \"127.9.9.9\" ];");
    assert_int_equal(ingress_apply_and_wait(site.ingress, snapshot, PATIENCE_MS), 0);
    for (size_t i = 0; i < 60; i += 2) {
        (void)!send(clients[i].fd, MESSAGE("M2"), strlen(MESSAGE("M2")), MSG_NOSIGNAL);
    }
    for (size_t i = 0; i < 60; i++) {
        ssize_t got = receive(&clients[i], data, sizeof(data));
        assert_true(got == 0 || got == -ECONNRESET); /* never an answer */
        disconnect(&clients[i]);
    }
    assert_int_equal(census_of(&site), 0);
    snapshot_release(&snapshot);
    site_close(&site);
}

static void drained(void *context)
{
    sem_post(context);
}

static void drain(void **state)
{
    struct client idle, busy, late;
    struct timespec deadline;
    struct site site;

    (void)state;
    site_open(&site, "");
    idle = connect_to(site.plain_port);
    busy = connect_to(site.plain_port);
    send_text(&idle, MESSAGE("M1"));
    expect_ack(&idle, "AA", "M1");
    send_text(&busy, MESSAGE("M2") "\vMSH|^~\\&|A|B|C|D|||ADT^A01|M3|P|2.5\r");
    expect_ack(&busy, "AA", "M2");
    poll(NULL, 0, 50); /* the open frame has been read */
    ingress_drain(site.ingress, drained, &site.done);
    expect_end(&idle);
    send_text(&busy, "PID|1\r\x1c\r");
    expect_ack(&busy, "AA", "M3");
    expect_end(&busy);
    disconnect(&busy);
    clock_gettime(CLOCK_REALTIME, &deadline);
    deadline.tv_sec += PATIENCE_MS / 1000;
    assert_int_equal(sem_timedwait(&site.done, &deadline), 0);
    late.fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(late.fd,
                             (const struct sockaddr *)&(struct sockaddr_in){
                                 .sin_family = AF_INET,
                                 .sin_port = htons((uint16_t)site.plain_port),
                                 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)},
                             sizeof(struct sockaddr_in)),
                     -1);
    close(late.fd);
    disconnect(&idle);
    site_close(&site);
}

/* The port is another's, who may share it like another gateway, or not: a sentence, and nothing is
 * left behind. */
static void a_port_that_is_taken(void **state)
{
    struct ingress_settings settings = {.workers = WORKERS};
    struct site site;
    char error[512];

    (void)state;
    site_open(&site, "");
    struct site other = {.plain_port = site.plain_port, .tls_port = site.tls_port};
    struct snapshot *snapshot = make_snapshot(&other, "", "");
    settings.metrics = site.metrics;
    settings.limits = site.limits;
    settings.sequences = site.sequences;
    assert_null(ingress_new(&settings, snapshot, error));
    assert_non_null(strstr(error, "Address already in use"));
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0); /* without SO_REUSEPORT */
    struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof(in);
    assert_int_equal(bind(fd, (const struct sockaddr *)&in, sizeof(in)), 0);
    assert_int_equal(listen(fd, 1), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&in, &size), 0);
    other.plain_port = ntohs(in.sin_port);
    snapshot_release(&snapshot);
    snapshot = make_snapshot(&other, "", "");
    assert_null(ingress_new(&settings, snapshot, error));
    assert_non_null(strstr(error, "listeners.plain: can't listen on 127.0.0.1:"));
    snapshot_release(&snapshot);
    close(fd);
    site_close(&site);
}

static int group_setup(void **state)
{
    (void)state;
    pki_make();
    return tls_global_init();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(probes_make_no_noise),
        cmocka_unit_test(many_plain_connections),
        cmocka_unit_test(limits_over_workers),
        cmocka_unit_test(mutual_tls),
        cmocka_unit_test(handshakes_have_their_share),
        cmocka_unit_test(revoked_by_a_reload),
        cmocka_unit_test(what_is_known_of_tunnels_runs_out),
        cmocka_unit_test(applied_and_waited_for),
        cmocka_unit_test(applied_to_many),
        cmocka_unit_test(drain),
        cmocka_unit_test(a_port_that_is_taken),
    };
    return cmocka_run_group_tests(tests, group_setup, NULL);
}
