/* keeper_script: what charon, the socket, the clock and the configuration do, and indented, what the keeper
 * does about it: what it asks (no secret shown, but its length) and what it logs.
 *
 *   at MS                      the clock; ticks
 *   dialed, broken             the socket
 *   config A | A B | ...       the tunnels a and b of the table below
 *   < TEXT                     the answer to the oldest question
 *   < unknown                  charon knows no such command or event
 *   < confirm                  of an event
 *   item TEXT                  of list-sas
 *   event NAME TEXT
 *   raw HEX, flood LENGTH      bytes from charon: a packet that says it has so many, a byte at a time
 *   put NAME TEXT, copy PKI-FILE NAME
 *                              a file that the tunnels below name is written anew
 *   wall DAYS NAME             it is so many days before the certificate or CRL in the file runs out
 *   state                      what the status would say
 *   settings                   and whether it would say so under the settings that are wanted
 */
#ifndef MLLPGW_TESTS_KEEPER_SCRIPT_H
#define MLLPGW_TESTS_KEEPER_SCRIPT_H

#include "certs/pem.h"
#include "certs/validity.h"
#include "vpn/keeper.h"
#include "vpn/tunneld_log.h"

#include "support/pki.h"
#include "support/vici_case.h"

#include "support/config_case.h"

#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHOWN_BYTES 65536
#define KEY "Canary7uNP4vWqLzRb2xK9tGcY5mHs3a"
#define PROPOSALS                                                                                  \
    "ike_proposals = [ \"aes256gcm16-prfsha384-ecp384\" ]; "                                       \
    "esp_proposals = [ \"aes256gcm16-ecp384\" ]; "

static const struct {
    const char *name, *settings;
} tunnels_table[] = {
    {"a", "name = \"a\"; remote = \"192.0.2.1\"; psk_file = \"psk\"; " PROPOSALS
          "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/24\" ];"},
    {"b", "name = \"b\"; remote = \"192.0.2.2\"; psk_file = \"psk\"; " PROPOSALS
          "local_subnets = [ \"10.21.0.0/24\" ]; remote_subnets = [ \"10.11.0.0/24\" ]; "
          "keying_tries = 2;"},
    {"A", "name = \"a\"; remote = \"192.0.2.9\"; psk_file = \"psk\"; " PROPOSALS
          "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/24\" ];"},
    {"gone", "name = \"a\"; remote = \"192.0.2.9\"; psk_file = \"/nowhere/psk\"; " PROPOSALS
             "local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ \"10.10.0.0/24\" ];"},
    {"nokey", "name = \"nokey\"; remote = \"192.0.2.3\"; psk_file = \"/nowhere/psk\"; " PROPOSALS
              "local_subnets = [ \"10.22.0.0/24\" ]; remote_subnets = [ \"10.12.0.0/24\" ];"},
    {"trap",
     "name = \"trap\"; remote = \"192.0.2.4\"; psk_file = \"psk\"; start = \"trap\"; " PROPOSALS
     "local_subnets = [ \"10.23.0.0/24\" ]; remote_subnets = [ \"10.13.0.0/24\" ];"},
    {"cert",
     "name = \"cert\"; remote = \"192.0.2.5\"; certificate = \"chain\"; key = \"key\"; "
     "remote_ca = \"ca\"; local_id = \"us.example\"; remote_id = \"them.example\"; " PROPOSALS
     "local_subnets = [ \"10.24.0.0/24\" ]; remote_subnets = [ \"10.14.0.0/24\" ];"},
    {"crl", "name = \"crl\"; remote = \"192.0.2.5\"; certificate = \"chain\"; key = \"key\"; "
            "remote_ca = \"ca\"; local_id = \"us.example\"; remote_id = \"them.example\"; "
            "crl = \"crl\"; " PROPOSALS
            "local_subnets = [ \"10.24.0.0/24\" ]; remote_subnets = [ \"10.14.0.0/24\" ];"},
};

static char directory[] = "/tmp/mgw-keeper-XXXXXX";

struct play {
    struct keeper *keeper;
    int64_t now_ms;
    int log_fd;
    char shown[SHOWN_BYTES], wanted[SHOWN_BYTES];
    size_t shown_bytes, wanted_bytes;
    struct vici_packets sent;
};

__attribute__((format(printf, 2, 3))) static void say(struct play *play, const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    play->shown_bytes += (size_t)vsnprintf(play->shown + play->shown_bytes,
                                           SHOWN_BYTES - play->shown_bytes, format, arguments);
    va_end(arguments);
    assert_true(play->shown_bytes < SHOWN_BYTES);
}

/* --- what the keeper does ----------------------------------------------------------------- */

static void say_element(struct play *play, const struct vici_element *e)
{
    int name = (int)e->name.length, value = (int)e->value.length;

    switch (e->type) {
    case VICI_KEY_VALUE:
        if (vici_text_is(e->name, "data"))
            say(play, value > 100 ? " data:large" : " data:%d", value);
        else
            say(play, " %.*s=%.*s", name, e->name.data, value, e->value.data);
        break;
    case VICI_SECTION_START:
        say(play, " %.*s{", name, e->name.data);
        break;
    case VICI_LIST_ITEM:
        say(play, " %.*s", value, e->value.data);
        break;
    default:
        break;
    }
}

/* load-conn is long, and test_load looks at it: its remote address is enough here. */
static void say_message(struct play *play, const struct vici_packet *packet)
{
    bool connection = vici_text_is(packet->name, "load-conn"), remote = false;
    struct vici_element e;
    struct vici_reader reader;

    vici_reader_init(&reader, packet->message);
    while (vici_reader_next(&reader, &e) == VICI_COMPLETE && e.type != VICI_MESSAGE_END) {
        if (e.type == VICI_LIST_START)
            remote = vici_text_is(e.name, "remote_addrs");
        if (!connection || reader.depth == 1 || (remote && e.type == VICI_LIST_ITEM)) {
            if (!connection || e.type == VICI_LIST_ITEM ||
                (e.type == VICI_SECTION_START && reader.depth == 1))
                say_element(play, &e);
        }
        if (e.type == VICI_LIST_END)
            remote = false;
    }
    say(play, "\n");
}

static void say_output(struct play *play)
{
    const void *data;
    size_t length, used;

    while ((data = keeper_output(play->keeper, &length), length > 0)) {
        struct vici_packet packet;
        if (vici_packets_feed(&play->sent, data, length, &used, &packet) == VICI_COMPLETE) {
            say(play, "  > %s%.*s", packet.type == VICI_EVENT_REGISTER ? "register " : "",
                (int)packet.name.length, packet.name.data);
            say_message(play, &packet);
        }
        keeper_wrote(play->keeper, used);
    }
}

/* What differs from run to run: "... is valid until 2026-12-24 10:00 UTC", and the files' directory. */
static void hide(char *line)
{
    char *date = strstr(line, "valid until "), *place = strstr(line, directory);

    if (date != NULL)
        memmove(date + strlen("valid until "), strstr(date, "UTC"),
                strlen(strstr(date, "UTC")) + 1);
    if (place != NULL)
        memmove(place, place + strlen(directory), strlen(place + strlen(directory)) + 1);
}

/* Without the time in front. */
static void say_log(struct play *play)
{
    static char text[SHOWN_BYTES];
    ssize_t length = pread(play->log_fd, text, sizeof text - 1, 0);
    char *rest = NULL;

    assert_true(length >= 0);
    text[length] = '\0';
    assert_null(strstr(text, KEY));
    for (char *line = strtok_r(text, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        hide(line);
        say(play, "  %s\n", strchr(line, ' ') + 1);
    }
    assert_int_equal(ftruncate(play->log_fd, 0), 0);
    assert_int_equal(lseek(play->log_fd, 0, SEEK_SET), 0);
}

/* --- what the script does ----------------------------------------------------------------- */

static void configure(struct play *play, char *names)
{
    char more[4096] = "tunnels = (";
    const struct config_case wanted = {.more = more};
    struct problems problems;
    struct config *config;
    char *rest = NULL;
    size_t used = strlen(more);

    for (char *name = strtok_r(names, " ", &rest); name != NULL;
         name = strtok_r(NULL, " ", &rest)) {
        for (size_t i = 0; i < sizeof tunnels_table / sizeof tunnels_table[0]; i++) {
            if (strcmp(tunnels_table[i].name, name) == 0)
                used += (size_t)snprintf(more + used, sizeof more - used, "%s { %s }",
                                         strchr(more, '{') != NULL ? "," : "",
                                         tunnels_table[i].settings);
        }
    }
    snprintf(more + used, sizeof more - used, ");");
    problems_init(&problems);
    const char *text = config_case_text(&wanted);
    config = config_load_text(text, strlen(text), "case.cfg", directory, &problems);
    if (config == NULL)
        config_case_show(&wanted, &problems);
    assert_non_null(config);
    problems_free(&problems);
    assert_int_equal(keeper_configure(play->keeper, play->now_ms, config), 0);
}

static void feed_packet(struct play *play, enum vici_type type, const char *name, const char *text)
{
    struct vici_builder message = vici_case_build(text);
    struct octets packet;

    octets_init(&packet, VICI_PACKET_MAXIMUM + 4);
    assert_int_equal(
        vici_packet_write(&packet, type, name,
                          type == VICI_CMD_RESPONSE || type == VICI_EVENT ? &message : NULL),
        0);
    keeper_feed(play->keeper, play->now_ms, packet.data, packet.length);
    octets_free(&packet);
    vici_builder_free(&message);
}

static void answer(struct play *play, const char *text)
{
    if (strcmp(text, "unknown") == 0)
        feed_packet(play, VICI_CMD_UNKNOWN, NULL, "");
    else if (strcmp(text, "no-event") == 0)
        feed_packet(play, VICI_EVENT_UNKNOWN, NULL, "");
    else if (strcmp(text, "confirm") == 0)
        feed_packet(play, VICI_EVENT_CONFIRM, NULL, "");
    else
        feed_packet(play, VICI_CMD_RESPONSE, NULL, text);
}

static void raw(struct play *play, const char *hex)
{
    for (; hex[0] != '\0' && hex[1] != '\0'; hex += 2) {
        const char digits[] = {hex[0], hex[1], '\0'};
        uint8_t byte = (uint8_t)strtoul(digits, NULL, 16);
        keeper_feed(play->keeper, play->now_ms, &byte, 1);
    }
}

/* An answer with one huge value after the other, in pieces of a prime size. */
static void flood(struct play *play, size_t length)
{
    uint8_t *bytes = calloc(1, length + 4), *at = bytes;
    size_t left = length - 1;

    assert_non_null(bytes);
    for (int shift = 24; shift >= 0; shift -= 8)
        *at++ = (uint8_t)(length >> shift);
    *at++ = VICI_CMD_RESPONSE;
    while (left > 5) {
        size_t value = left - 5 < 60000 ? left - 5 : 60000;
        *at++ = 3; /* KEY_VALUE "v" */
        *at++ = 1;
        *at++ = 'v';
        *at++ = (uint8_t)(value >> 8);
        *at++ = (uint8_t)value;
        at += value;
        left -= 5 + value;
    }
    for (size_t i = 0; i < length + 4; i += 8191)
        keeper_feed(play->keeper, play->now_ms, bytes + i,
                    length + 4 - i < 8191 ? length + 4 - i : 8191);
    free(bytes);
}

static void say_state(struct play *play)
{
    const struct tunnels *tunnels = keeper_tunnels(play->keeper);
    const char *version = keeper_charon_version(play->keeper);

    say(play, "  %s %s", keeper_is_connected(play->keeper) ? "connected" : "lost",
        version != NULL ? version : "-");
    for (size_t i = 0; i < tunnels_count(tunnels); i++) {
        const struct tunnel *tunnel = tunnels_at(tunnels, i);
        say(play, ", %s %s%s%s", tunnel->wanted->name, tunnel_state_text(tunnel->state),
            tunnel->alert[0] != '\0' ? ": " : "", tunnel->alert);
    }
    say(play, "\n");
}

/* Is it told under the settings that it is to have? */
static void say_settings(struct play *play)
{
    const struct tunnels *tunnels = keeper_tunnels(play->keeper);

    for (size_t i = 0; i < tunnels_count(tunnels); i++) {
        const struct tunnel *tunnel = tunnels_at(tunnels, i);
        say(play, "  %s %s: %s\n", tunnel->wanted->name, tunnel_state_text(tunnel->state),
            settings_are_same(tunnel->settings, tunnel->wanted->settings) ? "as wanted"
                                                                          : "as before");
    }
}

/* --- files -------------------------------------------------------------------------------- */

static void put_file(const char *name, const char *text)
{
    char path[128];
    FILE *file;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    file = fopen(path, "w");
    assert_non_null(file);
    assert_true(fputs(text, file) >= 0);
    assert_int_equal(fclose(file), 0);
    assert_int_equal(chmod(path, 0600), 0);
}

static void read_file(const char *path, char *text, size_t size)
{
    FILE *file = fopen(path, "r");
    size_t length;

    assert_non_null(file);
    length = fread(text, 1, size - 1, file);
    text[length] = '\0';
    assert_true(length > 0 && length < size - 1);
    fclose(file);
}

static void copy_file(const char *pki_name, const char *name)
{
    static char text[65536];

    read_file(pki_file(pki_name), text, sizeof text);
    put_file(name, text);
}

static int find_end(void *context, size_t number, const unsigned char *der, size_t length)
{
    struct validity_revoked revoked = {0};
    char why[VALIDITY_ERROR_MAX];
    int64_t *end_s = context;

    (void)number;
    *end_s = validity_certificate_end_s(der, length);
    if (*end_s == VALIDITY_UNKNOWN)
        assert_int_equal(validity_crl(der, length, end_s, &revoked, why), 0);
    validity_revoked_free(&revoked);
    return 0;
}

static void set_wall(struct play *play, int64_t days, const char *name)
{
    char path[128], error[PEM_ERROR_MAX];
    struct pem_file file;
    int64_t end_s = 0;

    snprintf(path, sizeof path, "%s/%s", directory, name);
    assert_int_equal(pem_read(path, &file, error), 0);
    if (pem_each(&file, "CERTIFICATE", find_end, &end_s, error) != 0)
        assert_int_equal(pem_each(&file, "X509 CRL", find_end, &end_s, error), 0);
    pem_free(&file);
    keeper_set_wall_s(play->keeper, end_s - days * 86400);
}

static bool begins(const char **line, const char *word)
{
    size_t length = strlen(word);
    if (strncmp(*line, word, length) != 0)
        return false;
    *line += length;
    return true;
}

static void act(struct play *play, char *text)
{
    const char *line = text;
    char *space;

    if (begins(&line, "at ")) {
        play->now_ms = strtoll(line, NULL, 10);
        keeper_tick(play->keeper, play->now_ms);
    } else if (begins(&line, "dialed")) {
        keeper_connected(play->keeper, play->now_ms);
    } else if (begins(&line, "broken")) {
        keeper_lost(play->keeper, play->now_ms, "it broke");
    } else if (begins(&line, "config")) {
        configure(play, text + 6);
    } else if (begins(&line, "< ")) {
        answer(play, line);
    } else if (begins(&line, "<")) {
        answer(play, "");
    } else if (begins(&line, "item ")) {
        feed_packet(play, VICI_EVENT, "list-sa", line);
    } else if (begins(&line, "event ")) {
        space = strchr(text + 6, ' ');
        *space = '\0';
        feed_packet(play, VICI_EVENT, line, space + 1);
    } else if (begins(&line, "raw ")) {
        raw(play, line);
    } else if (begins(&line, "flood ")) {
        flood(play, strtoul(line, NULL, 10));
    } else if (begins(&line, "put ")) {
        space = strchr(text + 4, ' ');
        *space = '\0';
        put_file(line, space + 1);
    } else if (begins(&line, "copy ")) {
        space = strchr(text + 5, ' ');
        *space = '\0';
        copy_file(line, space + 1);
    } else if (begins(&line, "wall ")) {
        set_wall(play, strtoll(line, NULL, 10), strchr(line, ' ') + 1);
    } else if (begins(&line, "settings")) {
        say_settings(play);
    } else if (begins(&line, "state")) {
        say_state(play);
    } else {
        fail_msg("no such line: %s", text);
    }
}

/* The deadline never lies in the past when nothing is left to do: else the loop would spin. */
static void check_deadline(const struct play *play)
{
    int64_t deadline_ms = keeper_deadline_ms(play->keeper);
    if (keeper_state(play->keeper) == VICI_CLIENT_CONNECTED && deadline_ms >= 0)
        assert_true(deadline_ms > play->now_ms);
}

static void play_script(const char *script)
{
    struct play *play = calloc(1, sizeof *play);
    char *copy = strdup(script), *rest = NULL;

    assert_true(play != NULL && copy != NULL);
    play->keeper = keeper_new(1, 0);
    play->log_fd = memfd_create("log", MFD_CLOEXEC);
    tunneld_log_set_fd(play->log_fd);
    tunneld_log_configure(CONFIG_LOG_DEBUG, CONFIG_LOG_TEXT);
    vici_packets_init(&play->sent);
    for (char *line = strtok_r(copy, "\n", &rest); line != NULL;
         line = strtok_r(NULL, "\n", &rest)) {
        play->wanted_bytes += (size_t)snprintf(play->wanted + play->wanted_bytes,
                                               SHOWN_BYTES - play->wanted_bytes, "%s\n", line);
        if (strncmp(line, "  ", 2) == 0)
            continue;
        say(play, "%s\n", line);
        act(play, line);
        say_output(play);
        say_log(play);
        check_deadline(play);
    }
    if (strcmp(play->shown, play->wanted) != 0)
        fprintf(stderr, "--- wanted\n%s--- was\n%s---\n", play->wanted, play->shown);
    assert_string_equal(play->shown, play->wanted);
    tunneld_log_set_fd(STDERR_FILENO);
    keeper_free(&play->keeper);
    vici_packets_free(&play->sent);
    close(play->log_fd);
    free(copy);
    free(play);
}

/* PEM is all that is asked of a certificate here: charon looks into it. */
#define PEM "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"

static int make_files(void **state)
{
    (void)state;
    if (mkdtemp(directory) == NULL)
        return -1;
    put_file("psk", KEY "\n");
    put_file("key", "PRIVATE");
    put_file("chain", PEM PEM PEM);
    put_file("ca", PEM);
    pki_make();
    return 0;
}

static int remove_files(void **state)
{
    static const char *const names[] = {"psk", "key", "chain", "ca", "crl"};
    char path[128];

    (void)state;
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        snprintf(path, sizeof path, "%s/%s", directory, names[i]);
        unlink(path);
    }
    return rmdir(directory);
}

/* A connection, and what is asked about charon first. */
#define GREETING                                                                                   \
    "dialed\n"                                                                                     \
    "  > register ike-updown\n"                                                                    \
    "  > register child-updown\n"                                                                  \
    "  > register ike-rekey\n"                                                                     \
    "  > register child-rekey\n"                                                                   \
    "  > register ike-update\n"                                                                    \
    "  > register alert\n"                                                                         \
    "  > version\n"                                                                                \
    "  > stats\n"                                                                                  \
    "< confirm\n"                                                                                  \
    "< confirm\n"                                                                                  \
    "< confirm\n"                                                                                  \
    "< confirm\n"                                                                                  \
    "< confirm\n"                                                                                  \
    "< no-event\n"                                                                                 \
    "  debug event=charon-has-no-event name=alert\n"                                               \
    "< version=5.9.8\n"
/* A charon that is taken: the first listing and one private key, of somebody else. */
#define ACCEPTED                                                                                   \
    "< plugins[ charon vici ]\n"                                                                   \
    "  > register list-sa\n"                                                                       \
    "  > list-sas noblock=yes\n"                                                                   \
    "  > get-keys\n"                                                                               \
    "  info event=charon-connected version=5.9.8\n"                                                \
    "< confirm\n"                                                                                  \
    "<\n"                                                                                          \
    "< keys[ 99 ]\n"                                                                               \
    "  > get-shared\n"

#endif
