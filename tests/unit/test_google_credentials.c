/* links: http base config */
/* Files of Google credentials: which are taken, what is said of each that is broken, in which order
 * they are found, and what happens when one is replaced. */
#include "http/google_private.h"
#include "support/google_files.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#define SERVICE "service_account"
#define USER "authorized_user"
#define EXTERNAL "external_account"
#define URL "https://oauth2.googleapis.com/token"

static char directory[64];

static const char *path_of(const char *name)
{
    static char paths[4][256];
    static unsigned next;
    char *path = paths[next++ % 4];

    snprintf(path, sizeof(paths[0]), "%s/%s", directory, name);
    return path;
}

static int parse_text(const char *text, struct google_credentials **ret_credentials,
                      char error[GOOGLE_ERROR_BYTES])
{
    error[0] = '\0';
    return google_credentials_parse("key.json", span_of(text, strlen(text)), ret_credentials,
                                    error);
}

static int parse(const json_t *file, struct google_credentials **ret_credentials,
                 char error[GOOGLE_ERROR_BYTES])
{
    char *text = json_dumps(file, 0);
    int result;

    assert_non_null(text);
    result = parse_text(text, ret_credentials, error);
    free(text);
    return result;
}

/* ---- what is taken ---- */

static const struct google_facts *take(const char *type, const char *path, json_t *value,
                                       struct google_credentials **ret_credentials)
{
    json_t *file = google_files_new(type, URL);
    char error[GOOGLE_ERROR_BYTES];

    if (path != NULL)
        google_files_set(file, path, value);
    if (parse(file, ret_credentials, error) != 0)
        fail_msg("%s", error);
    json_decref(file);
    return google_credentials_facts(*ret_credentials);
}

static void a_service_account(void **state)
{
    struct google_credentials *credentials = NULL;
    const struct google_facts *facts = take(SERVICE, NULL, NULL, &credentials);

    (void)state;
    assert_int_equal(google_credentials_kind(credentials), GOOGLE_SERVICE_ACCOUNT);
    assert_string_equal(facts->client_email, GOOGLE_FILES_EMAIL);
    assert_string_equal(facts->key_id, "0123456789abcdef");
    assert_string_equal(facts->token_url, URL);
    assert_string_equal(google_credentials_words(credentials),
                        "service account " GOOGLE_FILES_EMAIL " (key.json)");
    google_credentials_free(&credentials);
    assert_null(credentials);
}

static void a_universe_of_its_own(void **state)
{
    struct google_credentials *credentials = NULL;
    json_t *file = google_files_new(SERVICE, "https://oauth2.example-universe.goog/token");
    char error[GOOGLE_ERROR_BYTES];

    (void)state;
    google_files_set(file, "universe_domain", json_string("example-universe.goog"));
    assert_int_equal(parse(file, &credentials, error), 0);
    assert_string_equal(google_credentials_facts(credentials)->token_url,
                        "https://oauth2.example-universe.goog/token");
    google_credentials_free(&credentials);
    json_decref(file);
}

static void what_may_be_missing(void **state)
{
    static const struct {
        const char *type, *path;
    } cases[] = {{SERVICE, "private_key_id"}, {SERVICE, "token_uri"},   {SERVICE, "project_id"},
                 {USER, "token_uri"},         {USER, "nothing.at.all"}, {EXTERNAL, "nothing"}};

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct google_credentials *credentials = NULL;

        assert_string_equal(take(cases[i].type, cases[i].path, NULL, &credentials)->token_url, URL);
        assert_null(google_credentials_quota_project(credentials));
        google_credentials_free(&credentials);
    }
}

static void external_sources(void **state)
{
    struct google_credentials *credentials = NULL;
    const struct google_facts *facts = take(
        EXTERNAL, "credential_source",
        json_pack("{s:s, s:{s:s, s:s}, s:{s:s, s:s}}", "url", "http://169.254.169.254/identity",
                  "headers", "Metadata", "True", "X-Key", "canary", "format", "type", "json",
                  "subject_token_field_name", "access_token"),
        &credentials);

    (void)state;
    assert_string_equal(facts->source.url, "http://169.254.169.254/identity");
    assert_string_equal(facts->source.headers[0], "Metadata: True");
    assert_string_equal(facts->source.headers[1], "X-Key: canary");
    assert_null(facts->source.headers[2]);
    assert_string_equal(facts->source.json_field, "access_token");
    assert_int_equal(facts->lifetime_s, 3600);
    google_credentials_free(&credentials);
    facts = take(EXTERNAL, "service_account_impersonation_url",
                 json_string("https://iamcredentials.googleapis.com/v1/projects/-/serviceAccounts/"
                             "a@b.iam.gserviceaccount.com:generateAccessToken"),
                 &credentials);
    assert_string_equal(facts->source.file, "/nonexistent/subject");
    assert_null(facts->source.json_field);
    assert_string_equal(
        google_credentials_words(credentials),
        "external account as service account a@b.iam.gserviceaccount.com (key.json)");
    google_credentials_free(&credentials);
    facts = take(EXTERNAL, "service_account_impersonation.token_lifetime_seconds",
                 json_integer(43200), &credentials);
    assert_int_equal(facts->lifetime_s, 43200);
    google_credentials_free(&credentials);
    facts = take(EXTERNAL, "credential_source.format.type", json_string("text"), &credentials);
    assert_null(facts->source.json_field);
    google_credentials_free(&credentials);
}

static void a_quota_project(void **state)
{
    struct google_credentials *credentials = NULL;

    (void)state;
    (void)take(USER, "quota_project_id", json_string("billing"), &credentials);
    assert_string_equal(google_credentials_quota_project(credentials), "billing");
    setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "other", 1);
    assert_string_equal(google_credentials_quota_project(credentials), "other");
    setenv("GOOGLE_CLOUD_QUOTA_PROJECT", "a\r\nX: y", 1);
    assert_string_equal(google_credentials_quota_project(credentials), "billing");
    unsetenv("GOOGLE_CLOUD_QUOTA_PROJECT");
    google_credentials_free(&credentials);
}

/* ---- what is broken ---- */

/* value: JSON; NULL: the field is missing. */
static const struct {
    const char *type, *path, *value, *sentence;
} broken[] = {
    {SERVICE, "type", NULL, "no type: it is service_account, authorized_user or external_account"},
    {SERVICE, "type", "7", "no type: it is service_account, authorized_user or external_account"},
    {SERVICE, "type", "\"canary\"",
     "type is unknown: it is service_account, authorized_user or external_account"},
    {SERVICE, "type", "\"impersonated_service_account\"",
     "type \"impersonated_service_account\" is not supported: use service_account, "
     "authorized_user or external_account"},
    {SERVICE, "client_email", NULL, "no client_email"},
    {SERVICE, "client_email", "\"\"", "client_email is empty"},
    {SERVICE, "client_email", "[]", "client_email is not a text"},
    {SERVICE, "client_email", "\"canary\\nx\"",
     "client_email has characters in it that do not belong there"},
    {SERVICE, "private_key_id", "1", "private_key_id is not a text"},
    {SERVICE, "private_key", NULL, "no private_key"},
    {SERVICE, "private_key", "null", "no private_key"},
    {SERVICE, "private_key", "{}", "private_key is not a text"},
    {SERVICE, "token_uri", "\"http://oauth2.googleapis.com/token\"",
     "token_uri is plain http to another machine: only https is safe"},
    {SERVICE, "token_uri", "\"http://169.254.169.254/token\"",
     "token_uri is plain http to another machine: only https is safe"},
    {SERVICE, "token_uri", "\"oauth2\"", "token_uri is not an https URL with a host"},
    {SERVICE, "token_uri", "\"https://user:canary@example.com/\"",
     "token_uri is not an https URL with a host"},
    {SERVICE, "token_uri", "\"ftp://example.com/\"", "token_uri is not an https URL with a host"},
    {SERVICE, "quota_project_id", "true", "quota_project_id is not a text"},
    {USER, "client_id", NULL, "no client_id"},
    {USER, "client_id", "5", "client_id is not a text"},
    {USER, "client_secret", NULL, "no client_secret"},
    {USER, "client_secret", "\"\"", "client_secret is empty"},
    {USER, "refresh_token", NULL, "no refresh_token"},
    {USER, "refresh_token", "\"canary\\u0007\"",
     "refresh_token has characters in it that do not belong there"},
    {USER, "token_uri", "3", "token_uri is not a text"},
    {EXTERNAL, "audience", NULL, "no audience"},
    {EXTERNAL, "subject_token_type", NULL, "no subject_token_type"},
    {EXTERNAL, "token_url", NULL, "no token_url"},
    {EXTERNAL, "token_url", "\"http://sts.example/\"",
     "token_url is plain http to another machine: only https is safe"},
    {EXTERNAL, "client_id", "{}", "client_id is not a text"},
    {EXTERNAL, "workforce_pool_user_project", "1", "workforce_pool_user_project is not a text"},
    {EXTERNAL, "service_account_impersonation_url", "\"http://iam.example/\"",
     "service_account_impersonation_url is plain http to another machine: only https is safe"},
    {EXTERNAL, "service_account_impersonation.token_lifetime_seconds", "599",
     "service_account_impersonation.token_lifetime_seconds is not a number from 600 to 43200"},
    {EXTERNAL, "service_account_impersonation.token_lifetime_seconds", "43201",
     "service_account_impersonation.token_lifetime_seconds is not a number from 600 to 43200"},
    {EXTERNAL, "service_account_impersonation.token_lifetime_seconds", "\"3600\"",
     "service_account_impersonation.token_lifetime_seconds is not a number from 600 to 43200"},
    {EXTERNAL, "credential_source", NULL, "no credential_source"},
    {EXTERNAL, "credential_source", "[]", "credential_source is not an object"},
    {EXTERNAL, "credential_source", "{}", "credential_source has neither of file and url"},
    {EXTERNAL, "credential_source.url", "\"https://a.example/\"",
     "credential_source has both of file and url"},
    {EXTERNAL, "credential_source.executable", "{\"command\":\"canary\"}",
     "credential_source.executable is not supported: no program is run for a token; let it write "
     "a file"},
    {EXTERNAL, "credential_source.environment_id", "\"aws1\"",
     "credential_source.environment_id (AWS) is not supported: use a file or a url with an OpenID "
     "Connect token"},
    {EXTERNAL, "credential_source.certificate", "{}",
     "credential_source.certificate (X.509) is not supported: use a file or a url"},
    {EXTERNAL, "credential_source.file", "\"token\"",
     "credential_source.file is not an absolute path"},
    {EXTERNAL, "credential_source.file", "9", "credential_source.file is not a text"},
    {EXTERNAL, "credential_source", "{\"url\":\"http://10.0.0.1/\"}",
     "credential_source.url is plain http to another machine: only https is safe"},
    {EXTERNAL, "credential_source", "{\"url\":\"https://a.example/\",\"headers\":[]}",
     "credential_source.headers is not an object"},
    {EXTERNAL, "credential_source",
     "{\"url\":\"https://a.example/\",\"headers\":{\"canary: x\":\"y\"}}",
     "credential_source.headers has a name that no header can have"},
    {EXTERNAL, "credential_source", "{\"url\":\"https://a.example/\",\"headers\":{\"A\":7}}",
     "credential_source.headers.A is not a text"},
    {EXTERNAL, "credential_source",
     "{\"url\":\"https://a.example/\",\"headers\":{\"A\":\"canary\\r\\nB: c\"}}",
     "credential_source.headers.A has characters in it that do not belong there"},
    {EXTERNAL, "credential_source.format", "\"json\"", "credential_source.format is not an object"},
    {EXTERNAL, "credential_source.format.type", "\"canary\"",
     "credential_source.format.type is neither \"text\" nor \"json\""},
    {EXTERNAL, "credential_source.format.type", "\"json\"",
     "no credential_source.format.subject_token_field_name"},
};

static void every_broken_field_is_named(void **state)
{
    (void)state;
    for (size_t i = 0; i < sizeof(broken) / sizeof(broken[0]); i++) {
        json_t *file = google_files_new(broken[i].type, URL);
        struct google_credentials *credentials = NULL;
        char error[GOOGLE_ERROR_BYTES], wanted[GOOGLE_ERROR_BYTES];

        google_files_set(
            file, broken[i].path,
            broken[i].value == NULL ? NULL : json_loads(broken[i].value, JSON_DECODE_ANY, NULL));
        assert_int_equal(parse(file, &credentials, error), -EINVAL);
        assert_null(credentials);
        snprintf(wanted, sizeof(wanted), "key.json: %s", broken[i].sentence);
        assert_string_equal(error, wanted);
        json_decref(file);
    }
}

static void keys_that_are_none(void **state)
{
    const char *rsa = google_files_key("RSA");
    char *cut = strdup(rsa);
    const struct {
        const char *key, *begins;
    } cases[] = {{google_files_key("EC"), "key.json: private_key is not an RSA key"},
                 {"canary", "key.json: private_key cannot be used as a PEM key: "},
                 {"", "key.json: private_key cannot be used as a PEM key: "},
                 {cut, "key.json: private_key cannot be used as a PEM key: "}};

    (void)state;
    cut[strlen(cut) / 2] = '\0';
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        json_t *file = google_files_new(SERVICE, URL);
        struct google_credentials *credentials = NULL;
        char error[GOOGLE_ERROR_BYTES];

        assert_non_null(cases[i].key);
        google_files_set(file, "private_key", json_string(cases[i].key));
        assert_int_equal(parse(file, &credentials, error), -EINVAL);
        if (strncmp(error, cases[i].begins, strlen(cases[i].begins)) != 0)
            fail_msg("%s", error);
        assert_null(strstr(error, "canary"));
        json_decref(file);
    }
    free(cut);
}

static void texts_that_are_no_such_file(void **state)
{
    static const struct {
        const char *text, *sentence;
    } cases[] = {
        {"", "key.json: is not JSON (line 1, column 0)"},
        {"canary", "key.json: is not JSON (line 1, column 6)"},
        {"{\"type\":\"service_account\",\n\"private_key\":\"canary", "key.json: is not JSON "
                                                                     "(line 2, column 21)"},
        {"[]", "key.json: is not a JSON object"},
        {"{\"type\":\"a\",\"type\":\"b\"}", "key.json: a field stands in it twice (line 1)"},
        {"{\"installed\":{\"client_secret\":\"canary\"}}",
         "key.json: is an OAuth client's file, not credentials: make those with `gcloud auth "
         "application-default login`, or take a service account's key"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        struct google_credentials *credentials = NULL;
        char error[GOOGLE_ERROR_BYTES];

        assert_int_equal(parse_text(cases[i].text, &credentials, error), -EINVAL);
        assert_string_equal(error, cases[i].sentence);
    }
}

/* ---- subject tokens ---- */

static void subject_tokens(void **state)
{
    static char field[] = "id_token";
    static const struct {
        bool json;
        const char *text, *token, *words;
    } cases[] = {
        {false, "abc.def", "abc.def", NULL},
        {false, " \r\nabc\n", "abc", NULL},
        {false, "", NULL, "holds no token"},
        {false, " \n", NULL, "holds no token"},
        {false, "a b", NULL, "holds no token"},
        {true, "{\"id_token\":\"abc\",\"x\":1}", "abc", NULL},
        {true, "{\"id_token\":\"\"}", NULL, "holds no token"},
        {true, "{\"id_token\":7}", NULL,
         "has no text in the field that subject_token_field_name says"},
        {true, "{\"other\":\"canary\"}", NULL,
         "has no text in the field that subject_token_field_name says"},
        {true, "[]", NULL, "has no text in the field that subject_token_field_name says"},
        {true, "canary", NULL, "is not JSON, which credential_source.format says"},
    };

    (void)state;
    for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
        const struct google_source source = {.json_field = cases[i].json ? field : NULL};
        size_t length = strlen(cases[i].text);
        char *text =
            malloc(length > 0 ? length : 1); /* what comes over HTTP has no NUL behind it */
        const char *words = NULL;
        char *token = NULL;
        int result;

        assert_non_null(text);
        memcpy(text, cases[i].text, length);
        result = google_read_subject(&source, span_of(text, length), &token, &words);
        free(text);
        assert_int_equal(result, cases[i].token != NULL ? 0 : -EINVAL);
        if (cases[i].token != NULL)
            assert_string_equal(token, cases[i].token);
        else
            assert_string_equal(words, cases[i].words);
        free(token);
    }
}

static void a_subject_token_is_not_cut(void **state)
{
    const struct google_source source = {0};
    const char *words = NULL;
    char *token = NULL;

    (void)state;
    assert_int_equal(google_read_subject(&source, span_of("abc\0def", 7), &token, &words), -EINVAL);
    assert_string_equal(words, "holds no token");
}

/* ---- Google's order ---- */

static void write_user(const char *path, const char *client_id, unsigned mode)
{
    json_t *file = google_files_new(USER, URL);

    google_files_set(file, "client_id", json_string(client_id));
    google_files_write(file, path, mode);
    json_decref(file);
}

static void assert_found(const char *configured, const char *client_id)
{
    struct google_credentials *credentials = NULL;
    char error[GOOGLE_ERROR_BYTES] = "";

    if (google_credentials_find(configured, &credentials, error) != 0)
        fail_msg("%s", error);
    assert_int_equal(google_credentials_kind(credentials), GOOGLE_AUTHORIZED_USER);
    assert_string_equal(google_credentials_facts(credentials)->client_id, client_id);
    google_credentials_free(&credentials);
}

static void assert_server_found(const char *host)
{
    struct google_credentials *credentials = NULL;
    char error[GOOGLE_ERROR_BYTES] = "";

    if (google_credentials_find(NULL, &credentials, error) != 0)
        fail_msg("%s", error);
    assert_int_equal(google_credentials_kind(credentials), GOOGLE_METADATA_SERVER);
    assert_string_equal(google_credentials_facts(credentials)->host, host);
    assert_false(google_credentials_refresh(credentials, 100000, error));
    google_credentials_free(&credentials);
}

static void assert_not_found(const char *configured, int result, const char *sentence)
{
    struct google_credentials *credentials = NULL;
    char error[GOOGLE_ERROR_BYTES] = "";

    assert_int_equal(google_credentials_find(configured, &credentials, error), result);
    assert_null(credentials);
    assert_string_equal(error, sentence);
}

static void found_in_googles_order(void **state)
{
    char gcloud[256], home[320], sentence[700];

    (void)state;
    snprintf(gcloud, sizeof(gcloud), "%s", path_of(".config"));
    assert_int_equal(mkdir(gcloud, 0700), 0);
    snprintf(gcloud, sizeof(gcloud), "%s", path_of(".config/gcloud"));
    assert_int_equal(mkdir(gcloud, 0700), 0);
    snprintf(home, sizeof(home), "%s/application_default_credentials.json", gcloud);
    write_user(path_of("configured.json"), "configured", 0600);
    write_user(path_of("named.json"), "named", 0640);
    write_user(path_of("application_default_credentials.json"), "sdk", 0600);
    write_user(home, "home", 0600);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", path_of("named.json"), 1);
    setenv("CLOUDSDK_CONFIG", directory, 1);
    setenv("HOME", directory, 1);
    assert_found(path_of("configured.json"), "configured");
    assert_found(NULL, "named");
    assert_found("", "named");
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    assert_found(NULL, "sdk");
    unsetenv("CLOUDSDK_CONFIG");
    assert_found(NULL, "home");
    assert_int_equal(chmod(home, 0604), 0);
    snprintf(sentence, sizeof(sentence), "%s is open to others (mode 0604): chmod o= %s", home,
             home);
    assert_not_found(NULL, -EPERM, sentence);
    assert_int_equal(unlink(home), 0);
    assert_server_found("metadata.google.internal");
    setenv("GCE_METADATA_HOST", "127.0.0.1:8080", 1);
    assert_server_found("127.0.0.1:8080");
    setenv("GCE_METADATA_HOST", "host/path", 1);
    assert_not_found(NULL, -EINVAL, "GCE_METADATA_HOST is not of the form host[:port]");
    unsetenv("GCE_METADATA_HOST");
    unsetenv("HOME");
    assert_server_found("metadata.google.internal");
}

/* What somebody names must be there. */
static void a_named_file_that_is_missing(void **state)
{
    char sentence[512];
    const char *path = path_of("missing.json");

    (void)state;
    snprintf(sentence, sizeof(sentence), "cannot read %s: No such file or directory", path);
    assert_not_found(path, -ENOENT, sentence);
    setenv("GOOGLE_APPLICATION_CREDENTIALS", path, 1);
    assert_not_found(NULL, -ENOENT, sentence);
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
}

/* ---- replaced while running ---- */

static bool refresh(struct google_credentials *credentials, int64_t now_ms, const char *sentence)
{
    char error[GOOGLE_ERROR_BYTES];
    bool changed = google_credentials_refresh(credentials, now_ms, error);

    assert_string_equal(error, sentence);
    return changed;
}

static void a_replaced_file_is_read_again(void **state)
{
    const char *path = path_of("replaced.json");
    struct google_credentials *credentials = NULL;
    char error[GOOGLE_ERROR_BYTES], sentence[600];
    json_t *service = google_files_new(SERVICE, URL);

    (void)state;
    write_user(path, "first", 0600);
    assert_int_equal(google_credentials_find(path, &credentials, error), 0);
    assert_false(refresh(credentials, 10000, ""));
    write_user(path, "second", 0600);
    assert_false(refresh(credentials, 10999, "")); /* looked at less than a second ago */
    assert_true(refresh(credentials, 11000, ""));
    assert_string_equal(google_credentials_facts(credentials)->client_id, "second");
    assert_false(refresh(credentials, 12000, ""));
    write_user(path, "second", 0600); /* nothing new */
    assert_false(refresh(credentials, 13000, ""));
    google_files_write_text("{\"type\":\"authorized_user\"}", path, 0600);
    snprintf(sentence, sizeof(sentence), "%s: no client_id", path);
    assert_false(refresh(credentials, 14000, sentence));
    assert_false(refresh(credentials, 15000, "")); /* said once */
    assert_string_equal(google_credentials_facts(credentials)->client_id, "second");
    write_user(path, "third", 0606);
    snprintf(sentence, sizeof(sentence), "%s is open to others (mode 0606): chmod o= %s", path,
             path);
    assert_false(refresh(credentials, 16000, sentence));
    assert_false(refresh(credentials, 17000, ""));
    assert_string_equal(google_credentials_facts(credentials)->client_id, "second");
    assert_int_equal(chmod(path, 0600), 0);
    assert_true(refresh(credentials, 18000, ""));
    assert_string_equal(google_credentials_facts(credentials)->client_id, "third");
    assert_int_equal(unlink(path), 0);
    snprintf(sentence, sizeof(sentence), "%s: No such file or directory", path);
    assert_false(refresh(credentials, 19000, sentence));
    assert_false(refresh(credentials, 20000, ""));
    google_files_write(service, path, 0600); /* another kind */
    assert_true(refresh(credentials, 21000, ""));
    assert_int_equal(google_credentials_kind(credentials), GOOGLE_SERVICE_ACCOUNT);
    assert_null(google_credentials_facts(credentials)->refresh_token);
    google_credentials_free(&credentials);
    json_decref(service);
}

/* ---- */

static int start(void **state)
{
    (void)state;
    unsetenv("GOOGLE_APPLICATION_CREDENTIALS");
    unsetenv("GOOGLE_CLOUD_QUOTA_PROJECT");
    unsetenv("GCE_METADATA_HOST");
    snprintf(directory, sizeof(directory), "/tmp/mllpgw-test-XXXXXX");
    return mkdtemp(directory) != NULL && google_files_key("RSA") != NULL ? 0 : -1;
}

static int stop(void **state)
{
    static const char *const files[] = {"configured.json", "named.json",
                                        "application_default_credentials.json", "replaced.json",
                                        ".config/gcloud/application_default_credentials.json"};

    (void)state;
    for (size_t i = 0; i < sizeof(files) / sizeof(files[0]); i++)
        (void)unlink(path_of(files[i]));
    (void)rmdir(path_of(".config/gcloud"));
    (void)rmdir(path_of(".config"));
    (void)rmdir(directory);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_service_account),
        cmocka_unit_test(a_universe_of_its_own),
        cmocka_unit_test(what_may_be_missing),
        cmocka_unit_test(external_sources),
        cmocka_unit_test(a_quota_project),
        cmocka_unit_test(every_broken_field_is_named),
        cmocka_unit_test(keys_that_are_none),
        cmocka_unit_test(texts_that_are_no_such_file),
        cmocka_unit_test(subject_tokens),
        cmocka_unit_test(a_subject_token_is_not_cut),
        cmocka_unit_test(found_in_googles_order),
        cmocka_unit_test(a_named_file_that_is_missing),
        cmocka_unit_test(a_replaced_file_is_read_again),
    };

    return cmocka_run_group_tests(tests, start, stop);
}
