/* links: config */
/* What mllp-tunneld reads, looked at as its user: modes of keys, and keys that the other side takes. */
#include "config/config.h"

#include <errno.h>
#include <sys/stat.h>
#include <unistd.h>

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/config_case.h"

#define GOOD_KEY "Ue7uNP4vWqLzRb2xK9tGcY5mHs3aDf8j"

static char directory[] = "/tmp/mllpgw-tunnels-XXXXXX";
static const char *const files[] = {"psk", "cert", "key", "ca", "spool"};

static char *path_of(const char *name)
{
    static char path[128];
    (void)snprintf(path, sizeof path, "%s/%s", directory, name);
    return path;
}

static void write_file(const char *name, const char *text, mode_t mode)
{
    FILE *out = fopen(path_of(name), "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
    assert_int_equal(chmod(path_of(name), mode), 0);
}

static int make_directory(void **state)
{
    (void)state;
    return mkdtemp(directory) ? 0 : -1;
}

static int remove_directory(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof files / sizeof files[0]; i++) {
        (void)unlink(path_of(files[i]));
    }
    return rmdir(directory);
}

#define NETWORKS                                                                                   \
    "remote = \"192.0.2.1\"; local_subnets = [ \"10.20.0.0/24\" ]; remote_subnets = [ "            \
    "\"10.10.0.0/24\" ];"
#define BY_KEY "psk_file = \"psk\"; " NETWORKS
#define BY_CERTIFICATE                                                                             \
    "certificate = \"cert\"; key = \"key\"; remote_ca = \"ca\"; remote_id = \"h\"; local_id = "    \
    "\"e\"; " NETWORKS

/* user NULL: this process's own. */
static void check(const char *tunnel, const char *user, struct problems *problems)
{
    char more[1024], number[32];
    (void)snprintf(number, sizeof number, "%u", (unsigned)geteuid());
    (void)snprintf(more, sizeof more,
                   "tunneld = { user = \"%s\"; };\ntunnels = ( { name = \"a\"; %s } );",
                   user ? user : number, tunnel);
    const char *text = config_case_text(&(struct config_case){
        .peers = "peers = ( { name = \"p\"; addresses = [ \"10.10.0.1\" ]; tunnel = \"a\"; } );",
        .listeners =
            "listeners = ( { name = \"l\"; address = \"10.20.0.1:2575\"; tls = \"t\"; peers = [ \"p\" ]; } );",
        .more = more});
    problems_init(problems);
    struct config *config =
        config_load_text(text, strlen(text), "/x/main.cfg", directory, problems);
    problems_print(problems, stderr);
    assert_non_null(config);
    assert_int_equal(problems->count, 0);
    config_check_tunnel_files(config, problems);
    config_free(&config);
}

/* problem NULL: none at all. */
static void expect(const char *tunnel, const char *user, enum problem_severity severity,
                   const char *setting, const char *problem)
{
    struct problems problems;
    check(tunnel, user, &problems);
    bool fine =
        problem ? config_case_has(&problems, severity, 0, setting, problem) : problems.count == 0;
    if (!fine) {
        fprintf(stderr, "wanted %s: %s\n", setting ? setting : "", problem ? problem : "nothing");
        problems_print(&problems, stderr);
    }
    problems_free(&problems);
    assert_true(fine);
}

static void keys_are_weighed_and_never_shown(void **state)
{
    static const struct {
        const char *preset, *key;
        enum problem_severity severity;
        const char *problem;
    } cases[] = {
        {"google", GOOD_KEY, 0, NULL},
        {"aws", GOOD_KEY, 0, NULL},
        {"aws", "Ue7uNP4vWqL.Rb2xK9t_cY5mHs3aDf8jUe7uNP4vWqL.Rb2xK9t_cY5mHs3aDf8j", 0, NULL},
        {"aws", "Ue7uNP4vWqL.Rb2xK9t_cY5mHs3aDf8jUe7uNP4vWqL.Rb2xK9t_cY5mHs3aDf8jX", PROBLEM_ERROR,
         "8 to 64 characters; this one has 65"},
        {"aws", "Ue7uNP4", PROBLEM_ERROR, "8 to 64 characters; this one has 7"},
        {"aws", "Ue7uNP4vWqL/Rb2xK9tGcY5mHs3aDf8j", PROBLEM_ERROR, "character 12 of this key"},
        {"aws", "0e7uNP4vWqLzRb2xK9tGcY5mHs3aDf8j", PROBLEM_ERROR, "begins with 0"},
        {"azure", "0e7uNP4vWqL/Rb2xK9tGcY5mHs3aDf8j", 0, NULL},
        {"aws", "Ue7uNP4vWqLzRb2xK9t", PROBLEM_WARNING, "has 19 bytes"},
        {"google", "Ue7uNP4vWqLzRb2xK9t", PROBLEM_WARNING, "has 19 bytes"},
        {"google", "Ue7uNP4vWqLzRb2xK9tG", 0, NULL},
        {"google", "xyxyxyxyxyxyxyxyxyxyxyxy", PROBLEM_WARNING, "only 2 different"},
        {"google", GOOD_KEY " ", PROBLEM_WARNING, "blank"},
        {"google", "", PROBLEM_ERROR, "is empty"},
        {"strongswan", "0x" GOOD_KEY, PROBLEM_WARNING, "for hexadecimal"},
        {"strongswan", "0S" GOOD_KEY, PROBLEM_WARNING, "for base64"},
        {"google", "0x" GOOD_KEY, 0, NULL},
        {"strongswan", GOOD_KEY "\"", PROBLEM_WARNING, "character 33 of the key has a meaning"},
        {"strongswan", GOOD_KEY "?'", 0, NULL},
        {"asa", GOOD_KEY "?", PROBLEM_WARNING, "character 33 of the key cannot be typed"},
        {"fortigate", "a b" GOOD_KEY, PROBLEM_WARNING, "character 2 of the key cannot be typed"},
        {"fortigate", GOOD_KEY, 0, NULL},
        {"asa", GOOD_KEY GOOD_KEY GOOD_KEY GOOD_KEY, 0, NULL},
        {"asa", GOOD_KEY GOOD_KEY GOOD_KEY GOOD_KEY "x", PROBLEM_ERROR, "ASA takes keys of 128"},
        {"azure", GOOD_KEY GOOD_KEY GOOD_KEY GOOD_KEY "x", PROBLEM_ERROR, "this one has 129"},
        {"google", GOOD_KEY "\n" GOOD_KEY, PROBLEM_ERROR, "more than one line"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char tunnel[512], key[256];
        struct problems problems;
        (void)snprintf(key, sizeof key, "%s\n", cases[i].key);
        write_file("psk", key, 0600);
        (void)snprintf(tunnel, sizeof tunnel, BY_KEY " preset = \"%s\";", cases[i].preset);
        expect(tunnel, NULL, cases[i].severity, "tunnels.a.psk_file", cases[i].problem);
        check(tunnel, NULL, &problems);
        for (size_t j = 0; j < problems.count; j++) {
            /* Four bytes of it in a row would be four too many. */
            for (size_t from = 0; strlen(cases[i].key) >= from + 4; from++) {
                char piece[5] = "";
                memcpy(piece, cases[i].key + from, 4);
                assert_null(strstr(problems.items[j].text, piece));
            }
        }
        problems_free(&problems);
    }
}

static void modes_are_as_for_any_secret(void **state)
{
    (void)state;
    expect(BY_KEY, NULL, PROBLEM_ERROR, "tunnels.a.psk_file", "No such file");
    write_file("psk", GOOD_KEY "\n", 0644);
    expect(BY_KEY, NULL, PROBLEM_ERROR, "tunnels.a.psk_file", "open to others");
    write_file("psk", GOOD_KEY "\n", 0620);
    expect(BY_KEY, NULL, PROBLEM_ERROR, "tunnels.a.psk_file", "its group");
    write_file("psk", GOOD_KEY "\n", 0640);
    expect(BY_KEY, NULL, 0, NULL, NULL);
    write_file("cert", "x", 0644);
    write_file("key", "x", 0644);
    write_file("ca", "x", 0666);
    expect(BY_CERTIFICATE, NULL, PROBLEM_ERROR, "tunnels.a.key", "open to others");
    expect(BY_CERTIFICATE, NULL, PROBLEM_ERROR, "tunnels.a.remote_ca", "changed by anybody");
}

static void its_user_is_who_must_read(void **state)
{
    (void)state;
    write_file("psk", GOOD_KEY "\n", 0600);
    expect(BY_KEY, "no-such-user-here", PROBLEM_ERROR, "tunneld.user", "no user \"no-such-user");
    /* A user id that is nobody's here: a container's. */
    expect(BY_KEY, "54321", PROBLEM_ERROR, "tunnels.a.psk_file",
           "cannot be read by mllp-tunneld, user id 54321");
    if (geteuid() == 0) {
        assert_int_equal(chown(path_of("psk"), 54321, 54321), 0);
        expect(BY_KEY, "54321", 0, NULL, NULL);
    }
}

/* In a pod the keys are in mllp-tunneld's container alone: to somebody else there a missing one says nothing. */
static void another_user_cannot_know_what_is_missing(void **state)
{
    (void)state;
    (void)unlink(path_of("psk"));
    expect(BY_KEY, "54321", geteuid() == 0 ? PROBLEM_ERROR : PROBLEM_WARNING, "tunnels.a.psk_file",
           "No such file");
    if (geteuid() != 0) {
        return;
    }
    assert_int_equal(chmod(directory, 0711), 0);
    assert_int_equal(seteuid(65534), 0);
    struct problems problems;
    check(BY_KEY, "54321", &problems);
    assert_int_equal(seteuid(0), 0);
    assert_int_equal(problems.count, 1);
    assert_true(config_case_has(&problems, PROBLEM_WARNING, 0, "tunnels.a.psk_file",
                                "only mllp-tunneld, user id 54321, may have it"));
    problems_free(&problems);
}

/* The gateway must not need to see them, and doesn't look. */
static void the_gateways_check_leaves_them_alone(void **state)
{
    struct problems problems;
    (void)state;
    const struct config_case wanted = {
        .gateway = "gateway = { state_directory = \"/tmp\"; };",
        .peers = "peers = ( { name = \"p\"; addresses = [ \"10.10.0.1\" ]; tunnel = \"a\"; } );",
        .listeners =
            "listeners = ( { name = \"l\"; address = \"10.20.0.1:2575\"; tls = \"t\"; peers = [ \"p\" ]; } );",
        .more = "tunneld = { user = \"no-such-user-here\"; };\n"
                "tunnels = ( { name = \"a\"; " BY_KEY " } );"};
    problems_init(&problems);
    struct config *config = config_case_load(&wanted, &problems);
    assert_non_null(config);
    config_check_files(config, &problems);
    for (size_t i = 0; i < problems.count; i++) {
        assert_null(problems.items[i].setting ? strstr(problems.items[i].setting, "tunnel") : NULL);
    }
    config_free(&config);
    problems_free(&problems);
}

static void without_tunnels_nobody_is_looked_for(void **state)
{
    struct problems problems;
    (void)state;
    problems_init(&problems);
    struct config *config = config_case_load(&(struct config_case){0}, &problems);
    assert_non_null(config);
    config_check_tunnel_files(config, &problems);
    assert_int_equal(problems.count, 0);
    config_free(&config);
    problems_free(&problems);
}

static void users_have_names_or_numbers(void **state)
{
    static const struct {
        const char *user;
        int result;
        uid_t uid;
    } cases[] = {
        {"root", 0, 0},
        {"0", 0, 0},
        {"54321", 0, 54321},
        {"54321x", -ENOENT, 0},
        {"99999999999", -ENOENT, 0},
        {"-1", -ENOENT, 0},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char more[128];
        uid_t user = 7;
        gid_t group = 7;
        struct problems problems;
        (void)snprintf(more, sizeof more, "tunneld = { user = \"%s\"; };", cases[i].user);
        problems_init(&problems);
        struct config *config = config_case_load(&(struct config_case){.more = more}, &problems);
        assert_non_null(config);
        assert_int_equal(config_tunneld_user(config, &user, &group), cases[i].result);
        assert_int_equal(user, cases[i].result == 0 ? cases[i].uid : 7);
        config_free(&config);
        problems_free(&problems);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(modes_are_as_for_any_secret),
        cmocka_unit_test(keys_are_weighed_and_never_shown),
        cmocka_unit_test(its_user_is_who_must_read),
        cmocka_unit_test(another_user_cannot_know_what_is_missing),
        cmocka_unit_test(the_gateways_check_leaves_them_alone),
        cmocka_unit_test(without_tunnels_nobody_is_looked_for),
        cmocka_unit_test(users_have_names_or_numbers),
    };
    return cmocka_run_group_tests(tests, make_directory, remove_directory);
}
