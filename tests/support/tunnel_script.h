/*
 * tunnel_script: scripts of what charon says and when, and indented, what becomes of two tunnels,
 * "site" and "two".
 *
 *   at MS                    the clock
 *   begin, end, end whole    a listing
 *   EVENT MESSAGE            an event, or list-sa: an item; see tests/support/vici_case.h
 *   lost                     charon is not heard any more
 *   show                     tells of "site": "STATE in/out flaps rekeys"
 *   warnings, why            of "site": its warnings, its last alert
 */
#ifndef MLLPGW_TESTS_TUNNEL_SCRIPT_H
#define MLLPGW_TESTS_TUNNEL_SCRIPT_H

#include "vpn/tunnels.h"

#include "support/vici_case.h"

#include <errno.h>
#include <inttypes.h>

#define LOG_BYTES 4096

struct play {
    struct tunnels *tunnels;
    int64_t now_ms;
    bool listed; /* items came */
    char log[LOG_BYTES];
    size_t used;
};

__attribute__((format(printf, 2, 3))) static inline void say(struct play *play, const char *format,
                                                             ...)
{
    va_list arguments;

    va_start(arguments, format);
    play->used +=
        (size_t)vsnprintf(play->log + play->used, LOG_BYTES - play->used, format, arguments);
    va_end(arguments);
    assert_true(play->used < LOG_BYTES);
}

static struct play *current; /* whose changes are told */

static inline void on_changed(void *context, const struct tunnel *tunnel, enum tunnel_state before)
{
    (void)context;
    if (current != NULL && tunnel->state != before)
        say(current, "%s %s -> %s\n", tunnel->wanted->name, tunnel_state_text(before),
            tunnel_state_text(tunnel->state));
}

/* In the scripts' messages, with any number:
 *   IKE1{ ... }     the IKE SA of "site" with that uniqueid, established
 *   children{ }     its CHILD SAs
 *   CHILD1{ }       one, installed; OLD1{ } and NEW2{ }: of a rekey */
static inline void script_word(const char *word, char *ret_text, size_t size)
{
    char number[8];

    if (sscanf(word, "IKE%7[0-9]", number) == 1)
        snprintf(ret_text, size, "mllpgw-site{ uniqueid=%s state=ESTABLISHED ", number);
    else if (sscanf(word, "CHILD%7[0-9]", number) == 1)
        snprintf(ret_text, size, "c{ name=mllpgw-site uniqueid=%s state=INSTALLED ", number);
    else if (sscanf(word, "OLD%7[0-9]", number) == 1)
        snprintf(ret_text, size, "old{ name=mllpgw-site uniqueid=%s state=REKEYED ", number);
    else if (sscanf(word, "NEW%7[0-9]", number) == 1)
        snprintf(ret_text, size, "new{ name=mllpgw-site uniqueid=%s state=INSTALLED ", number);
    else if (strcmp(word, "children{") == 0)
        snprintf(ret_text, size, "child-sas{ ");
    else
        snprintf(ret_text, size, "%s ", word);
}

static inline struct vici_builder script_message(const char *text)
{
    char *copy = strdup(text), *rest = NULL, whole[2048] = "";
    size_t used = 0;

    for (char *word = strtok_r(copy, " ", &rest); word != NULL; word = strtok_r(NULL, " ", &rest)) {
        script_word(word, whole + used, sizeof whole - used);
        used += strlen(whole + used);
        assert_true(used < sizeof whole - 1);
    }
    free(copy);
    return vici_case_build(whole);
}

#define UP_1 "child-updown up=yes IKE1{ children{ CHILD1{ } } }\n"
#define DOWN_1 "child-updown IKE1{ children{ CHILD1{ } } }\n"
/* Connected, nothing there. */
#define NOTHING "begin\nend whole\n  site unknown -> down\n  two unknown -> down\n"
#define IS_UP NOTHING UP_1 "  site down -> up\n"

static inline void show(struct play *play)
{
    const struct tunnel *tunnel = tunnels_find(play->tunnels, "site");

    say(play, "%s %" PRIu64 "/%" PRIu64 " %u flaps %u rekeys\n", tunnel_state_text(tunnel->state),
        tunnel->bytes_in, tunnel->bytes_out, tunnel->flaps, tunnel->rekeys);
}

static inline void show_warnings(struct play *play)
{
    const struct tunnel *tunnel = tunnels_find(play->tunnels, "site");

    for (unsigned i = 0; i < TUNNEL_WARNINGS; i++) {
        char text[ALERT_TEXT_BYTES];
        tunnel_warning_text(tunnel, (enum tunnel_warning)(1u << i), text);
        if (tunnel->warnings & 1u << i)
            say(play, "%s\n", text);
    }
}

static inline void step(struct play *play, const char *line)
{
    const struct tunnel *site = tunnels_find(play->tunnels, "site");
    char word[32];
    int used = 0;
    long number;

    if (sscanf(line, "at %ld", &number) == 1) {
        play->now_ms = number;
    } else if (strcmp(line, "begin") == 0) {
        tunnels_begin_listing(play->tunnels);
    } else if (strcmp(line, "end") == 0 || strcmp(line, "end whole") == 0) {
        tunnels_end_listing(play->tunnels, play->now_ms, line[3] != '\0');
    } else if (strcmp(line, "lost") == 0) {
        tunnels_lost(play->tunnels, play->now_ms);
    } else if (strcmp(line, "show") == 0) {
        show(play);
    } else if (strcmp(line, "warnings") == 0) {
        show_warnings(play);
    } else if (strcmp(line, "why") == 0) {
        say(play, "%s at %" PRId64 "\n", site->alert[0] != '\0' ? site->alert : "nothing",
            site->alert_ms);
    } else {
        assert_int_equal(sscanf(line, "%31s %n", word, &used), 1);
        struct vici_builder message = script_message(line + used);
        assert_int_equal(tunnels_take(play->tunnels, play->now_ms, word, vici_case_text(&message)),
                         0);
        vici_builder_free(&message);
    }
}

/* With the tunnels "site", as wanted, and "two". */
static inline struct play begin_play(const struct tunnel_wanted *site)
{
    static struct tunnel_wanted wanted[2];
    struct play play = {.tunnels = tunnels_new(on_changed, NULL)};

    assert_non_null(play.tunnels);
    wanted[0] = *site;
    wanted[1] = (struct tunnel_wanted){.name = "two"};
    assert_int_equal(tunnels_configure(play.tunnels, 0, wanted, 2), 0);
    return play;
}

static inline void run_script(struct play *play, const char *script)
{
    char *copy = strdup(script), *rest = NULL, expected[LOG_BYTES] = "";
    size_t used = 0;

    play->log[0] = '\0';
    play->used = 0;
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        if (line[0] == ' ') {
            used += (size_t)snprintf(expected + used, sizeof expected - used, "%s\n",
                                     line + strspn(line, " "));
            continue;
        }
        assert_string_equal(play->log, expected);
        play->log[0] = expected[0] = '\0';
        play->used = used = 0;
        step(play, line);
    }
    assert_string_equal(play->log, expected);
    free(copy);
}

static inline void play_wanted(const struct tunnel_wanted *site, const char *script)
{
    struct play play = begin_play(site);

    current = &play;
    run_script(&play, script);
    current = NULL;
    tunnels_free(&play.tunnels);
}

static inline void play_script(const char *script)
{
    const struct tunnel_wanted wanted = {.name = "site"};
    play_wanted(&wanted, script);
}

static inline struct selector parsed(const char *text)
{
    struct selector selector;
    assert_null(selector_parse(text, strlen(text), &selector));
    return selector;
}

#endif
