/* links: admission certs vpn config base */
/* What is believed of tunnels: from lines, and from silence. Time is the test's. */
#include "admission/tunnel_view.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define TEXT(text) ((char *)(uintptr_t)(text))
#define CHILD(id, local, remote)                                                                   \
    "{\"uniqueid\":" #id ",\"local_ts\":[" local "],\"remote_ts\":[" remote "]}"
#define NET CHILD(1, "\"10.20.0.0/24\"", "\"10.10.0.0/24\"")
#define SITE(state, ms, children)                                                                  \
    "{\"name\":\"site\",\"state\":\"" state "\",\"in_state_ms\":" #ms ",\"children\":[" children   \
    "]}"
#define UP SITE("up", 0, NET)
#define DOWN SITE("down", 0, "")

struct play {
    struct tunnel_view *view;
    int64_t now_ms;
    struct config config;
    struct config_tunnel tunnels[2];
    char log[512];
    uint64_t sequence;
};

static void on_changed(void *context, const struct tunnel_seen *tunnel, enum tunnel_state before)
{
    struct play *play = context;
    size_t used = strlen(play->log);

    snprintf(play->log + used, sizeof(play->log) - used, "%s:%s>%s ", tunnel->name,
             tunnel_state_text(before), tunnel_state_text(tunnel->state));
}

#define expect_log(play, wanted)                                                                   \
    do {                                                                                           \
        assert_string_equal((play)->log, wanted);                                                  \
        (play)->log[0] = '\0';                                                                     \
    } while (0)

static void begin(struct play *play, enum config_on_unknown on_unknown, int64_t hold_s,
                  int64_t grace_s)
{
    *play = (struct play){.now_ms = 1000000};
    play->tunnels[0] = (struct config_tunnel){.name = TEXT("site"), .grace_s = grace_s};
    play->tunnels[1] = (struct config_tunnel){.name = TEXT("other"), .ready = true};
    play->config = (struct config){.tunnels = play->tunnels, .tunnel_count = 1};
    play->config.tunneld.on_unknown = on_unknown;
    play->config.tunneld.hold_s = hold_s;
    play->view = tunnel_view_new(on_changed, play);
    assert_non_null(play->view);
    assert_int_equal(tunnel_view_use(play->view, play->now_ms, &play->config), 0);
}

static bool tell(struct play *play, const char *charon, const char *tunnels)
{
    struct status status;
    char line[2048], error[160];
    int length =
        snprintf(line, sizeof(line), "{\"v\":1,\"sequence\":%d,\"charon\":\"%s\",\"tunnels\":[%s]}",
                 (int)++play->sequence, charon, tunnels);

    if (status_read(line, (size_t)length, &status, error) != 0) {
        fail_msg("%s: %s", error, line);
    }
    return tunnel_view_take(play->view, play->now_ms, &status);
}

static bool line(struct play *play, const char *tunnels)
{
    return tell(play, "connected", tunnels);
}

static bool wait_ms(struct play *play, int64_t ms)
{
    play->now_ms += ms;
    return tunnel_view_look(play->view, play->now_ms);
}

static void expect(const struct play *play, enum reason reason, bool stays, size_t children)
{
    size_t count;
    const struct admission_tunnel *known = tunnel_view_known(play->view, &count);

    assert_true(count >= 1);
    assert_string_equal(reason_code(known[0].reason), reason_code(reason));
    assert_int_equal(known[0].stays, stays);
    assert_int_equal(known[0].child_count, children);
}

static const struct tunnel_seen *site(const struct play *play)
{
    return tunnel_view_at(play->view, 0);
}

/* ---- up and down ---- */

static void never_heard_of(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    expect(&play, REASON_TUNNEL_UNKNOWN, false, 0);
    assert_false(tunnel_view_is_heard(play.view));
    assert_int_equal(tunnel_view_due_ms(play.view), INT64_MAX);
    assert_false(wait_ms(&play, 3600000));
    tunnel_view_free(&play.view);
}

static void up_and_down(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    assert_true(line(&play, UP));
    expect(&play, REASON_NONE, true, 1);
    expect_log(&play, "site:unknown>up ");
    play.now_ms += 1000;
    assert_false(line(&play, SITE("up", 1000, NET)));
    assert_int_equal(site(&play)->since_ms, 1000000);
    play.now_ms += 1000;
    assert_true(line(&play, DOWN));
    expect(&play, REASON_TUNNEL_DOWN, false, 1);
    play.now_ms += 1000;
    assert_false(line(&play, SITE("connecting", 0, "")));
    expect_log(&play, "site:up>down site:down>connecting ");
    play.now_ms += 1000;
    assert_true(line(&play, UP));
    expect(&play, REASON_NONE, true, 1);
    tunnel_view_free(&play.view);
}

/* What mllp-tunneld has no word of is down, and says so once. */
static void absent_is_down(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    assert_true(line(&play, UP));
    assert_true(line(&play, "{\"name\":\"else\",\"state\":\"up\",\"in_state_ms\":0}"));
    expect(&play, REASON_TUNNEL_DOWN, false, 1);
    play.now_ms += 1000;
    assert_false(line(&play, ""));
    assert_int_equal(site(&play)->since_ms, 1000000);
    expect_log(&play, "site:unknown>up site:up>down ");
    tunnel_view_free(&play.view);
}

static void rekeys_change_nothing(void **state)
{
    static const char both[] =
        SITE("up", 0,
             CHILD(2, "\"10.20.0.0/24\",\"10.21.0.0/24\"", "\"10.10.0.0/24\"") "," CHILD(
                 1, "\"10.21.0.0/24\",\"10.20.0.0/24\"", "\"10.10.0.0/24\""));
    static const char old[] =
        SITE("up", 0, CHILD(1, "\"10.20.0.0/24\",\"10.21.0.0/24\"", "\"10.10.0.0/24\""));
    static const char new[] =
        SITE("up", 0, CHILD(2, "\"10.21.0.0/24\",\"10.20.0.0/24\"", "\"10.10.0.0/24\""));
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    assert_true(line(&play, old));
    assert_false(line(&play, both));
    expect(&play, REASON_NONE, true, 2);
    assert_false(line(&play, new));
    expect(&play, REASON_NONE, true, 1);
    expect_log(&play, "site:unknown>up ");
    /* but these carry something else */
    assert_true(line(&play, SITE("up", 0, CHILD(3, "\"10.20.0.0/24\"", "\"10.10.0.0/24\""))));
    assert_true(line(&play, SITE("up", 0, CHILD(3, "\"10.20.0.0/24\"", "\"10.10.0.0/25\""))));
    assert_true(
        line(&play, SITE("up", 0, CHILD(3, "\"10.20.0.0/24[tcp/2575]\"", "\"10.10.0.0/25\""))));
    assert_true(line(&play, SITE("up", 0, "")));
    tunnel_view_free(&play.view);
}

/* ---- grace ---- */

static void grace(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    assert_true(line(&play, UP));
    play.now_ms += 1000;
    assert_true(line(&play, SITE("down", 200, "")));
    expect(&play, REASON_TUNNEL_DOWN, true, 1);
    for (int i = 0; i < 9; i++) {
        play.now_ms += 1000;
        assert_false(line(&play, SITE("connecting", 0, ""))); /* tries again and again */
    }
    assert_int_equal(tunnel_view_due_ms(play.view), 1000000 + 800 + 10000);
    assert_false(wait_ms(&play, 799));
    assert_true(wait_ms(&play, 1));
    expect(&play, REASON_TUNNEL_DOWN, false, 1);
    /* up again, and down again: the grace begins anew */
    assert_true(line(&play, UP));
    assert_true(line(&play, DOWN));
    expect(&play, REASON_TUNNEL_DOWN, true, 1);
    play.now_ms += 4000;
    assert_true(line(&play, UP));
    expect(&play, REASON_NONE, true, 1);
    assert_false(wait_ms(&play, 4900));
    tunnel_view_free(&play.view);
}

/* It can't have been down for longer than it hasn't been seen up: a line that says so is wrong. */
static void grace_begins_where_it_was_last_up(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    assert_true(line(&play, UP));
    play.now_ms += 1000;
    assert_true(line(&play, SITE("down", 86400000, "")));
    expect(&play, REASON_TUNNEL_DOWN, true, 1);
    assert_int_equal(tunnel_view_due_ms(play.view), play.now_ms + TUNNEL_VIEW_SILENT_MS);
    play.now_ms += 4500;
    assert_false(line(&play, SITE("down", 86404500, "")));
    assert_false(wait_ms(&play, 4499));
    assert_true(wait_ms(&play, 1));
    expect(&play, REASON_TUNNEL_DOWN, false, 1);
    tunnel_view_free(&play.view);
}

/* ---- unknown ---- */

static void silence_is_held(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    assert_true(line(&play, UP));
    assert_int_equal(tunnel_view_due_ms(play.view), 1000000 + TUNNEL_VIEW_SILENT_MS);
    assert_false(wait_ms(&play, 4999));
    assert_true(tunnel_view_is_heard(play.view));
    assert_false(wait_ms(&play, 1)); /* unknown, but all goes on as it was */
    assert_false(tunnel_view_is_heard(play.view));
    expect_log(&play, "site:unknown>up site:up>unknown ");
    expect(&play, REASON_NONE, true, 1);
    assert_int_equal(site(&play)->since_ms, 1005000);
    assert_int_equal(tunnel_view_due_ms(play.view), 1060001);
    assert_false(wait_ms(&play, 55000)); /* a minute old */
    assert_true(wait_ms(&play, 1));
    expect(&play, REASON_TUNNEL_UNKNOWN, true, 1);
    assert_false(wait_ms(&play, 86400000)); /* sessions stay for as long as it takes */
    assert_true(line(&play, UP));
    expect(&play, REASON_NONE, true, 1);
    tunnel_view_free(&play.view);
}

static void silence_closes(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_CLOSE, 60, 30);
    assert_true(line(&play, UP));
    assert_true(wait_ms(&play, 5000));
    expect(&play, REASON_TUNNEL_UNKNOWN, false, 1);
    assert_true(line(&play, UP));
    expect(&play, REASON_NONE, true, 1);
    tunnel_view_free(&play.view);
}

/* charon lost: mllp-tunneld's lines go on, and say nothing of the tunnels. */
static void charon_lost(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 3, 0);
    assert_true(line(&play, UP));
    play.now_ms += 1000;
    assert_false(tell(&play, "lost", SITE("up", 0, NET))); /* held */
    expect_log(&play, "site:unknown>up site:up>unknown ");
    assert_true(tunnel_view_is_heard(play.view));
    assert_false(tunnel_view_has_charon(play.view));
    expect(&play, REASON_NONE, true, 1);
    play.now_ms += 2000;
    assert_false(tell(&play, "lost", ""));
    play.now_ms += 1;
    assert_true(tell(&play, "lost", "")); /* beats of nothing known make it no younger */
    expect(&play, REASON_TUNNEL_UNKNOWN, true, 1);
    assert_false(tell(&play, "connected", SITE("unknown", 0, "")));
    assert_true(line(&play, DOWN)); /* now it is known */
    expect(&play, REASON_TUNNEL_DOWN, false, 1);
    tunnel_view_free(&play.view);
}

/* Known to be down, then nothing: the grace goes on to its end, and ends. */
static void down_before_the_silence(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    assert_true(line(&play, UP));
    assert_true(line(&play, DOWN));
    assert_true(wait_ms(&play, 5000));
    expect(&play, REASON_TUNNEL_UNKNOWN, true, 1);
    assert_false(wait_ms(&play, 4999));
    assert_true(wait_ms(&play, 1));
    expect(&play, REASON_TUNNEL_UNKNOWN, false, 1);
    tunnel_view_free(&play.view);
}

/* ---- another configuration ---- */

static void other_tunnels(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    assert_true(line(&play, UP));
    play.tunnels[0].grace_s = 7;
    play.config.tunnel_count = 2;
    assert_int_equal(tunnel_view_use(play.view, play.now_ms, &play.config), 0);
    expect(&play, REASON_NONE, true, 1); /* keeps what is known of it */
    assert_int_equal(tunnel_view_count(play.view), 2);
    assert_int_equal(tunnel_view_at(play.view, 1)->state, TUNNEL_UNKNOWN);
    assert_true(tunnel_view_at(play.view, 1)->ready);
    assert_true(line(&play, DOWN));
    expect(&play, REASON_TUNNEL_DOWN, true, 1); /* by its new grace */
    assert_int_equal(tunnel_view_at(play.view, 1)->state, TUNNEL_DOWN);
    play.config.tunnels = &play.tunnels[1];
    play.config.tunnel_count = 1;
    assert_int_equal(tunnel_view_use(play.view, play.now_ms, &play.config), 0);
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
    assert_string_equal(site(&play)->name, "other");
    tunnel_view_free(&play.view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_heard_of),  cmocka_unit_test(up_and_down),
        cmocka_unit_test(absent_is_down),  cmocka_unit_test(rekeys_change_nothing),
        cmocka_unit_test(grace),           cmocka_unit_test(grace_begins_where_it_was_last_up),
        cmocka_unit_test(silence_is_held), cmocka_unit_test(silence_closes),
        cmocka_unit_test(charon_lost),     cmocka_unit_test(down_before_the_silence),
        cmocka_unit_test(other_tunnels),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
