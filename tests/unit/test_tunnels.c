/* links: admission loop certs vpn config base */
/* wrap: loop_now_ms loop_refresh connect */
/* mllp-tunneld's status as it comes off a socket: in pieces, malformed, too long, from somebody else. */
#include "tunnel_metrics.c" /* the daemon's own, in no library */
#include "tunnels.c"

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>

#include <cmocka.h>

#define TEXT(text) ((char *)(uintptr_t)(text))
#define CHILD "{\"uniqueid\":1,\"local_ts\":[\"10.20.0.0/24\"],\"remote_ts\":[\"10.10.0.0/24\"]}"

static int64_t now_ms, machine_ms; /* the loop's; the machine's, where that has gone on meanwhile */
static int to_connect[2] = {-1,
                            -1}; /* what connect() shall make of its socket; -1: nobody listens */
static unsigned connects;

int64_t __wrap_loop_now_ms(const struct loop *loop);
int64_t __wrap_loop_now_ms(const struct loop *loop)
{
    (void)loop;
    return now_ms;
}

void __wrap_loop_refresh(struct loop *loop);
void __wrap_loop_refresh(struct loop *loop)
{
    (void)loop;
    now_ms = machine_ms > now_ms ? machine_ms : now_ms;
}

int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length);
int __wrap_connect(int fd, const struct sockaddr *address, socklen_t length)
{
    (void)length;
    assert_string_equal(((const struct sockaddr_un *)(const void *)address)->sun_path,
                        "/run/test.sock");
    connects++;
    if (to_connect[0] < 0) {
        errno = ENOENT;
        return -1;
    }
    assert_true(dup2(to_connect[0], fd) == fd);
    close(to_connect[0]);
    to_connect[0] = -1;
    return 0;
}

struct play {
    struct loop *loop;
    struct metrics *metrics;
    struct tunnel_reader *reader;
    struct config config;
    struct config_tunnel tunnel;
    char user[32];
    int tunneld; /* its end */
    unsigned told, refuse, heard;
    int64_t heard_ms;
    int log_fd;
};

static bool on_told(void *context)
{
    struct play *play = context;

    play->told++;
    if (play->refuse > 0) {
        play->refuse--;
        return false;
    }
    return true;
}

static void on_heard(void *context, int64_t heard_ms)
{
    struct play *play = context;

    play->heard++;
    play->heard_ms = heard_ms;
}

/* Somebody listens from now on. */
static void listens(struct play *play)
{
    int ends[2];

    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
    to_connect[0] = ends[0];
    play->tunneld = ends[1];
}

static void begin(struct play *play, uid_t user)
{
    now_ms = machine_ms = 1000000;
    connects = 0;
    *play = (struct play){.loop = loop_new("test"), .metrics = metrics_new(), .tunneld = -1};
    play->log_fd = memfd_create("log", MFD_CLOEXEC);
    log_configure(LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
    log_set_fd(play->log_fd);
    snprintf(play->user, sizeof(play->user), "%lu", (unsigned long)user);
    play->tunnel = (struct config_tunnel){.name = TEXT("site")};
    play->config = (struct config){.tunnels = &play->tunnel, .tunnel_count = 1};
    play->config.tunneld.status_socket = TEXT("/run/test.sock");
    play->config.tunneld.user = play->user;
    play->config.tunneld.hold_s = 60;
    play->reader = tunnel_reader_new(play->loop, play->metrics,
                                     &(struct tunnel_reader_owner){on_told, on_heard, play});
    assert_non_null(play->reader);
}

static void end(struct play *play)
{
    tunnel_reader_free(&play->reader);
    if (play->tunneld >= 0) {
        close(play->tunneld);
    }
    loop_free(&play->loop);
    metrics_free(play->metrics);
    log_set_fd(2);
    close(play->log_fd);
}

static unsigned logged(const struct play *play, const char *event)
{
    char text[65536];
    ssize_t length = pread(play->log_fd, text, sizeof(text) - 1, 0);
    unsigned count = 0;

    assert_true(length >= 0);
    text[length] = '\0';
    for (const char *at = text; (at = strstr(at, event)) != NULL; at++) {
        count++;
    }
    return count;
}

/* What the loop would do when so much time has passed. */
static void pass(struct play *play, int64_t ms)
{
    int64_t until = now_ms + ms;

    do {
        int64_t next = timers_next_ms(loop_timers(play->loop), now_ms);
        assert_true(next >= 0);
        now_ms = now_ms + next < until ? now_ms + next : until;
        timers_run(loop_timers(play->loop), now_ms);
    } while (now_ms < until);
}

static void says(struct play *play, const char *bytes, size_t length)
{
    assert_int_equal(write(play->tunneld, bytes, length), length);
    if (play->reader->fd >= 0) {
        on_readable(play->reader, UV_READABLE);
    }
}

static void writes_state(struct play *play, int sequence, const char *state)
{
    char line[512], settings[SETTINGS_DIGEST_BYTES];
    int length;

    settings_digest(&play->tunnel, settings);
    length =
        snprintf(line, sizeof(line),
                 "{\"v\":1,\"sequence\":%d,\"at_ms\":%lld,\"charon\":\"connected\",\"tunnels\":"
                 "[{\"name\":\"site\",\"settings\":\"%s\",\"state\":\"%s\",\"in_state_ms\":2000,"
                 "\"bytes_in\":77,\"packets_out\":5,\"rekeys\":3,\"children\":[%s]}]}\n",
                 sequence, (long long)(machine_ms > now_ms ? machine_ms : now_ms), settings, state,
                 strcmp(state, "up") == 0 ? CHILD : "");
    assert_int_equal(write(play->tunneld, line, (size_t)length), length);
}

static void says_state(struct play *play, int sequence, const char *state)
{
    writes_state(play, sequence, state);
    if (play->reader->fd >= 0) {
        on_readable(play->reader, UV_READABLE);
    }
}

static enum tunnel_state state_of(const struct play *play)
{
    return tunnel_view_at(tunnel_reader_view(play->reader), 0)->state;
}

static int64_t metric(const struct play *play, const struct metric_family *family,
                      const char *direction)
{
    const char *values[] = {"site", direction};

    return metric_value(metrics_slot(play->metrics, family, values));
}

/* ---- what comes ---- */

static void lines(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid());
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(connects, 1);
    assert_int_equal(play.told, 1); /* the rules may be older than what is known */
    assert_int_equal(metric(&play, &unknown_family, NULL), 1);
    says_state(&play, 1, "up");
    assert_int_equal(state_of(&play), TUNNEL_UP);
    assert_int_equal(play.told, 2);
    assert_int_equal(metric(&play, &up_family, NULL), 1);
    assert_int_equal(metric(&play, &unknown_family, NULL), 0);
    assert_int_equal(metric(&play, &seconds_family, NULL), 2);
    assert_int_equal(metric(&play, &bytes_family, "in"), 77);
    assert_int_equal(metric(&play, &packets_family, "out"), 5);
    assert_int_equal(metric(&play, &rekeys_family, NULL), 3);
    pass(&play, 3000);
    assert_int_equal(metric(&play, &seconds_family, NULL), 5); /* also without a line */
    says_state(&play, 2, "up");
    assert_int_equal(play.told, 2);
    says_state(&play, 3, "down");
    assert_int_equal(play.told, 3);
    assert_int_equal(metric(&play, &up_family, NULL), 0);
    assert_int_equal(logged(&play, "event=tunnel-up"), 1);
    assert_int_equal(logged(&play, "event=tunnel-down"), 1);
    says_state(&play, 4, "connecting");
    assert_int_equal(logged(&play, "event=tunnel-down"), 1);
    end(&play);
}

static void in_pieces(void **state)
{
    static const char text[] =
        "{\"v\":1,\"sequence\":1,\"charon\":\"lost\",\"tunnels\":[]}\n"
        "{\"v\":1,\"sequence\":2,\"charon\":\"connected\",\"tunnels\":[]}\n{\"v\":1,";
    static const char rest[] = "\"sequence\":3,\"charon\":\"lost\",\"tunnels\":[]}\n";
    struct play play;

    (void)state;
    begin(&play, getuid());
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    for (const char *at = text; *at != '\0'; at++) {
        says(&play, at, 1);
    }
    assert_int_equal(state_of(&play), TUNNEL_DOWN);
    assert_int_equal(play.reader->sequence, 2);
    says(&play, rest, strlen(rest));
    assert_int_equal(play.reader->sequence, 3);
    assert_int_equal(state_of(&play), TUNNEL_UNKNOWN);
    end(&play);
}

/* What can't be believed ends the connection; what is known stays until it is too old. */
static void malformed(void **state)
{
    static const struct {
        const char *bytes, *words;
    } cases[] = {
        {"nonsense\n", "a line is malformed: the line is no JSON object"},
        {"{\"v\":2}\n", "a line is malformed: v is not the version"},
        {"\n", "a line is malformed"},
        {"{\"v\":1,\"sequence\":1,\"charon\":\"connected\",\"tunnels\":[]}\n",
         "a line is malformed: its sequence does not go on"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct play play;
        begin(&play, getuid());
        listens(&play);
        tunnel_reader_use(play.reader, &play.config);
        says_state(&play, 1, "up");
        says(&play, cases[i].bytes, strlen(cases[i].bytes));
        assert_int_equal(play.reader->fd, -1);
        assert_non_null(strstr(tunnel_reader_problem(play.reader), cases[i].words));
        assert_int_equal(state_of(&play), TUNNEL_UP);
        pass(&play, TUNNEL_VIEW_SILENT_MS);
        assert_int_equal(state_of(&play), TUNNEL_UNKNOWN);
        assert_int_equal(logged(&play, "event=tunnel-unknown"), 1);
        end(&play);
    }
}

static void a_line_without_an_end(void **state)
{
    static char bytes[32768];
    struct play play;
    size_t sent = 0;

    (void)state;
    memset(bytes, ' ', sizeof(bytes));
    begin(&play, getuid());
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    while (play.reader->fd >= 0) {
        assert_true(sent < STATUS_LINE_MAXIMUM);
        says(&play, bytes, sizeof(bytes));
        sent += sizeof(bytes);
    }
    assert_int_equal(sent, STATUS_LINE_MAXIMUM);
    assert_string_equal(tunnel_reader_problem(play.reader), "a line is too long");
    assert_int_equal(play.reader->line.capacity, 0);
    end(&play);
}

/* ---- connecting ---- */

/* Tried at growing intervals, said once, and again when it is something else. */
static void nobody_listens(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid());
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(connects, 1);
    pass(&play, 250);
    assert_int_equal(connects, 2);
    pass(&play, 500);
    assert_int_equal(connects, 3);
    pass(&play, 1000 + 2000 + 4000);
    assert_int_equal(connects, 6);
    pass(&play, 40000);
    assert_int_equal(connects, 16);
    assert_int_equal(logged(&play, "event=tunnel-status-lost"), 1);
    listens(&play);
    pass(&play, 4000);
    assert_int_equal(logged(&play, "event=tunnel-status-connected"), 0); /* it has said nothing */
    says_state(&play, 1, "up");
    assert_int_equal(logged(&play, "event=tunnel-status-connected"), 1);
    assert_string_equal(tunnel_reader_problem(play.reader), "");
    /* It goes, and comes back with a sequence of its own: no tunnel has changed. */
    close(play.tunneld);
    on_readable(play.reader, UV_READABLE);
    assert_string_equal(tunnel_reader_problem(play.reader), "mllp-tunneld closed the connection");
    listens(&play);
    pass(&play, 250);
    says_state(&play, 1, "up");
    assert_int_equal(state_of(&play), TUNNEL_UP);
    assert_int_equal(logged(&play, "event=tunnel-unknown"), 0);
    end(&play);
}

/* The loop was busy: lines that lie there unread are no silence. */
static void a_busy_loop_is_no_silence(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid());
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    says_state(&play, 1, "up");
    now_ms += 20000;
    writes_state(&play, 2, "up");
    timers_run(loop_timers(play.loop), now_ms);
    assert_int_equal(state_of(&play), TUNNEL_UP);
    assert_int_equal(logged(&play, "event=tunnel-unknown"), 0);
    end(&play);
}

/* Nor is a reload that takes long, whose callback leaves the loop's time where it was. */
static void a_long_reload_is_no_silence(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid());
    play.config.tunneld.on_unknown = CONFIG_ON_UNKNOWN_CLOSE;
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    says_state(&play, 1, "up");
    assert_non_null(tunnel_reader_prepare(play.reader, &play.config));
    machine_ms += 6000;
    writes_state(&play, 2, "up");
    tunnel_reader_use(play.reader, &play.config);
    now_ms = machine_ms; /* the next iteration: what has just been read is no old line */
    timers_run(loop_timers(play.loop), now_ms);
    assert_int_equal(state_of(&play), TUNNEL_UP);
    pass(&play, 4999);
    assert_int_equal(state_of(&play), TUNNEL_UP);
    assert_int_equal(logged(&play, "event=tunnel-unknown"), 0);
    pass(&play, 1);
    assert_int_equal(state_of(&play), TUNNEL_UNKNOWN);
    /* What is read in the same iteration is not of before, either. */
    machine_ms = now_ms + 6000;
    says_state(&play, 3, "up");
    assert_int_equal(play.heard_ms, machine_ms);
    end(&play);
}

/* Each line is told of, as what is said of the tunnels is good for a while only. */
static void lines_are_heard(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid());
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(play.heard, 0);
    for (int i = 1; i <= 3; i++) {
        now_ms += 1000;
        says_state(&play, i, "up");
        assert_int_equal(play.heard, i);
        assert_int_equal(play.heard_ms, now_ms);
    }
    assert_int_equal(play.told, 2); /* at first, and up */
    pass(&play, 10000);
    assert_int_equal(play.heard, 3);
    end(&play);
}

/* ---- another configuration ---- */

/* What a reload brings is known before it is in use, and nothing is told or logged until it is. */
static void prepared(void **state)
{
    const struct tunnel_view *view;
    struct play play;
    struct config none;

    (void)state;
    begin(&play, getuid());
    none = play.config;
    none.tunnels = &(struct config_tunnel){.name = TEXT("another")};
    listens(&play);
    tunnel_reader_use(play.reader, &none);
    says_state(&play, 1, "up");
    play.told = 0;
    view = tunnel_reader_prepare(play.reader, &play.config);
    assert_int_equal(tunnel_view_at(view, 0)->state, TUNNEL_UP);
    assert_int_equal(logged(&play, "event=tunnel-up"), 0);
    tunnel_reader_forget(play.reader); /* the reload is refused */
    assert_string_equal(tunnel_view_at(tunnel_reader_view(play.reader), 0)->name, "another");
    assert_int_equal(logged(&play, "event=tunnel-up"), 0);
    assert_non_null(tunnel_reader_prepare(play.reader, &play.config));
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(state_of(&play), TUNNEL_UP);
    assert_int_equal(logged(&play, "event=tunnel-up"), 1);
    assert_int_equal(play.told, 0); /* rules were made of it */
    end(&play);
}

static bool is_shown(const struct play *play, const char *text)
{
    struct buffer out;
    bool found;

    buffer_init(&out, 1 << 20);
    assert_int_equal(metrics_render(play->metrics, &out), 0);
    assert_int_equal(buffer_append(&out, "", 1), 0);
    found = strstr(buffer_span(&out).data, text) != NULL;
    buffer_free(&out);
    return found;
}

/* A tunnel that is not configured any more is neither up nor down. */
static void metrics_of_removed_tunnels(void **state)
{
    struct play play;
    struct config none;

    (void)state;
    begin(&play, getuid());
    none = play.config;
    none.tunnel_count = 0;
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    says_state(&play, 1, "up");
    assert_true(is_shown(&play, "mllpgw_tunnel_up{tunnel=\"site\"} 1"));
    assert_true(is_shown(&play, "mllpgw_tunnel_bytes_total{tunnel=\"site\",direction=\"in\"} 77"));
    assert_non_null(tunnel_reader_prepare(play.reader, &none));
    assert_true(is_shown(&play, "mllpgw_tunnel_up{tunnel=\"site\"} 1"));
    tunnel_reader_use(play.reader, &none);
    assert_false(is_shown(&play, "site"));
    end(&play);
}

static void told_again_until_it_is_acted_upon(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid());
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    play.refuse = 2;
    play.told = 0;
    says_state(&play, 1, "up");
    assert_int_equal(play.told, 1);
    pass(&play, 1000);
    assert_int_equal(play.told, 2);
    assert_int_equal(play.heard, 0); /* what the rules say is not so any more: not prolonged */
    pass(&play, 2000);
    assert_int_equal(play.told, 3);
    assert_int_equal(play.heard, 1);
    end(&play);
}

static void without_tunnels(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid());
    play.config.tunnel_count = 0;
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(connects, 0);
    assert_int_equal(timers_next_ms(loop_timers(play.loop), now_ms), -1);
    play.config.tunnel_count = 1; /* a reload brings one, and another takes it away */
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(connects, 1);
    play.config.tunnel_count = 0;
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(play.reader->fd, -1);
    end(&play);
}

/* ---- who listens ---- */

/* The other end is this process, and not the user that is wanted. */
static void somebody_else_is_not_believed(void **state)
{
    struct play play;

    (void)state;
    begin(&play, getuid() + 1);
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(play.reader->fd, -1);
    assert_non_null(strstr(tunnel_reader_problem(play.reader), "its status is not believed"));
    pass(&play, 250);
    assert_int_equal(connects, 2);
    assert_int_equal(logged(&play, "event=tunnel-status-lost"), 2); /* now nobody is there at all */
    end(&play);
}

static void a_user_that_does_not_exist(void **state)
{
    struct play play;

    (void)state;
    begin(&play, 0);
    snprintf(play.user, sizeof(play.user), "no-such-user");
    listens(&play);
    tunnel_reader_use(play.reader, &play.config);
    assert_int_equal(connects, 0);
    assert_non_null(strstr(tunnel_reader_problem(play.reader), "no such user"));
    close(to_connect[0]);
    to_connect[0] = -1;
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(lines),
        cmocka_unit_test(in_pieces),
        cmocka_unit_test(malformed),
        cmocka_unit_test(a_line_without_an_end),
        cmocka_unit_test(nobody_listens),
        cmocka_unit_test(a_busy_loop_is_no_silence),
        cmocka_unit_test(a_long_reload_is_no_silence),
        cmocka_unit_test(lines_are_heard),
        cmocka_unit_test(prepared),
        cmocka_unit_test(metrics_of_removed_tunnels),
        cmocka_unit_test(told_again_until_it_is_acted_upon),
        cmocka_unit_test(without_tunnels),
        cmocka_unit_test(somebody_else_is_not_believed),
        cmocka_unit_test(a_user_that_does_not_exist),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
