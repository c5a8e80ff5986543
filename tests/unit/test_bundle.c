/* links: certs */
#include "certs/bundle.h"

#include "support/pki.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

enum { DAY_S = 86400 };

/* What a load said, a line each: "E file: text" or "W file: text". */
struct said {
    char text[8192];
    int errors, warnings;
};

static void on_problem(void *context, bool error, const char *file, const char *text)
{
    struct said *said = context;
    size_t used = strlen(said->text);
    *(error ? &said->errors : &said->warnings) += 1;
    snprintf(said->text + used, sizeof said->text - used, "%c %s: %s\n", error ? 'E' : 'W', file,
             text);
}

static const char *file_or_null(const char *name)
{
    return name == NULL || name[0] == '/' ? name : pki_file(name);
}

struct row {
    const char *certificate, *key, *ca, *crl;
    bool crl_required;
    enum bundle_profile profile;
    enum bundle_use use;
    const char *said[4]; /* 'E' or 'W' and parts of the lines; all that is said */
    int64_t later_s;
};

static const struct row rows[] = {
    {.certificate = "server.pem", .key = "server.key"},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "ca.pem",
     .crl = "ca.crl",
     .crl_required = true},
    {.certificate = "server.pem", .key = "server.key", .profile = BUNDLE_NIST_800_52R2},
    {.certificate = "extra/long.pem", .key = "extra/long.key"}, /* over 4096, under 8192 bytes */
    {.certificate = "extra/too-long.pem",
     .key = "extra/too-long.key",
     .said = {"E extra/too-long.pem: the chain of 3 certificates needs a Certificate message of "}},
    /* What only a listener's has to be. */
    {.certificate = "extra/too-long.pem", .key = "extra/too-long.key", .use = BUNDLE_OTHER},
    {.certificate = "client1.pem",
     .key = "client1.key",
     .said = {"W client1.pem: its extended key usage lacks serverAuth"}},
    {.certificate = "client1.pem", .key = "client1.key", .use = BUNDLE_OTHER},
    {.certificate = "server.pem",
     .key = "client1.key",
     .said = {"E client1.key: is not the key of the first certificate in "}},
    {.certificate = "server.key",
     .key = "server.pem",
     .said = {"E server.key: holds a PRIVATE KEY but no CERTIFICATE",
              "E server.pem: holds no PRIVATE KEY"}},
    {.certificate = "/nowhere/server.pem",
     .key = "/nowhere/server.key",
     .ca = "/nowhere/ca.pem",
     .crl = "/nowhere/ca.crl",
     .crl_required = true,
     .said = {"E /nowhere/server.pem: cannot be opened: No such file",
              "E /nowhere/server.key: cannot be opened", "E /nowhere/ca.pem: cannot be opened",
              "E /nowhere/ca.crl: cannot be opened"}},
    {.certificate = "extra/wrong-order.pem",
     .key = "extra/via-intermediate.key",
     .said = {"E extra/wrong-order.pem: certificate 1 (O=odd, CN=intermediate) is not issued by "
              "the certificate behind it",
              "W extra/wrong-order.pem: it has no subjectAltName",
              "E extra/via-intermediate.key: is not the key of the first"}},
    {.certificate = "extra/expired.pem",
     .key = "extra/expired.key",
     .said = {"E extra/expired.pem: certificate 1 (O=odd, CN=expired.odd.example) expired 20",
              "W extra/expired.pem: its extended key usage lacks serverAuth"}},
    {.certificate = "extra/future.pem",
     .key = "extra/future.key",
     .said =
         {"E extra/future.pem: certificate 1 (O=odd, CN=future.odd.example) is not valid before",
          "W extra/future.pem: its extended key usage lacks serverAuth"}},
    {.certificate = "server.pem",
     .key = "server.key",
     .later_s = 340 * DAY_S,
     .said = {"W server.pem: certificate 1 (O=mllp-gateway demo, CN=localhost) expires 20"}},
    {.certificate = "extra/rsa1024.pem",
     .key = "extra/rsa1024.key",
     .said =
         {"E extra/rsa1024.pem: certificate 1 (O=odd, CN=rsa1024.odd.example) has an RSA key of "
          "1024 bits; at least 2048",
          "W extra/rsa1024.pem: its extended key usage"}},
    {.certificate = "server.pem",
     .key = "server.key",
     .crl = "ca.crl",
     .crl_required = true,
     .said = {"W ca.crl: CRL 1 is of O=mllp-gateway demo",
              "E server.pem: CRLs are required, but no CA for clients is named"}},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "ca.pem",
     .crl_required = true,
     .said = {"E server.pem: CRLs are required, but no CRL file is named"}},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "ca.pem",
     .crl = "extra/other.crl",
     .said = {"W extra/other.crl: CRL 1 is of O=odd, CN=other root, which is not in "}},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "ca.pem",
     .crl = "extra/expired.crl",
     .said = {"W extra/expired.crl: CRL 1 (O=mllp-gateway demo, CN=mllp-gateway demo CA) expired"}},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "ca.pem",
     .crl = "extra/expired.crl",
     .crl_required = true,
     .said = {"E extra/expired.crl: CRL 1 (O=mllp-gateway demo, CN=mllp-gateway demo CA) expired"}},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "ca.pem",
     .crl = "ca.pem",
     .said = {"E ca.pem: holds a CERTIFICATE but no X509 CRL"}},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "client1.pem",
     .said = {"W client1.pem: certificate 1 (O=mllp-gateway demo, CN=client1.demo.example) is no "
              "CA, so it makes nobody trusted"}},
    {.certificate = "server.pem", .key = "server.key", .ca = "extra/nc-root.pem"},
    {.certificate = "server.pem",
     .key = "server.key",
     .ca = "extra/nc-rid-root.pem",
     .said = {"E extra/nc-rid-root.pem: certificate 1 (O=odd, CN=root that cannot be honoured) has "
              "name constraints of a kind"}},
    {.certificate = "server.pem",
     .key = "extra/encrypted.key",
     .said = {"E extra/encrypted.key: is encrypted; a daemon has nobody to ask"}},
    {.certificate = "extra/server.der",
     .key = "extra/server-key.der",
     .ca = "extra/ca.der",
     .crl = "extra/crl.der",
     .crl_required = true},
    {.certificate = "extra/ed25519.pem",
     .key = "extra/ed25519.key",
     .said = {"E extra/ed25519.pem: certificate 1 cannot be read", "E extra/ed25519.key: the key"}},
};

/* Lines name the whole path; rows only the end of it, which has to follow "E " or "W ". */
static bool line_is(const char *line, const char *expected)
{
    const char *colon = strchr(expected, ':');
    char name[200];
    snprintf(name, sizeof name, "%.*s", (int)(colon - expected - 2), expected + 2);
    const char *path = strstr(line, ": ");
    const char *end = strchr(line, '\n');
    return path != NULL && line[0] == expected[0] && path - line >= (long)strlen(name) &&
           strncmp(path - strlen(name), name, strlen(name)) == 0 &&
           memmem(path, (size_t)(end - path), colon, strlen(colon)) != NULL;
}

static void check_row(const struct row *row)
{
    struct said said = {0};
    struct bundle_files files = {file_or_null(row->certificate),
                                 file_or_null(row->key),
                                 file_or_null(row->ca),
                                 file_or_null(row->crl),
                                 row->crl_required,
                                 row->profile,
                                 row->use};
    struct bundle *bundle = bundle_load(&files, time(NULL) + row->later_s, on_problem, &said);
    const char *line = said.text;
    size_t count = 0;
    for (; count < 4 && row->said[count] != NULL; count++) {
        if (*line == '\0' || !line_is(line, row->said[count]))
            fail_msg("%s: want \"%s\", have:\n%s", row->certificate, row->said[count], said.text);
        line = strchr(line, '\n') + 1;
    }
    if (*line != '\0')
        fail_msg("%s: more than wanted:\n%s", row->certificate, said.text);
    assert_int_equal(bundle == NULL, said.errors > 0);
    bundle_release(&bundle);
}

static void table(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        check_row(&rows[i]);
}

static void expiry_and_references(void **state)
{
    struct bundle_files files = {.certificate = pki_file("server.pem"),
                                 .key = pki_file("server.key")};
    int64_t now_s = time(NULL);
    struct bundle *bundle = bundle_load(&files, now_s, NULL, NULL);
    (void)state;
    assert_non_null(bundle);
    assert_true(bundle_expires_s(bundle) > now_s + 350 * DAY_S);
    assert_true(bundle_expires_s(bundle) < now_s + 366 * DAY_S);
    struct bundle *second = bundle_reference(bundle);
    bundle_release(&bundle);
    assert_null(bundle);
    assert_true(bundle_expires_s(second) > now_s);
    bundle_release(&second);
    bundle_release(&second);
}

/* With the CRLs of another file, and without a look at the others, which may be gone or worse. */
static void renewed_crls(void **state)
{
    struct bundle_files files = {.certificate = pki_file("server.pem"),
                                 .key = pki_file("server.key"),
                                 .ca = pki_file("ca.pem")};
    char crl[] = "/tmp/test_bundle_crl.XXXXXX";
    struct said said = {0};
    int64_t now_s = time(NULL);
    struct bundle *before = bundle_load(&files, now_s, NULL, NULL);
    (void)state;
    assert_non_null(before);
    assert_false(before->has_crls);
    files = (struct bundle_files){.certificate = "/nowhere",
                                  .key = "/nowhere",
                                  .ca = "/nowhere",
                                  .crl = pki_file("ca.crl"),
                                  .crl_required = true};
    /* Ours has run out long since; the CRL, too, which is a warning here. */
    struct bundle *after = bundle_renew(before, &files, now_s + 4000 * DAY_S, on_problem, &said);
    assert_non_null(after);
    assert_int_equal(said.errors, 0);
    assert_true(after->has_crls);
    assert_ptr_equal(after->trust, before->trust);
    bundle_release(&before);
    assert_true(bundle_expires_s(after) > now_s);

    int fd = mkstemp(crl);
    assert_true(fd >= 0);
    assert_int_equal(write(fd, "no CRL\n", 7), 7);
    files.crl = crl;
    assert_null(bundle_renew(after, &files, now_s, on_problem, &said));
    assert_int_equal(said.errors, 1);
    close(fd);
    unlink(crl);
    bundle_release(&after);
}

/* Certificates of a file that was cut while it was written, byte for byte: an error or a bundle,
 * never a crash. */
static void cut_files(void **state)
{
    char path[] = "/tmp/test_bundle.XXXXXX", bytes[4096];
    FILE *file = fopen(pki_file("server.pem"), "r");
    (void)state;
    assert_non_null(file);
    size_t length = fread(bytes, 1, sizeof bytes, file);
    fclose(file);
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    for (size_t cut = 0; cut + 2 < length; cut += 7) {
        struct said said = {0};
        struct bundle_files files = {.certificate = path, .key = pki_file("server.key")};
        assert_int_equal(ftruncate(fd, 0), 0);
        assert_int_equal(pwrite(fd, bytes, cut, 0), cut);
        struct bundle *bundle = bundle_load(&files, time(NULL), on_problem, &said);
        assert_null(bundle);
        assert_true(said.errors > 0);
    }
    close(fd);
    unlink(path);
}

static int make(void **state)
{
    (void)state;
    pki_make();
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(table),
        cmocka_unit_test(expiry_and_references),
        cmocka_unit_test(renewed_crls),
        cmocka_unit_test(cut_files),
    };
    return cmocka_run_group_tests(tests, make, NULL);
}
