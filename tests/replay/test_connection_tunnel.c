/* links: ingress spool tls admission vpn hl7 loop base config certs */
/* Connections that must come through a tunnel, as mllp-tunneld's lines come, or don't. */
#include "support/replay_connection.h"

#include "admission/tunnel_view.h"

#define NET "{\"uniqueid\":1,\"local_ts\":[\"10.20.0.0/24\"],\"remote_ts\":[\"10.10.0.0/16\"]}"
#define REKEYED "{\"uniqueid\":2,\"local_ts\":[\"10.20.0.0/24\"],\"remote_ts\":[\"10.10.0.0/16\"]}"
#define NARROW "{\"uniqueid\":3,\"local_ts\":[\"10.20.0.0/24\"],\"remote_ts\":[\"10.10.0.0/30\"]}"
/* The settings are those of the configuration: tell(). */
#define TUNNEL(name, state, children)                                                              \
    "{\"name\":\"" name "\",\"settings\":\"@" name "\",\"state\":\"" state                         \
    "\",\"in_state_ms\":0,\"children\":[" children "]}"
#define UP TUNNEL("site", "up", NET)
#define DOWN TUNNEL("site", "down", "")

#define WITH(tunneld, tunnel)                                                                      \
    "gateway = { name = \"t\"; state_directory = \"state\"; };\nspool = { type = \"memory\"; };\n" \
    "tunneld = { " tunneld " };\n"                                                                 \
    "tunnels = ( { name = \"site\"; remote = \"192.0.2.1\"; psk_file = \"psk\";\n"                 \
    "              local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/16\" ];\n" \
    "              pair = \"second\"; " tunnel " },\n"                                             \
    "            { name = \"second\"; remote = \"192.0.2.2\"; psk_file = \"psk2\";\n"              \
    "              local_subnets = [ \"10.20.0.0/24\" ];\n"                                        \
    "              remote_subnets = [ \"10.10.0.0/16\" ]; } );\n"                                  \
    "peers = ( { name = \"lab\"; addresses = [ \"10.10.0.0/16\" ]; tunnel = \"site\"; },\n"        \
    "          { name = \"ward\"; addresses = [ \"10.9.0.0/16\" ]; } );\n"                         \
    "listeners = ( { name = \"adt\"; address = \"10.20.0.1:2575\";\n"                              \
    "                peers = [ \"lab\", \"ward\" ]; } );\n"                                        \
    "stores = ( { name = \"files\"; type = \"directory\"; path = \"messages\"; } );\n"             \
    "routes = ( { name = \"r\"; from = \"adt\"; to = \"files\"; } );\n"

struct play {
    struct replay *replay;
    struct tunnel_view *view;
    unsigned applied; /* how often connections were decided again */
    int sequence;
};

/* As the gateway does when the view says that admission must know. */
static void apply(struct play *play, bool changed)
{
    struct admission_known known = {0};

    if (changed) {
        tunnel_view_known(play->view, &known);
        replay_know(play->replay, &known);
        play->applied++;
    }
}

static void begin(struct play *play, const char *config)
{
    struct tunnel_view *view;

    *play = (struct play){.replay = replay_new(config), .view = tunnel_view_new(NULL, NULL)};
    assert_non_null(play->view);
    view =
        tunnel_view_next(play->view, play->replay->clock.monotonic, play->replay->snapshot->config);
    assert_non_null(view);
    tunnel_view_replace(&play->view, view);
    assert_int_equal(inet_pton(AF_INET, "10.20.0.1", &play->replay->local.sin_addr), 1);
}

static void end(struct play *play)
{
    tunnel_view_free(&play->view);
    replay_free(&play->replay);
}

/* text with each "@NAME" replaced by the digest of that tunnel's settings. */
static void with_settings(const struct config *config, const char *text, FILE *out)
{
    while (*text != '\0') {
        const struct config_tunnel *found = NULL;
        char digest[SETTINGS_DIGEST_BYTES];
        for (size_t i = 0; *text == '@' && i < config->tunnel_count; i++) {
            const char *name = config->tunnels[i].name;
            found = strncmp(text + 1, name, strlen(name)) == 0 ? &config->tunnels[i] : found;
        }
        if (found != NULL) {
            settings_digest(found, digest);
            fputs(digest, out);
        } else {
            fputc(*text, out);
        }
        text += found == NULL ? 1 : 1 + strlen(found->name);
    }
}

static void tell(struct play *play, const char *charon, const char *tunnels)
{
    int64_t now_ms = play->replay->clock.monotonic;
    struct status status;
    char *line = NULL, error[160];
    size_t length = 0;
    FILE *out = open_memstream(&line, &length);

    assert_non_null(out);
    fprintf(out, "{\"v\":1,\"sequence\":%d,\"at_ms\":%lld,\"charon\":\"%s\",\"tunnels\":[",
            ++play->sequence, (long long)now_ms, charon);
    with_settings(play->replay->snapshot->config, tunnels, out);
    fputs("]}", out);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(status_read(line, length, &status, error), 0);
    free(line);
    /* As the gateway does with every line. */
    if (play->replay->world.heard_ms < now_ms) {
        play->replay->world.heard_ms = now_ms;
    }
    apply(play, tunnel_view_take(play->view, now_ms, &status));
}

static void line(struct play *play, const char *tunnels)
{
    tell(play, "connected", tunnels);
}

/* Time passes, and the view is looked at whenever it is due. */
static void advance(struct play *play, int64_t ms)
{
    int64_t until = play->replay->clock.monotonic + ms;

    while (play->replay->clock.monotonic < until) {
        int64_t due = tunnel_view_due_ms(play->view);
        due = due < until ? due : until;
        replay_advance(play->replay, due - play->replay->clock.monotonic);
        apply(play, tunnel_view_look(play->view, play->replay->clock.monotonic));
    }
}

/* Time passes, and whoever should look at the view hangs: the connections' thread is alone with what it was
 * told last. As the worker does it. */
static void advance_alone(struct play *play, int64_t ms)
{
    struct connection_world *world = &play->replay->world;
    int64_t until = play->replay->clock.monotonic + ms;

    while (play->replay->clock.monotonic < until) {
        int64_t due = connection_world_due_ms(world);
        due = due < until ? due : until;
        replay_advance(play->replay, due - play->replay->clock.monotonic);
        if (connection_world_run_out(world)) {
            assert_false(connection_world_decide(world, REPLAY_CLIENTS));
            replay_settle(play->replay);
        }
    }
}

static unsigned refused(struct play *play, const char *address, enum reason reason)
{
    unsigned client = replay_connect(play->replay, address);

    replay_expect_closed(play->replay, client, reason);
    return client;
}

static void message(struct play *play, unsigned client)
{
    replay_text(play->replay, client, REPLAY_MESSAGE("M1"));
    replay_answer(play->replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(play->replay, client, "AA", "M1");
}

/* ---- who is let in ---- */

static void only_through_the_tunnel(void **state)
{
    struct play play;
    unsigned lab;

    (void)state;
    begin(&play, WITH("", ""));
    refused(&play, "10.10.0.5", REASON_TUNNEL_UNKNOWN); /* nothing was heard yet */
    line(&play, DOWN "," TUNNEL("second", "connecting", ""));
    refused(&play, "10.10.0.5", REASON_TUNNEL_DOWN);
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.5");
    message(&play, lab);
    line(&play, TUNNEL("site", "up", NARROW));
    replay_expect_closed(play.replay, lab, REASON_TUNNEL_DOWN);
    refused(&play, "10.10.0.5", REASON_TUNNEL_DOWN);
    replay_expect_open(play.replay, replay_connect(play.replay, "10.10.0.1"));
    end(&play);
}

/* What came to another address of ours came another way. */
static void to_the_right_address(void **state)
{
    struct play play;

    (void)state;
    begin(&play, WITH("", ""));
    line(&play, UP);
    assert_int_equal(inet_pton(AF_INET, "198.51.100.4", &play.replay->local.sin_addr), 1);
    refused(&play, "10.10.0.5", REASON_TUNNEL_DOWN);
    end(&play);
}

static void either_of_a_pair(void **state)
{
    struct play play;
    unsigned lab;

    (void)state;
    begin(&play, WITH("", ""));
    line(&play, UP "," TUNNEL("second", "up", NET));
    lab = replay_connect(play.replay, "10.10.0.5");
    line(&play, DOWN "," TUNNEL("second", "up", NET));
    message(&play, lab);
    line(&play, UP "," TUNNEL("second", "down", ""));
    message(&play, lab);
    line(&play, DOWN "," TUNNEL("second", "down", ""));
    replay_expect_closed(play.replay, lab, REASON_TUNNEL_DOWN);
    end(&play);
}

/* ---- it goes down ---- */

static void down(void **state)
{
    struct play play;
    unsigned idle, in_frame, busy, writing, ward;

    (void)state;
    begin(&play, WITH("", ""));
    line(&play, UP);
    idle = replay_connect(play.replay, "10.10.0.1");
    in_frame = replay_connect(play.replay, "10.10.0.2");
    busy = replay_connect(play.replay, "10.10.0.3");
    writing = replay_connect(play.replay, "10.10.0.4");
    ward = replay_connect(play.replay, "10.9.0.1"); /* has no tunnel */
    replay_text(play.replay, in_frame, "\v" REPLAY_MSH("M2") "\rPID");
    play.replay->clients[writing].window = 5;
    replay_text(play.replay, writing, REPLAY_MESSAGE("M4"));
    replay_answer(play.replay, SPOOL_SAFE, REASON_NONE);
    replay_text(play.replay, busy, REPLAY_MESSAGE("M3"));
    line(&play, DOWN);
    replay_expect_closed(play.replay, idle, REASON_TUNNEL_DOWN);
    replay_expect_closed(play.replay, in_frame, REASON_TUNNEL_DOWN);
    replay_expect_nothing(play.replay, in_frame);
    /* What is owed is answered when it is safe, and nothing is taken any more. */
    replay_answer(play.replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(play.replay, busy, "AA", "M3");
    replay_expect_state(play.replay, busy, CONNECTION_LINGER);
    replay_text(play.replay, busy, REPLAY_MESSAGE("M5"));
    replay_expect_nothing(play.replay, busy);
    replay_eof(play.replay, busy);
    replay_expect_closed(play.replay, busy, REASON_TUNNEL_DOWN);
    replay_window(play.replay, writing, SIZE_MAX);
    replay_expect_ack(play.replay, writing, "AA", "M4");
    replay_eof(play.replay, writing);
    replay_expect_closed(play.replay, writing, REASON_TUNNEL_DOWN);
    message(&play, ward);
    end(&play);
}

/* A message that can't be made safe while the tunnel goes is not answered positively. */
static void down_and_not_safe(void **state)
{
    struct play play;
    unsigned lab;

    (void)state;
    begin(&play, WITH("", ""));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.1");
    replay_text(play.replay, lab, REPLAY_MESSAGE("M1"));
    line(&play, DOWN);
    replay_expect_open(play.replay, lab);
    replay_answer(play.replay, SPOOL_UNAVAILABLE, REASON_SPOOL_FULL);
    advance(&play, 20000);
    replay_expect_nothing(play.replay, lab);
    assert_null(play.replay->clients[lab].connection);
    end(&play);
}

static void grace(void **state)
{
    struct play play;
    unsigned lab;

    (void)state;
    begin(&play, WITH("", "grace_s = 10;"));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.1");
    line(&play, DOWN);
    refused(&play, "10.10.0.2", REASON_TUNNEL_DOWN);
    message(&play, lab);
    advance(&play, 4000);
    line(&play, DOWN);
    advance(&play, 3000);
    line(&play, UP); /* in time */
    advance(&play, 4000);
    message(&play, lab);
    line(&play, DOWN);
    for (int i = 0; i < 9; i++) {
        advance(&play, 1000);
        line(&play, DOWN);
    }
    advance(&play, 999);
    replay_expect_open(play.replay, lab);
    advance(&play, 1);
    replay_expect_closed(play.replay, lab, REASON_TUNNEL_DOWN);
    end(&play);
}

/* One of two CHILD SAs goes: those who came by it have the grace, the others don't notice. */
static void grace_of_one_child(void **state)
{
    struct play play;
    unsigned lab, near;

    (void)state;
    begin(&play, WITH("", "grace_s = 10;"));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.5");
    near = replay_connect(play.replay, "10.10.0.1");
    line(&play, TUNNEL("site", "up", NARROW));
    message(&play, lab);
    refused(&play, "10.10.0.5", REASON_TUNNEL_DOWN);
    advance(&play, 4000);
    line(&play, UP);
    message(&play, lab);
    line(&play, TUNNEL("site", "up", NARROW));
    for (int i = 0; i < 3; i++) {
        advance(&play, 3000);
        line(&play, TUNNEL("site", "up", NARROW));
    }
    advance(&play, 999);
    replay_expect_open(play.replay, lab);
    advance(&play, 1);
    replay_expect_closed(play.replay, lab, REASON_TUNNEL_DOWN);
    message(&play, near);
    end(&play);
}

/* New keys, and two SAs for a while: no connection is even looked at. */
static void rekeys(void **state)
{
    struct play play;
    unsigned lab, applied;

    (void)state;
    begin(&play, WITH("", ""));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.1");
    applied = play.applied;
    line(&play, TUNNEL("site", "up", NET "," REKEYED));
    line(&play, TUNNEL("site", "up", REKEYED));
    line(&play, TUNNEL("site", "up", NET));
    assert_int_equal(play.applied, applied);
    message(&play, lab);
    end(&play);
}

/* ---- nothing is heard ---- */

static void held(void **state)
{
    struct play play;
    unsigned lab;

    (void)state;
    begin(&play, WITH("on_unknown = \"hold\"; hold_s = 60;", ""));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.1");
    advance(&play, 59000);
    message(&play, lab);
    replay_expect_open(play.replay, replay_connect(play.replay, "10.10.0.2"));
    advance(&play, 1001);
    refused(&play, "10.10.0.3", REASON_TUNNEL_UNKNOWN);
    advance(&play, 3600000);
    message(&play, lab);
    line(&play, DOWN); /* it went down meanwhile */
    replay_expect_closed(play.replay, lab, REASON_TUNNEL_DOWN);
    end(&play);
}

/* Down when it was last known: held is nobody. */
static void nothing_to_hold(void **state)
{
    struct play play;

    (void)state;
    begin(&play, WITH("", ""));
    line(&play, UP);
    line(&play, DOWN);
    advance(&play, 5000);
    refused(&play, "10.10.0.1", REASON_TUNNEL_UNKNOWN);
    end(&play);
}

static void closed(void **state)
{
    struct play play;
    unsigned idle, busy;

    (void)state;
    begin(&play, WITH("on_unknown = \"close\";", "grace_s = 60;"));
    line(&play, UP);
    idle = replay_connect(play.replay, "10.10.0.1");
    busy = replay_connect(play.replay, "10.10.0.2");
    replay_text(play.replay, busy, REPLAY_MESSAGE("M1"));
    advance(&play, 4999);
    replay_expect_open(play.replay, idle);
    advance(&play, 1);
    replay_expect_closed(play.replay, idle, REASON_TUNNEL_UNKNOWN);
    refused(&play, "10.10.0.1", REASON_TUNNEL_UNKNOWN);
    replay_answer(play.replay, SPOOL_SAFE, REASON_NONE);
    replay_expect_ack(play.replay, busy, "AA", "M1");
    replay_expect_state(play.replay, busy, CONNECTION_LINGER);
    line(&play, UP);
    replay_expect_open(play.replay, replay_connect(play.replay, "10.10.0.1"));
    tell(&play, "lost", UP);
    refused(&play, "10.10.0.3", REASON_TUNNEL_UNKNOWN);
    end(&play);
}

/* ---- nobody looks ---- */

static void a_grace_ends_by_itself(void **state)
{
    struct play play;
    unsigned lab;

    (void)state;
    begin(&play, WITH("", "grace_s = 10;"));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.1");
    line(&play, DOWN);
    advance_alone(&play, 9999);
    message(&play, lab);
    advance_alone(&play, 1);
    /* Nothing was heard for so long, either. */
    replay_expect_closed(play.replay, lab, REASON_TUNNEL_UNKNOWN);
    end(&play);
}

static void what_is_held_ends_by_itself(void **state)
{
    struct play play;
    unsigned lab;

    (void)state;
    begin(&play, WITH("on_unknown = \"hold\"; hold_s = 60;", ""));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.1");
    advance_alone(&play, 60000);
    replay_expect_open(play.replay, replay_connect(play.replay, "10.10.0.2"));
    advance_alone(&play, 1);
    refused(&play, "10.10.0.3", REASON_TUNNEL_UNKNOWN);
    advance_alone(&play, 3600000);
    message(&play, lab); /* sessions stay */
    end(&play);
}

static void sessions_close_by_themselves(void **state)
{
    struct play play;
    unsigned lab, ward;

    (void)state;
    begin(&play, WITH("on_unknown = \"close\";", ""));
    line(&play, UP);
    lab = replay_connect(play.replay, "10.10.0.1");
    ward = replay_connect(play.replay, "10.9.0.1");
    for (int i = 0; i < 5; i++) { /* lines come, and nothing else is said */
        advance_alone(&play, 4000);
        play.replay->world.heard_ms = play.replay->clock.monotonic;
        message(&play, lab);
    }
    replay_expect_open(play.replay, replay_connect(play.replay, "10.10.0.2"));
    advance_alone(&play, 5000);
    refused(&play, "10.10.0.3", REASON_TUNNEL_UNKNOWN);
    advance_alone(&play, 9999);
    message(&play, lab); /* a busy thread of ours is no silence */
    advance_alone(&play, 1);
    replay_expect_closed(play.replay, lab, REASON_TUNNEL_UNKNOWN);
    message(&play, ward);
    end(&play);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(only_through_the_tunnel),
        cmocka_unit_test(to_the_right_address),
        cmocka_unit_test(either_of_a_pair),
        cmocka_unit_test(down),
        cmocka_unit_test(down_and_not_safe),
        cmocka_unit_test(grace),
        cmocka_unit_test(grace_of_one_child),
        cmocka_unit_test(a_grace_ends_by_itself),
        cmocka_unit_test(what_is_held_ends_by_itself),
        cmocka_unit_test(sessions_close_by_themselves),
        cmocka_unit_test(rekeys),
        cmocka_unit_test(held),
        cmocka_unit_test(nothing_to_hold),
        cmocka_unit_test(closed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
