/* links: vpn */
/* The status document: written from tunnels as they are, and read back. */
#include "vpn/status.h"

#include "support/vici_case.h"

#include <errno.h>

#define HEAD "{\"v\":1,\"sequence\":7,\"charon\":\"connected\",\"tunnels\":["
#define TUNNEL "\"name\":\"site\",\"state\":\"up\",\"in_state_ms\":5"

static void take(struct tunnels *tunnels, int64_t now_ms, const char *event, const char *text)
{
    struct vici_builder builder = vici_case_build(text);

    assert_int_equal(tunnels_take(tunnels, now_ms, event, vici_case_text(&builder)), 0);
    vici_builder_free(&builder);
}

static const char up[] =
    "up=yes mllpgw-site{ uniqueid=1 version=2 state=ESTABLISHED local-host=192.0.2.1 "
    "remote-host=192.0.2.2 local-id=edge remote-id=caf\xc3\xa9 encr-alg=AES_GCM_16 "
    "encr-keysize=256 established=61 rekey-time=100 child-sas{ "
    "mllpgw-site-3{ name=mllpgw-site uniqueid=3 state=INSTALLED encr-alg=AES_GCM_16 "
    "encr-keysize=256 bytes-in=10 packets-in=1 use-in=4 bytes-out=20 packets-out=2 rekey-time=33 "
    "local-ts[ 10.10.0.0/24[tcp/2575] fd00::/64 ] remote-ts[ 10.20.0.1..10.20.0.9 ] } } }";

static struct status read_line(const char *line, size_t length)
{
    struct status status;
    char error[160];

    if (status_read(line, length, &status, error) != 0)
        fail_msg("%s: %s", error, line);
    return status;
}

static bool same_selectors(const struct selector *items, size_t count, const char *const *texts,
                           size_t text_count)
{
    for (size_t i = 0; i < count && i < text_count; i++) {
        char text[SELECTOR_TEXT_BYTES];
        selector_print(&items[i], text);
        if (strcmp(text, texts[i]) != 0)
            return false;
    }
    return count == text_count;
}

static void test_round_trip(void **state)
{
    const struct tunnel_wanted wanted[] = {{.name = "site", .settings = "0123456789abcdef"},
                                           {.name = "two"}};
    const struct status_head head = {.sequence = 42, .connected = true, .charon_version = "5.9.8"};
    const char *const local[] = {"10.10.0.0/24[tcp/2575]", "fd00::/64"};
    const char *const remote[] = {"10.20.0.1..10.20.0.9"};
    struct tunnels *tunnels = tunnels_new(NULL, NULL);
    const struct status_tunnel *site;
    struct status status;
    size_t length;
    char *line;

    (void)state;
    assert_int_equal(tunnels_configure(tunnels, 0, wanted, 2), 0);
    tunnels_begin_listing(tunnels);
    tunnels_end_listing(tunnels, 101000, true);
    take(tunnels, 102000, "child-updown", up);
    tunnels_alert(tunnels, 104000, "two", "the other side\nrefused");
    assert_int_equal(status_write(&head, tunnels, 105000, &line, &length), 0);
    assert_int_equal(strlen(line), length);
    assert_ptr_equal(strchr(line, '\n'), line + length - 1); /* one line, also with such a text */

    status = read_line(line, length);
    assert_int_equal(status.sequence, 42);
    assert_int_equal(status.at_ms, 105000);
    assert_true(status.connected);
    assert_string_equal(status.charon_version, "5.9.8");
    assert_int_equal(status.count, 2);
    site = status_find(&status, "site");
    assert_string_equal(site->settings, "0123456789abcdef");
    assert_int_equal(site->state, TUNNEL_UP);
    assert_int_equal(site->in_state_ms, 3000);
    assert_int_equal(site->ike.version, 2);
    assert_string_equal(site->ike.remote_host, "192.0.2.2");
    assert_string_equal(site->ike.local_host, "192.0.2.1");
    assert_string_equal(site->ike.remote_id, "caf??");
    assert_string_equal(site->ike.local_id, "edge");
    assert_int_equal(site->ike.established_s, 64);
    assert_int_equal(site->ike.rekey_in_s, 97);
    assert_int_equal(site->child_count, 1);
    assert_int_equal(site->children[0].uniqueid, 3);
    assert_int_equal(site->children[0].rekey_in_s, 30);
    assert_true(strlen(site->children[0].cipher) > 0);
    assert_true(same_selectors(site->children[0].local, site->children[0].local_count, local, 2));
    assert_true(
        same_selectors(site->children[0].remote, site->children[0].remote_count, remote, 1));
    assert_int_equal(site->bytes_in, 10);
    assert_int_equal(site->bytes_out, 20);
    assert_int_equal(site->packets_in, 1);
    assert_int_equal(site->packets_out, 2);
    assert_int_equal(site->last_in_s, 7);
    assert_int_equal(site->last_out_s, STATUS_NOT_SAID);
    assert_string_equal(site->alert, "");

    const struct status_tunnel *two = status_find(&status, "two");
    assert_string_equal(two->settings, "");
    assert_int_equal(two->state, TUNNEL_DOWN);
    assert_int_equal(two->child_count, 0);
    assert_int_equal(two->ike.version, 0);
    assert_string_equal(two->alert, "the other side?refused");
    assert_int_equal(two->alert_s, 1);
    assert_null(status_find(&status, "three"));
    status_free(&status);
    free(line);
    tunnels_free(&tunnels);
}

static void test_lost_and_warnings(void **state)
{
    const struct selector wide = {.last = {0xff}, .port_last = 65535, .v6 = true};
    const struct tunnel_wanted wanted = {
        .name = "site", .local = &wide, .remote = &wide, .local_count = 1, .remote_count = 1};
    struct status_head head = {.sequence = 1, .connected = true};
    struct tunnels *tunnels = tunnels_new(NULL, NULL);
    char text[ALERT_TEXT_BYTES];
    struct status status;
    size_t length;
    char *line;

    (void)state;
    assert_int_equal(tunnels_configure(tunnels, 0, &wanted, 1), 0);
    take(tunnels, 2000, "child-updown", up);
    tunnels_set_ends(tunnels, "site", (const int64_t[]){SA_NOT_SAID, 2000000000, 0});
    assert_int_equal(status_write(&head, tunnels, 5000, &line, &length), 0);
    status = read_line(line, length);
    assert_int_equal(status.tunnels[0].warning_count, 1);
    tunnel_warning_text(tunnels_at(tunnels, 0), TUNNEL_WARNS_NARROWED, text);
    assert_string_equal(status.tunnels[0].warnings[0], text);
    assert_int_equal(status.tunnels[0].ends_s[TUNNEL_END_CERTIFICATE], STATUS_NOT_SAID);
    assert_int_equal(status.tunnels[0].ends_s[TUNNEL_END_REMOTE_CA], 2000000000);
    assert_int_equal(status.tunnels[0].ends_s[TUNNEL_END_CRL], 0);
    status_free(&status);
    free(line);

    tunnels_lost(tunnels, 6000);
    head.connected = false;
    assert_int_equal(status_write(&head, tunnels, 6500, &line, &length), 0);
    status = read_line(line, length);
    assert_false(status.connected);
    assert_string_equal(status.charon_version, "");
    assert_int_equal(status.tunnels[0].state, TUNNEL_UNKNOWN);
    assert_int_equal(status.tunnels[0].in_state_ms, 500);
    assert_int_equal(status.tunnels[0].child_count, 0);
    status_free(&status);
    free(line);
    tunnels_free(&tunnels);
}

static void test_little_is_enough(void **state)
{
    const char line[] = HEAD "{" TUNNEL ",\"colour\":[{\"deep\":null}]}],\"more\":1.5}";
    struct status status = read_line(line, strlen(line));

    (void)state;
    assert_int_equal(status.at_ms, STATUS_NOT_SAID);
    assert_string_equal(status.tunnels[0].settings, "");
    assert_int_equal(status.tunnels[0].last_in_s, STATUS_NOT_SAID);
    assert_int_equal(status.tunnels[0].alert_s, STATUS_NOT_SAID);
    assert_int_equal(status.tunnels[0].child_count, 0);
    status_free(&status);
}

static void test_malformed(void **state)
{
    static const struct {
        const char *line, *error;
    } cases[] = {
        {"", "the line is no JSON object"},
        {"[]", "the line is no JSON object"},
        {"{\"v\":1", "the line is no JSON object"},
        {"{} {}", "the line is no JSON object"},
        {"{\"v\":1,\"v\":1}", "the line is no JSON object"},
        {"{}", "v is missing"},
        {"{\"v\":\"1\"}", "v has the wrong type"},
        {"{\"v\":1}", "sequence is missing"},
        {"{\"v\":1,\"sequence\":-1}", "sequence is negative"},
        {"{\"v\":1,\"sequence\":1}", "charon is missing"},
        {"{\"v\":1,\"sequence\":1,\"charon\":\"maybe\"}", "charon is neither connected nor lost"},
        {"{\"v\":1,\"sequence\":1,\"at_ms\":-5,\"charon\":\"lost\"}", "at_ms is negative"},
        {"{\"v\":1,\"sequence\":1,\"charon\":\"lost\"}", "tunnels is missing"},
        {"{\"v\":1,\"sequence\":1,\"charon\":\"lost\",\"tunnels\":{}}",
         "tunnels has the wrong type"},
        {HEAD "7]}", "tunnels has one that is no object"},
        {HEAD "{}]}", "name is missing"},
        {HEAD "{\"name\":\"a\\nb\"}]}", "name is not printable"},
        {HEAD "{\"name\":\"a\",\"settings\":\"0123456789abcdef0123456789abcdef0\"}]}",
         "settings is too long"},
        {HEAD "{\"name\":\"a\"}]}", "state is missing"},
        {HEAD "{\"name\":\"a\",\"state\":\"UP\"}]}", "state is none that there is"},
        {HEAD "{\"name\":\"a\",\"state\":\"up\"}]}", "in_state_ms is missing"},
        {HEAD "{\"name\":\"a\",\"state\":\"up\",\"in_state_ms\":1.5}]}",
         "in_state_ms has the wrong type"},
        {HEAD "{\"name\":\"a\",\"state\":\"up\",\"in_state_ms\":9000000000000000000}]}",
         "in_state_ms is too large"},
        {HEAD "{" TUNNEL "},{" TUNNEL "}]}", "site is there twice"},
        {HEAD "{" TUNNEL ",\"ike\":null}]}", "ike has the wrong type"},
        {HEAD "{" TUNNEL ",\"ike\":{}}]}", "version is missing"},
        {HEAD "{" TUNNEL ",\"ike\":{\"version\":3}}]}", "version is neither 1 nor 2"},
        {HEAD "{" TUNNEL ",\"ike\":{\"version\":2,\"cipher\":2}}]}", "cipher has the wrong type"},
        {HEAD "{" TUNNEL ",\"children\":[1]}]}", "children has one that is no object"},
        {HEAD "{" TUNNEL ",\"children\":[{}]}]}", "uniqueid is missing"},
        {HEAD "{" TUNNEL ",\"children\":[{\"uniqueid\":1}]}]}", "local_ts is missing"},
        {HEAD "{" TUNNEL ",\"children\":[{\"uniqueid\":1,\"local_ts\":[\"10.0.0.0/8\"]}]}]}",
         "remote_ts is missing"},
        {HEAD "{" TUNNEL ",\"children\":[{\"uniqueid\":1,\"local_ts\":[\"10.0.0.0/33\"]}]}]}",
         "local_ts has one that is no traffic selector"},
        {HEAD "{" TUNNEL ",\"children\":[{\"uniqueid\":1,\"local_ts\":[10]}]}]}",
         "local_ts has one that is no traffic selector"},
        {HEAD "{" TUNNEL ",\"bytes_in\":-1}]}", "bytes_in is negative"},
        {HEAD "{" TUNNEL ",\"last_in_s\":10000000001}]}", "last_in_s is too large"},
        {HEAD "{" TUNNEL ",\"rekeys\":\"many\"}]}", "rekeys has the wrong type"},
        {HEAD "{" TUNNEL ",\"warnings\":[1]}]}", "warnings has one that is no text"},
        {HEAD "{" TUNNEL ",\"last_alert\":\"\\u0007\"}]}", "last_alert is not printable"},
        {HEAD "{" TUNNEL ",\"last_alert\":\"a\\u0000b\"}]}", "the line is no JSON object"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct status status;
        char error[160];
        size_t length = strlen(cases[i].line);
        char *line = malloc(length + 1); /* so that a byte too far is found */
        memcpy(line, cases[i].line, length + 1);
        assert_int_equal(status_read(line, length, &status, error), -EBADMSG);
        assert_string_equal(error, cases[i].error);
        free(line);
    }
}

/* Every beginning of a good line is refused, and frees what it had made. */
static void test_half_lines(void **state)
{
    const char line[] = HEAD "{" TUNNEL ",\"children\":[{\"uniqueid\":1,"
                             "\"local_ts\":[\"10.0.0.0/8\"],\"remote_ts\":[\"::/0\"]}]}]}";

    (void)state;
    for (size_t length = 0; length < strlen(line); length++) {
        struct status status;
        char error[160];
        assert_int_equal(status_read(line, length, &status, error), -EBADMSG);
    }
    struct status status = read_line(line, strlen(line));
    status_free(&status);
}

/* head, then count times item with commas between, then tail. */
static char *repeated(const char *head, const char *item, size_t count, const char *tail)
{
    char *line = NULL;
    size_t length = 0;
    FILE *stream = open_memstream(&line, &length);

    fputs(head, stream);
    for (size_t i = 0; i < count; i++)
        fprintf(stream, "%s%s", i == 0 ? "" : ",", item);
    fputs(tail, stream);
    fclose(stream);
    return line;
}

static void expect_bound(const char *head, const char *item, size_t maximum, const char *tail,
                         const char *expected)
{
    struct status status;
    char error[160];
    char *line = repeated(head, item, maximum, tail);

    status = read_line(line, strlen(line));
    status_free(&status);
    free(line);
    line = repeated(head, item, maximum + 1, tail);
    assert_int_equal(status_read(line, strlen(line), &status, error), -EBADMSG);
    assert_string_equal(error, expected);
    free(line);
}

static void test_bounds(void **state)
{
    const char child[] = "{\"uniqueid\":1,\"local_ts\":[],\"remote_ts\":[]}";
    char text[STATUS_TEXT_BYTES + 1], item[sizeof text + 2];
    struct status status;
    char error[160];

    (void)state;
    expect_bound(HEAD "{" TUNNEL ",\"children\":[", child, STATUS_CHILDREN_MAXIMUM, "]}]}",
                 "children has too many");
    expect_bound(HEAD "{" TUNNEL ",\"children\":[{\"uniqueid\":1,\"remote_ts\":[],\"local_ts\":[",
                 "\"10.0.0.0/8\"", STATUS_SELECTORS_MAXIMUM, "]}]}]}", "local_ts has too many");
    expect_bound(HEAD "{" TUNNEL ",\"warnings\":[", "\"w\"", STATUS_WARNINGS_MAXIMUM, "]}]}",
                 "warnings has too many");

    char *line = repeated(HEAD, "{}", STATUS_TUNNELS_MAXIMUM + 1, "]}");
    assert_int_equal(status_read(line, strlen(line), &status, error), -EBADMSG);
    assert_string_equal(error, "tunnels has too many");
    free(line);

    memset(text, 'n', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    snprintf(item, sizeof item, "\"%s\"", text);
    line = repeated(HEAD "{" TUNNEL ",\"warnings\":[", item, 1, "]}]}");
    assert_int_equal(status_read(line, strlen(line), &status, error), -EBADMSG);
    assert_string_equal(error, "warnings is too long");
    free(line);

    line = repeated(HEAD, " ", STATUS_LINE_MAXIMUM / 2, "]}");
    assert_int_equal(status_read(line, STATUS_LINE_MAXIMUM + 1, &status, error), -EBADMSG);
    assert_string_equal(error, "the line is too long");
    free(line);
}

/* More CHILD SAs than a line may tell of: the rest is left out, and the line can still be read. */
static void test_many_children_are_written_in_part(void **state)
{
    const struct tunnel_wanted wanted = {.name = "site"};
    struct tunnels *tunnels = tunnels_new(NULL, NULL);
    struct status status;
    size_t length;
    char *line;

    (void)state;
    assert_int_equal(tunnels_configure(tunnels, 0, &wanted, 1), 0);
    for (unsigned i = 1; i <= STATUS_CHILDREN_MAXIMUM + 5; i++) {
        char text[256];
        snprintf(text, sizeof text,
                 "up=yes mllpgw-site{ uniqueid=1 state=ESTABLISHED child-sas{ "
                 "mllpgw-site-%u{ name=mllpgw-site uniqueid=%u state=INSTALLED } } }",
                 i, i);
        take(tunnels, 0, "child-updown", text);
    }
    assert_int_equal(status_write(&(struct status_head){1, true, NULL}, tunnels, 0, &line, &length),
                     0);
    status = read_line(line, length);
    assert_int_equal(status.tunnels[0].child_count, STATUS_CHILDREN_MAXIMUM);
    status_free(&status);
    free(line);
    tunnels_free(&tunnels);
}

static void take_cut_up(struct tunnels *tunnels, unsigned number)
{
    static char text[65536];
    int used = snprintf(text, sizeof text,
                        "up=yes mllpgw-site{ uniqueid=1 state=ESTABLISHED child-sas{ c{ "
                        "name=mllpgw-site uniqueid=%u state=INSTALLED local-ts[ ",
                        number + 1);

    for (unsigned end = 0; end < 2; end++) {
        for (unsigned i = 0; i < SA_SELECTORS_MAXIMUM; i++)
            used += snprintf(text + used, sizeof text - (size_t)used,
                             "fd00:1111:2222:3333:4444:5555:%x:%x/128 ", number + 1, 2 * i);
        used += snprintf(text + used, sizeof text - (size_t)used, "] %s",
                         end == 0 ? "remote-ts[ " : "} } }");
    }
    take(tunnels, 0, "child-updown", text);
}

/* What one other side does to its networks silences nobody else. */
static void test_the_others_are_told_of_beside_a_tunnel_cut_into_pieces(void **state)
{
    const struct tunnel_wanted wanted[] = {{.name = "site"}, {.name = "two"}};
    struct tunnels *tunnels = tunnels_new(NULL, NULL);
    struct status status;
    char *line = NULL;
    size_t length = 0;

    (void)state;
    assert_int_equal(tunnels_configure(tunnels, 0, wanted, 2), 0);
    for (unsigned i = 0; i < STATUS_CHILDREN_MAXIMUM; i++)
        take_cut_up(tunnels, i);
    take(tunnels, 0, "child-updown",
         "up=yes mllpgw-two{ uniqueid=2 state=ESTABLISHED child-sas{ c{ name=mllpgw-two "
         "uniqueid=999 state=INSTALLED local-ts[ 10.20.0.0/24 ] remote-ts[ 10.10.0.0/24 ] } } }");
    assert_int_equal(status_write(&(struct status_head){1, true, NULL}, tunnels, 0, &line, &length),
                     0);
    assert_true(length <= STATUS_LINE_MAXIMUM);
    status = read_line(line, length);
    assert_int_equal(status.tunnels[0].child_count, STATUS_CHILDREN_MAXIMUM);
    assert_int_equal(status.tunnels[0].children[0].local_count, SA_SELECTORS_MAXIMUM);
    assert_int_equal(status.tunnels[0].children[STATUS_CHILDREN_MAXIMUM - 1].local_count, 0);
    assert_int_equal(status.tunnels[1].children[0].local_count, 1);
    assert_int_equal(status.tunnels[1].children[0].remote_count, 1);
    status_free(&status);
    free(line);
    tunnels_free(&tunnels);
}

static void put_long_texts(struct tunnels *tunnels, const char *name)
{
    char text[4096], alert[200], address[SA_TEXT_BYTES];
    int used;

    memset(alert, '"', sizeof alert - 1); /* each takes two bytes */
    alert[sizeof alert - 1] = '\0';
    memset(address, 'x', sizeof address - 1);
    address[sizeof address - 1] = '\0';
    used = snprintf(
        text, sizeof text,
        "up=yes mllpgw-%s{ uniqueid=1 state=ESTABLISHED local-host=%s remote-host=%s "
        "local-id=%s remote-id=%s child-sas{ c{ name=mllpgw-%s uniqueid=1 "
        "state=INSTALLED rekey-time=3000 local-ts[ 10.20.0.0/24 ] remote-ts[ 10.10.0.0/24 ] } } }",
        name, address, address, address, address, name);
    assert_true(used < (int)sizeof text);
    take(tunnels, 0, "child-updown", text);
    tunnels_alert(tunnels, 0, name, alert);
}

static void put_many_children(struct tunnels *tunnels, const char *name)
{
    char text[8192];
    int used = snprintf(text, sizeof text,
                        "up=yes mllpgw-%s{ uniqueid=1 state=ESTABLISHED child-sas{ ", name);

    for (unsigned i = 0; i < STATUS_CHILDREN_MAXIMUM; i++)
        used += snprintf(text + used, sizeof text - (size_t)used,
                         "c%u{ name=mllpgw-%s uniqueid=%u state=INSTALLED } ", i, name, 1000 + i);
    assert_true(used + 8 < (int)sizeof text);
    snprintf(text + used, sizeof text - (size_t)used, "} }");
    take(tunnels, 0, "child-updown", text);
}

/* As many tunnels as there may be, with the longest texts: whom to let in is told of each. Only a line that is
 * too long even so is not written. */
static void test_what_admission_goes_by_has_room_for_all(void **state)
{
    enum { COUNT = STATUS_TUNNELS_MAXIMUM };
    static struct tunnel_wanted wanted[COUNT];
    static char names[COUNT][STATUS_NAME_BYTES];
    struct tunnels *tunnels = tunnels_new(NULL, NULL);
    struct status status;
    char *line = NULL;
    size_t length = 0;

    (void)state;
    for (unsigned i = 0; i < COUNT; i++) {
        snprintf(names[i], sizeof names[i], "t%063u", i);
        wanted[i] = (struct tunnel_wanted){.name = names[i],
                                           .settings = "0123456789abcdef0123456789abcdef"};
    }
    assert_int_equal(tunnels_configure(tunnels, 0, wanted, COUNT), 0);
    for (unsigned i = 0; i < COUNT; i++)
        put_long_texts(tunnels, names[i]);
    assert_int_equal(status_write(&(struct status_head){1, true, NULL}, tunnels, 0, &line, &length),
                     0);
    assert_true(length <= STATUS_LINE_MAXIMUM);
    status = read_line(line, length);
    free(line);
    assert_int_equal(status.count, COUNT);
    for (unsigned i = 0; i < COUNT; i++) {
        assert_int_equal(status.tunnels[i].state, TUNNEL_UP);
        assert_string_equal(status.tunnels[i].settings, wanted[i].settings);
        assert_int_equal(status.tunnels[i].children[0].local_count, 1);
        assert_int_equal(status.tunnels[i].children[0].remote_count, 1);
        assert_int_equal(status.tunnels[i].warning_count, 1);
    }
    assert_non_null(strstr(status.tunnels[0].warnings[0], "the status is too long"));
    status_free(&status);
    for (unsigned i = 0; i < COUNT; i++)
        put_many_children(tunnels, names[i]);
    line = NULL;
    assert_int_equal(status_write(&(struct status_head){1, true, NULL}, tunnels, 0, &line, &length),
                     -EMSGSIZE);
    assert_null(line);
    tunnels_free(&tunnels);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_round_trip),
        cmocka_unit_test(test_lost_and_warnings),
        cmocka_unit_test(test_little_is_enough),
        cmocka_unit_test(test_malformed),
        cmocka_unit_test(test_half_lines),
        cmocka_unit_test(test_bounds),
        cmocka_unit_test(test_many_children_are_written_in_part),
        cmocka_unit_test(test_the_others_are_told_of_beside_a_tunnel_cut_into_pieces),
        cmocka_unit_test(test_what_admission_goes_by_has_room_for_all),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
