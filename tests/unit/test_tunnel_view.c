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
/* The settings are those of the configuration: tell(). */
#define SITE(state, ms, children)                                                                  \
    "{\"name\":\"site\",\"settings\":\"@site\",\"state\":\"" state "\",\"in_state_ms\":" #ms       \
    ",\"children\":[" children "]}"
#define NET_2 CHILD(2, "\"10.20.0.0/24\"", "\"10.11.0.0/24\"")
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

static void use(struct play *play)
{
    struct tunnel_view *next = tunnel_view_next(play->view, play->now_ms, &play->config);

    assert_non_null(next);
    tunnel_view_replace(&play->view, next);
}

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
    use(play);
}

static bool tell_of(struct play *play, int64_t at_ms, const char *charon, const char *tunnels)
{
    struct status status;
    char line[2048], error[160], digest[SETTINGS_DIGEST_BYTES];
    char *before = strdup(tunnels), *mark = strstr(before, "@site");
    int length;

    settings_digest(&play->tunnels[0], digest);
    if (mark != NULL) {
        *mark = '\0';
    }
    length =
        snprintf(line, sizeof(line),
                 "{\"v\":1,\"sequence\":%d,\"at_ms\":%lld,\"charon\":\"%s\",\"tunnels\":[%s%s%s]}",
                 (int)++play->sequence, (long long)at_ms, charon, before,
                 mark == NULL ? "" : digest, mark == NULL ? "" : mark + strlen("@site"));
    free(before);
    if (status_read(line, (size_t)length, &status, error) != 0) {
        fail_msg("%s: %s", error, line);
    }
    return tunnel_view_take(play->view, play->now_ms, &status);
}

static bool tell(struct play *play, const char *charon, const char *tunnels)
{
    return tell_of(play, play->now_ms, charon, tunnels);
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
    struct admission_known known;
    enum reason told;
    bool may_stay = false;

    tunnel_view_known(play->view, &known);
    assert_true(known.tunnel_count >= 1);
    told = known.tunnels[0].reason;
    for (size_t i = 0; i < known.tunnels[0].child_count; i++) {
        const struct admission_child *child = &known.tunnels[0].children[i];
        told = child->enters_until_ms > play->now_ms ? REASON_NONE : told;
        may_stay = may_stay || child->stays_until_ms > play->now_ms;
    }
    assert_string_equal(reason_code(told), reason_code(reason));
    assert_int_equal(may_stay, stays);
    assert_int_equal(known.tunnels[0].child_count, children);
}

static const struct admission_child *child_at(const struct play *play, size_t index)
{
    struct admission_known known;

    tunnel_view_known(play->view, &known);
    assert_true(index < known.tunnels[0].child_count);
    return &known.tunnels[0].children[index];
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
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
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
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
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
    expect(&play, REASON_NONE, true, 1);
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
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
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
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
    tunnel_view_free(&play.view);
}

/* One of several CHILD SAs goes: who came by it may stay for the grace, nobody new comes by it. */
static void grace_of_one_child(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    assert_true(line(&play, SITE("up", 0, NET "," NET_2)));
    expect(&play, REASON_NONE, true, 2);
    play.now_ms += 1000;
    assert_true(line(&play, SITE("up", 1000, NET_2)));
    expect(&play, REASON_NONE, true, 2);
    assert_int_equal(child_at(&play, 0)->enters_until_ms, ADMISSION_NEVER);
    assert_int_equal(child_at(&play, 0)->stays_until_ms, 1011000);
    assert_int_equal(child_at(&play, 1)->enters_until_ms, ADMISSION_FOREVER);
    play.now_ms += 9000;
    assert_true(line(&play, SITE("up", 10000, NET_2 "," NET))); /* renegotiated, in time */
    assert_int_equal(child_at(&play, 0)->enters_until_ms, ADMISSION_FOREVER);
    assert_int_equal(child_at(&play, 0)->stays_until_ms, ADMISSION_FOREVER);
    assert_true(line(&play, SITE("up", 10000, NET_2)));
    for (int i = 0; i < 9; i++) {
        play.now_ms += 1000;
        assert_false(line(&play, SITE("up", 10000, NET_2)));
    }
    assert_int_equal(tunnel_view_due_ms(play.view), play.now_ms + 1000);
    assert_false(wait_ms(&play, 999));
    assert_true(wait_ms(&play, 1));
    expect(&play, REASON_NONE, true, 1);
    /* down, and back with one of them: the other's grace goes on from when it was down */
    assert_true(line(&play, SITE("up", 0, NET "," NET_2)));
    assert_true(line(&play, DOWN));
    play.now_ms += 4000;
    assert_true(line(&play, UP));
    expect(&play, REASON_NONE, true, 2);
    assert_int_equal(child_at(&play, 0)->stays_until_ms, play.now_ms + 6000);
    assert_int_equal(child_at(&play, 0)->enters_until_ms, ADMISSION_NEVER);
    expect_log(&play, "site:unknown>up site:up>down site:down>up ");
    tunnel_view_free(&play.view);
}

/* Without a grace it is gone at once. */
static void no_grace_of_one_child(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    assert_true(line(&play, SITE("up", 0, NET "," NET_2)));
    assert_true(line(&play, UP));
    expect(&play, REASON_NONE, true, 1);
    tunnel_view_free(&play.view);
}

/* However often other networks are agreed upon within the grace: there is an end to what is kept. */
static void what_is_kept_is_bounded(void **state)
{
    struct admission_known known;
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 3600);
    for (unsigned i = 0; i < TUNNEL_WAYS_MAXIMUM + 20; i++) {
        char text[512];
        snprintf(text, sizeof(text),
                 SITE("up", 0, "{\"uniqueid\":1,\"local_ts\":[],\"remote_ts\":[\"10.0.%u.0/24\"]}"),
                 i);
        play.now_ms++;
        assert_true(line(&play, text));
    }
    tunnel_view_known(play.view, &known);
    assert_int_equal(known.tunnels[0].child_count, TUNNEL_WAYS_MAXIMUM);
    assert_int_equal(child_at(&play, 0)->remote[0].first[14], 20); /* the oldest ones went */
    assert_int_equal(child_at(&play, TUNNEL_WAYS_MAXIMUM - 1)->stays_until_ms, ADMISSION_FOREVER);
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
    assert_true(wait_ms(&play, 1)); /* unknown, but all goes on as it was */
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
    assert_true(tell(&play, "lost", SITE("up", 0, NET))); /* held */
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
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
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
    expect(&play, REASON_TUNNEL_UNKNOWN, false, 0);
    tunnel_view_free(&play.view);
}

/* ---- for whoever goes by the rules ---- */

/* What is so by a line runs out without anybody's word; what is unknown, or gone, has times of its own. */
static void rules_run_out(void **state)
{
    struct admission_known known;
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    assert_true(line(&play, UP));
    tunnel_view_known(play.view, &known);
    assert_int_equal(known.heard_ms, 1000000);
    assert_true(known.tunnels[0].live);
    assert_int_equal(known.tunnels[0].enters_ms, 60001);
    assert_int_equal(known.tunnels[0].stays_ms, ADMISSION_FOREVER);
    assert_true(wait_ms(&play, 5000));
    assert_false(known.tunnels[0].live);
    assert_int_equal(child_at(&play, 0)->enters_until_ms, 1060001);
    assert_int_equal(child_at(&play, 0)->stays_until_ms, ADMISSION_FOREVER);
    tunnel_view_free(&play.view);
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 0, 10); /* held for less than what makes it unknown */
    assert_true(line(&play, UP));
    tunnel_view_known(play.view, &known);
    assert_int_equal(known.tunnels[0].enters_ms, TUNNEL_VIEW_SILENT_MS);
    tunnel_view_free(&play.view);
    begin(&play, CONFIG_ON_UNKNOWN_CLOSE, 60, 10);
    assert_true(line(&play, UP));
    tunnel_view_known(play.view, &known);
    assert_int_equal(known.tunnels[0].enters_ms, TUNNEL_VIEW_SILENT_MS);
    assert_int_equal(known.tunnels[0].stays_ms, TUNNEL_VIEW_SILENT_MS + TUNNEL_VIEW_BUSY_MS);
    tunnel_view_free(&play.view);
}

/* ---- how old a line is ---- */

static void lines_that_lay_unread(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    assert_true(line(&play, UP));
    play.now_ms += 12000; /* somebody was busy: it went down meanwhile */
    assert_false(tell_of(&play, 1001000, "connected", UP));
    assert_true(tell_of(&play, 1004000, "connected", SITE("down", 1000, "")));
    assert_int_equal(child_at(&play, 0)->stays_until_ms, 1003000 + 10000);
    assert_int_equal(site(&play)->since_ms, 1003000);
    assert_false(tell_of(&play, 1012000, "connected", SITE("down", 9000, "")));
    assert_false(wait_ms(&play, 999));
    assert_true(wait_ms(&play, 1));
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
    /* Nothing of it flaps: it was up all the time. */
    assert_true(line(&play, UP));
    expect_log(&play, "site:unknown>up site:up>down site:down>up ");
    play.now_ms += 20000;
    for (int64_t age = 19000; age >= 0; age -= 1000) {
        assert_false(tell_of(&play, play.now_ms - age, "connected", UP));
    }
    assert_false(tunnel_view_look(play.view, play.now_ms));
    expect_log(&play, "");
    tunnel_view_free(&play.view);
}

/* An old line makes nobody known to be up, and says when it was so. */
static void an_old_line_is_no_news(void **state)
{
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
    assert_true(tell_of(&play, 995000, "connected", UP));
    expect_log(&play, "");
    assert_false(tunnel_view_is_heard(play.view));
    assert_true(tunnel_view_is_late(play.view));
    assert_int_equal(site(&play)->state, TUNNEL_UNKNOWN);
    expect(&play, REASON_NONE, true, 1); /* held, from then on */
    assert_int_equal(child_at(&play, 0)->enters_until_ms, 1055001);
    assert_true(tell_of(&play, 995001, "connected", UP)); /* just young enough */
    expect_log(&play, "site:unknown>up ");
    assert_int_equal(tunnel_view_due_ms(play.view), 1000001);
    assert_true(wait_ms(&play, 1));
    assert_int_equal(site(&play)->state, TUNNEL_UNKNOWN);
    assert_true(tell_of(&play, 990000, "connected", DOWN)); /* it ends what is held */
    assert_int_equal(site(&play)->state, TUNNEL_UNKNOWN);
    expect(&play, REASON_TUNNEL_UNKNOWN, true, 1);
    /* One from the future comes from another clock: as if it were of now. */
    assert_true(tell_of(&play, 9000000, "connected", UP));
    assert_int_equal(tunnel_view_heard_ms(play.view), play.now_ms);
    assert_int_equal(site(&play)->known_ms, play.now_ms);
    tunnel_view_free(&play.view);
    begin(&play, CONFIG_ON_UNKNOWN_CLOSE, 60, 10);
    assert_true(tell_of(&play, 995000, "connected", UP));
    expect(&play, REASON_TUNNEL_UNKNOWN, false, 1);
    tunnel_view_free(&play.view);
}

/* ---- other settings ---- */

static void run_with_other_settings(void **state)
{
    static const char *const lines[] = {
        "{\"name\":\"site\",\"settings\":\"00112233445566778899aabbccddeeff\",\"state\":\"up\","
        "\"in_state_ms\":0,\"children\":[" NET "]}",
        "{\"name\":\"site\",\"state\":\"up\",\"in_state_ms\":0,\"children\":[" NET "]}",
    };

    (void)state;
    for (size_t i = 0; i < 4; i++) {
        struct play play;
        begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
        assert_true(line(&play, SITE("up", 0, NET "," NET_2)));
        assert_true(line(&play, UP)); /* the other one is in its grace */
        assert_true(tell(&play, i < 2 ? "connected" : "lost", lines[i % 2]));
        expect(&play, REASON_TUNNEL_UNKNOWN, false, 0);
        expect_log(&play, "site:unknown>up site:up>unknown ");
        assert_true(site(&play)->other_settings);
        assert_null(tunnel_view_told(play.view, site(&play)));
        (void)wait_ms(&play, 5000);
        expect(&play, REASON_TUNNEL_UNKNOWN, false, 0);
        assert_true(line(&play, UP)); /* reloaded */
        expect(&play, REASON_NONE, true, 1);
        assert_false(site(&play)->other_settings);
        assert_non_null(tunnel_view_told(play.view, site(&play)));
        tunnel_view_free(&play.view);
    }
}

/* Why it is unknown is told once, also where nothing else was known. */
static void other_settings_from_the_beginning(void **state)
{
    static const char other[] = "{\"name\":\"site\",\"state\":\"up\",\"in_state_ms\":0}";
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    (void)line(&play, other);
    expect_log(&play, "site:unknown>unknown ");
    (void)line(&play, other);
    use(&play);
    expect_log(&play, "");
    play.config.tunnel_count = 0;
    use(&play);
    play.config.tunnel_count = 1;
    use(&play); /* by what the newest line says */
    expect_log(&play, "site:unknown>unknown ");
    tunnel_view_free(&play.view);
}

/* Another tunnel under the same name does not live on the old one's word. */
static void redefined(void **state)
{
    static const struct {
        const char *what;
        size_t offset;
    } settings[] = {
        {"remote", offsetof(struct config_tunnel, remote)},
        {"local", offsetof(struct config_tunnel, local)},
        {"remote_id", offsetof(struct config_tunnel, remote_id)},
        {"local_id", offsetof(struct config_tunnel, local_id)},
        {"psk_file", offsetof(struct config_tunnel, psk_file)},
        {"certificate", offsetof(struct config_tunnel, certificate)},
        {"key", offsetof(struct config_tunnel, key)},
        {"remote_ca", offsetof(struct config_tunnel, remote_ca)},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(settings) / sizeof(settings[0]); i++) {
        char *value = TEXT("other");
        struct play play;
        begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 10);
        assert_true(line(&play, UP));
        memcpy((char *)&play.tunnels[0] + settings[i].offset, &value, sizeof(value));
        use(&play);
        if (site(&play)->state != TUNNEL_UNKNOWN || !site(&play)->other_settings) {
            fail_msg("%s", settings[i].what);
        }
        expect_log(&play, "site:unknown>up site:up>unknown ");
        expect(&play, REASON_TUNNEL_UNKNOWN, false, 0);
        assert_true(line(&play, UP)); /* mllp-tunneld has been reloaded, too */
        expect(&play, REASON_NONE, true, 1);
        tunnel_view_free(&play.view);
    }
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
    use(&play);
    expect(&play, REASON_NONE, true, 1); /* keeps what is known of it */
    assert_int_equal(tunnel_view_count(play.view), 2);
    assert_int_equal(tunnel_view_at(play.view, 1)->state, TUNNEL_DOWN); /* the line left it out */
    assert_true(tunnel_view_at(play.view, 1)->ready);
    expect_log(&play, "site:unknown>up other:unknown>down ");
    assert_true(line(&play, DOWN));
    expect(&play, REASON_TUNNEL_DOWN, true, 1); /* by its new grace */
    assert_int_equal(tunnel_view_at(play.view, 1)->state, TUNNEL_DOWN);
    play.config.tunnels = &play.tunnels[1];
    play.config.tunnel_count = 1;
    use(&play);
    expect(&play, REASON_TUNNEL_DOWN, false, 0);
    assert_string_equal(site(&play)->name, "other");
    tunnel_view_free(&play.view);
}

/* One that the newest line tells of is what it says at once, and nobody is told until it is in use. */
static void a_tunnel_that_is_known_already(void **state)
{
    struct admission_known known;
    struct tunnel_view *next;
    struct play play;

    (void)state;
    begin(&play, CONFIG_ON_UNKNOWN_HOLD, 60, 0);
    play.config.tunnel_count = 0;
    use(&play);
    assert_false(line(&play, UP));
    play.config.tunnel_count = 1;
    play.now_ms += 4999;
    next = tunnel_view_next(play.view, play.now_ms, &play.config);
    expect_log(&play, "");
    tunnel_view_known(next, &known);
    assert_int_equal(known.tunnels[0].child_count, 1);
    assert_int_equal(known.tunnels[0].children[0].enters_until_ms, ADMISSION_FOREVER);
    tunnel_view_free(&next); /* refused */
    expect_log(&play, "");
    use(&play);
    expect_log(&play, "site:unknown>up ");
    expect(&play, REASON_NONE, true, 1);
    assert_non_null(tunnel_view_told(play.view, site(&play)));
    play.config.tunnel_count = 0;
    use(&play);
    play.config.tunnel_count = 1;
    play.now_ms++; /* too old by now */
    use(&play);
    expect(&play, REASON_TUNNEL_UNKNOWN, false, 0);
    tunnel_view_free(&play.view);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(never_heard_of),
        cmocka_unit_test(up_and_down),
        cmocka_unit_test(absent_is_down),
        cmocka_unit_test(rekeys_change_nothing),
        cmocka_unit_test(grace),
        cmocka_unit_test(grace_begins_where_it_was_last_up),
        cmocka_unit_test(silence_is_held),
        cmocka_unit_test(silence_closes),
        cmocka_unit_test(charon_lost),
        cmocka_unit_test(down_before_the_silence),
        cmocka_unit_test(other_tunnels),
        cmocka_unit_test(grace_of_one_child),
        cmocka_unit_test(no_grace_of_one_child),
        cmocka_unit_test(what_is_kept_is_bounded),
        cmocka_unit_test(rules_run_out),
        cmocka_unit_test(lines_that_lay_unread),
        cmocka_unit_test(an_old_line_is_no_news),
        cmocka_unit_test(run_with_other_settings),
        cmocka_unit_test(redefined),
        cmocka_unit_test(other_settings_from_the_beginning),
        cmocka_unit_test(a_tunnel_that_is_known_already),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
