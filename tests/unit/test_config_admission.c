/* links: config */
/* Peers as listeners see them: proofs, and two that could both match. */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <unistd.h>

#include "support/config_case.h"

#define TWO(first, second) "peers = ( { name = \"p\"; " first " }, { name = \"q\"; " second " } );"
#define BOTH(tls)                                                                                  \
    "listeners = ( { name = \"l\"; address = \"127.0.0.1:2575\"; " tls                             \
    " peers = [ \"p\",\n\"q\" ]; } );"

/* text NULL: no problem. The second peer stands in line 7. */
static void two(const char *peers, const char *tls, enum problem_severity severity,
                const char *text)
{
    char listeners[512];
    (void)snprintf(listeners, sizeof listeners, BOTH("%s"), tls);
    const struct config_case wanted = {
        .peers = peers, .listeners = listeners, .tls = tls[0] ? NULL : ""};
    if (text) {
        config_case_one(&wanted, severity, 7, "listeners.l.peers", text);
        return;
    }
    struct config *config = config_case_good(&wanted);
    config_free(&config);
}

#define TLS "tls = \"t\";"
#define NET "addresses = [ \"10.0.0.0/8\" ]; "
#define CERT(name) "certificates = [ \"dns:" name "\" ]; "

static void two_that_could_both_match(void **state)
{
    static const struct {
        const char *peers, *tls;
        enum problem_severity severity;
        const char *text;
    } cases[] = {
        {TWO(NET CERT("a"), NET CERT("b")), TLS, 0, NULL},
        {TWO(NET CERT("a"), NET CERT("A")), TLS, PROBLEM_ERROR, "same certificate"},
        {TWO(NET CERT("a"), "addresses = [ \"10.0.0.0/16\" ]; " CERT("a")), TLS, 0, NULL},
        {TWO(NET CERT("a"), NET), TLS, PROBLEM_ERROR, "lists no certificates"},
        {TWO(NET, NET), TLS, PROBLEM_ERROR, "10.0.0.0/8"},
        {TWO(NET, NET), "", PROBLEM_ERROR, "both match"},
        {TWO(NET, "addresses = [ \"10.0.0.0/9\" ]; "), "", 0, NULL},
        {TWO(NET, "addresses = [ \"192.0.2.1\", \"::ffff:10.0.0.0/104\" ]; "), "", PROBLEM_ERROR,
         "both match"},
        {TWO("addresses = [ \"10.0.0.1\" ]; ", "addresses = [ \"10.0.0.1/32\" ]; "), "",
         PROBLEM_ERROR, "both match"},
        {TWO("addresses = [ \"::1\" ]; ", "addresses = [ \"0:0::1\" ]; "), "", PROBLEM_ERROR,
         "both match"},
        {TWO("addresses = [ \"h.example\" ]; " CERT("a"),
             "addresses = [ \"H.example\" ]; " CERT("a")),
         TLS, PROBLEM_ERROR, "both match"},
        {TWO("addresses = [ \"h.example\" ]; " CERT("a"),
             "addresses = [ \"h.example\" ]; " CERT("b")),
         TLS, 0, NULL},
        {TWO("addresses = [ \"h.example\" ]; " CERT("a"),
             "addresses = [ \"i.example\" ]; " CERT("a")),
         TLS, PROBLEM_WARNING, "when DNS gives"},
        {TWO("addresses = [ \"h.example\" ]; " CERT("a"),
             "addresses = [ \"10.0.0.1\" ]; " CERT("a")),
         TLS, PROBLEM_WARNING, "when DNS gives"},
        {TWO("addresses = [ \"h.example\" ]; " CERT("a"), NET CERT("a")), TLS, 0, NULL},
        {TWO(NET CERT("a") "ca = \"one\"; ", NET CERT("a") "ca = \"two\"; "), TLS, 0, NULL},
        {TWO(NET CERT("a") "ca = \"one\"; ", NET CERT("a") "ca = \"one\"; "), TLS, PROBLEM_ERROR,
         "same certificate"},
        {TWO(NET CERT("a") "ca = \"one\"; ", NET CERT("a")), TLS, PROBLEM_ERROR,
         "same certificate"},
        {TWO(NET "certificates = [ \"sha256:aa:bb"
                 "ccddeeff00112233445566778899aabbccddeeff00112233445566778899\" ];",
             NET "certificates = [ \"sha256:AABB"
                 "CCDDEEFF00112233445566778899AABBCCDDEEFF00112233445566778899\" ];"),
         TLS, PROBLEM_ERROR, "same certificate"},
        {TWO(NET "certificates = [ \"email:a@B.example\" ];",
             NET "certificates = [ \"email:a@b.example\" ];"),
         TLS, PROBLEM_ERROR, "same certificate"},
        {TWO(NET "certificates = [ \"email:A@b.example\" ];",
             NET "certificates = [ \"email:a@b.example\" ];"),
         TLS, 0, NULL},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        two(cases[i].peers, cases[i].tls, cases[i].severity, cases[i].text);
    }
}

static void a_peer_that_nobody_is_ties_with_none(void **state)
{
    const struct config_case wanted = {.peers = TWO(NET, NET "certificates = [ ]; "),
                                       .listeners = BOTH(TLS)};
    (void)state;
    config_case_one(&wanted, PROBLEM_WARNING, 5, "peers.q.certificates", "nobody");
}

static void certificates_need_a_tls_that_asks(void **state)
{
    (void)state;
    config_case_one(
        &(struct config_case){
            .tls = "",
            .listeners =
                "listeners = ( { name = \"l\"; address = \"1.1.1.1:2\"; peers = [ \"p\" ]; } );"},
        PROBLEM_ERROR, 6, "listeners.l.peers", "no tls");
    config_case_one(
        &(struct config_case){
            .tls =
                "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; client_certificate = \"off\"; } );"},
        PROBLEM_ERROR, 6, "listeners.l.peers", "client_certificate is off");
    config_case_one(
        &(struct config_case){
            .tls =
                "tls = ( { name = \"t\"; certificate = \"c\"; key = \"k\"; client_certificate = \"off\"; } );",
            .peers = "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; ca = \"x\"; } );"},
        PROBLEM_ERROR, 6, "listeners.l.peers", "has a ca");
    /* Chain and address are a proof, too. */
    struct config *config = config_case_good(&(struct config_case){
        .peers = "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; } );"});
    config_free(&config);
}

#define PEM(text) "-----BEGIN CERTIFICATE-----\n" text "\n-----END CERTIFICATE-----\n"

static void write_file(const char *path, const char *text)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(text, out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static struct config *load_in(const char *directory, const char *peers, const char *listeners,
                              struct problems *problems)
{
    const char *text =
        config_case_text(&(struct config_case){.peers = peers, .listeners = listeners});
    problems_init(problems);
    return config_load_text(text, strlen(text), "case.cfg", directory, problems);
}

static void roots_are_told_apart(void **state)
{
    char directory[] = "/tmp/mllpgw-roots-XXXXXX", path[64];
    struct problems problems;
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/ca", directory);
    write_file(path, PEM("AAAA") "# the second\n" PEM("BBBB"));

    struct config *config = load_in(directory, NULL, NULL, &problems);
    assert_null(config);
    assert_true(
        config_case_has(&problems, PROBLEM_ERROR, 6, "listeners.l.peers", "trusts 2 roots"));
    problems_free(&problems);

    config = load_in(
        directory,
        "peers = ( { name = \"p\"; addresses = [ \"10.0.0.0/8\" ]; certificates = [ \"dns:a\" ]; ca = \"own\"; } );",
        NULL, &problems);
    assert_non_null(config);
    config_free(&config);
    problems_free(&problems);

    /* Two files with the same root in them tell nobody apart. */
    char other[64];
    (void)snprintf(other, sizeof other, "%s/own", directory);
    write_file(other, PEM("BB\r\nBB"));
    config = load_in(directory, TWO(NET CERT("a") "ca = \"own\";", NET CERT("a") "ca = \"ca\";"),
                     BOTH(TLS), &problems);
    assert_null(config);
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 7, "listeners.l.peers", "both match"));
    problems_free(&problems);

    write_file(path, PEM("CCCC"));
    config = load_in(directory, TWO(NET CERT("a") "ca = \"own\";", NET CERT("a") "ca = \"ca\";"),
                     BOTH(TLS), &problems);
    assert_non_null(config);
    config_free(&config);
    problems_free(&problems);

    write_file(path, PEM("AAAA"));
    config = load_in(directory, NULL, NULL, &problems);
    assert_non_null(config);
    config_free(&config);
    problems_free(&problems);
    unlink(other);
    unlink(path);
    rmdir(directory);
}

/* Two roots with 5 MiB of words between them: what is loaded is looked into. */
static void write_large(const char *path)
{
    FILE *out = fopen(path, "w");
    assert_non_null(out);
    assert_true(fputs(PEM("AAAA"), out) >= 0);
    for (unsigned i = 0; i < 5u << 16; i++) {
        assert_true(fputs("# 16 characters\n", out) >= 0);
    }
    assert_true(fputs(PEM("BBBB"), out) >= 0);
    assert_int_equal(fclose(out), 0);
}

static void large_bundles_are_no_way_round(void **state)
{
    char directory[] = "/tmp/mllpgw-roots-XXXXXX", path[64], other[64];
    const char *peers = TWO(NET CERT("a") "ca = \"own\";", NET CERT("a") "ca = \"ca\";");
    struct problems problems;
    (void)state;
    assert_non_null(mkdtemp(directory));
    (void)snprintf(path, sizeof path, "%s/ca", directory);
    (void)snprintf(other, sizeof other, "%s/own", directory);
    write_large(path);
    write_file(other, PEM("BBBB"));
    assert_null(load_in(directory, NULL, NULL, &problems));
    assert_true(
        config_case_has(&problems, PROBLEM_ERROR, 6, "listeners.l.peers", "trusts 2 roots"));
    problems_free(&problems);
    assert_null(load_in(directory, peers, BOTH(TLS), &problems));
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 7, "listeners.l.peers", "both match"));
    problems_free(&problems);

    assert_int_equal(truncate(path, (off_t)CONFIG_PEM_BYTES + 1), 0);
    assert_null(load_in(directory, NULL, NULL, &problems));
    assert_true(
        config_case_has(&problems, PROBLEM_ERROR, 6, "listeners.l.peers", "larger than 64 MiB"));
    problems_free(&problems);
    assert_null(load_in(directory, peers, BOTH(TLS), &problems));
    assert_true(config_case_has(&problems, PROBLEM_ERROR, 7, "listeners.l.peers", "both match"));
    problems_free(&problems);
    unlink(other);
    unlink(path);
    rmdir(directory);
}

static void peers_are_written_well(void **state)
{
    static const struct {
        const char *peer, *setting, *text;
    } cases[] = {
        {"addresses = [ \"10.0.0.1/8\" ]; " CERT("a"), "peers.p.addresses",
         "\"10.0.0.0/8\" for the network"},
        {"addresses = [ \"2001:db8::1/32\" ]; " CERT("a"), "peers.p.addresses",
         "\"2001:db8::/32\""},
        {"addresses = [ \"10.0.0.300\" ]; " CERT("a"), "peers.p.addresses", "not an address"},
        {"addresses = [ \"10.0.0.0/33\" ]; " CERT("a"), "peers.p.addresses", "not an address"},
        {"addresses = [ \"lab..example\" ]; " CERT("a"), "peers.p.addresses", "neither"},
        {"addresses = [ \"lab.example\" ]; ", "peers.p.addresses", "never the only proof"},
        {NET CERT("*.example"), "peers.p.certificates", "wildcard"},
        {NET "certificates = [ \"lab.example\" ]; ", "peers.p.certificates", "write dns:"},
        {NET "certificates = [ \"sha256:00\" ]; ", "peers.p.certificates", "64 hexadecimal"},
        {NET "certificates = [ \"sha256:zz\" ]; ", "peers.p.certificates", "hexadecimal digits"},
        {NET "certificates = [ \"spki:AAAA\" ]; ", "peers.p.certificates", "base64"},
        {NET "certificates = [ \"spki:AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAB=\" ]; ",
         "peers.p.certificates", "base64"},
        {NET "certificates = [ \"email:a\" ]; ", "peers.p.certificates", "name@domain"},
        {NET "certificates = [ \"uri:a\" ]; ", "peers.p.certificates", "whole URI"},
        {NET "certificates = [ \"cn:\" ]; ", "peers.p.certificates", "common name"},
        {NET CERT("a") "facilities = [ \"A^B^C\" ]; ", "peers.p.facilities", "MSH-4.1"},
        {NET CERT("a") "facilities = [ \"^B\" ]; ", "peers.p.facilities", "MSH-4.1"},
        {NET CERT("a") "facilities = [ \"B \" ]; ", "peers.p.facilities", "blank"},
        {NET CERT("a") "facilities = [ ]; ", "peers.p.facilities", "is empty"},
        {NET CERT("a") "tunnel = \"x\"; ", "peers.p.tunnel", "there is no tunnel named"},
        {NET CERT("a") "maximum_connections = 0; ", "peers.p.maximum_connections", "out of range"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        char peers[512];
        (void)snprintf(peers, sizeof peers, "peers = ( { name = \"p\"; %s } );", cases[i].peer);
        config_case_one(&(struct config_case){.peers = peers}, PROBLEM_ERROR, 5, cases[i].setting,
                        cases[i].text);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_that_could_both_match),
        cmocka_unit_test(a_peer_that_nobody_is_ties_with_none),
        cmocka_unit_test(certificates_need_a_tls_that_asks),
        cmocka_unit_test(roots_are_told_apart),
        cmocka_unit_test(large_bundles_are_no_way_round),
        cmocka_unit_test(peers_are_written_well),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
