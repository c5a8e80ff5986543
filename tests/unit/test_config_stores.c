/* links: config */
#include "config/config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "support/config_case.h"

#define HTTP(more) "stores = ( { name = \"s\"; type = \"http\"; " more " } );"
#define URL "url = \"https://h.example/in\"; "
#define GOOGLE(more) "stores = ( { name = \"s\"; type = \"google\"; " more " } );"
#define PLACE "project = \"p\"; location = \"europe-west3\"; dataset = \"d\"; store = \"s\"; "

#define LABEL_64 "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void good_ones(void **state)
{
    static const char *const stores[] = {
        HTTP(URL),
        HTTP("url = \"http://127.0.0.1:8080/\"; "),
        HTTP("url = \"http://[::1]/\"; "),
        HTTP("url = \"http://localhost\"; "),
        HTTP("url = \"http://h.example/\"; allow_plain = true; "),
        HTTP("url = \"HTTPS://[2001:db8::1]:8443/a?b=c\"; "),
        HTTP(URL "username = \"u\"; password_file = \"p\"; certificate = \"c\"; key = \"k\"; "),
        HTTP(
            URL
            "bearer_file = \"b\"; proxy = \"http://proxy:3128\"; proxy_username = \"u\"; proxy_password_file = \"p\"; "),
        HTTP(
            URL
            "oauth2_token_url = \"https://t/\"; oauth2_client_id = \"i\"; oauth2_client_secret_file = \"f\"; oauth2_scope = \"a b\"; "),
        HTTP(
            URL
            "pin = \"sha256//iy0Qk3fJFiXoLuYOQnvYxoI/3BphyTw8W4bPjPOYoCY=;sha256//iy0Qk3fJFiXoLuYOQnvYxoI/3BphyTw8W4bPjPOYoCY=\"; "),
        GOOGLE(PLACE),
        GOOGLE(PLACE
               "batch = \"split\"; endpoint = \"https://healthcare.europe-west3.rep.example/\"; "),
        GOOGLE(PLACE "endpoint = \"http://127.0.0.1:8080\"; api_version = \"v1beta1\"; "),
        GOOGLE(PLACE "endpoint = \"http://psc.example\"; allow_plain = true; "),
        GOOGLE("project = \"example.com:lab-1\"; location = \"us\"; dataset = \"Data_set-1.a\"; "
               "store = \"1\"; quota_project = \"123456\"; user_agent = \"lab/1\"; "),
        GOOGLE(PLACE "labels = [ \"from=st-marys\", \"empty=\", \"a_b-1=0_1-2\" ]; "),
        GOOGLE(PLACE "credentials = \"c.json\"; token_scope = \"https://www.example/scope\"; "
                     "certificate = \"c\"; key = \"k\"; ca = \"r\"; proxy = \"http://p:3128\"; "
                     "verdicts = ( { status = 409; verdict = \"accepted\"; } ); "
                     "headers = [ \"X-Site: a\" ]; maximum_request_bytes = 20000000; "),
    };
    (void)state;
    for (size_t i = 0; i < sizeof stores / sizeof stores[0]; i++) {
        struct config *config = config_case_good(&(struct config_case){.stores = stores[i]});
        config_free(&config);
    }
}

static void bad_ones(void **state)
{
    static const struct {
        const char *stores, *setting, *text;
    } cases[] = {
        {"stores = ( { name = \"s\"; } );", "stores.s.type", "is missing"},
        {"stores = ( { name = \"s\"; type = \"s3\"; project = 1; } );", NULL,
         "not supported by this version"},
        {"stores = ( { name = \"s\"; type = \"aidbox\"; } );", "stores.s.type",
         "not supported by this version"},
        {"stores = ( { name = \"s\"; type = \"https\"; } );", "stores.s.type",
         "did you mean \"http\""},
        {"stores = ( { name = \"s\"; type = \"directory\"; } );", "stores.s.path", "is missing"},
        {"stores = ( { name = \"s\"; type = \"directory\"; path = \"x\"; bearer_file = \"b\"; } );",
         "stores.s.bearer_file", "no meaning for a store of type \"directory\""},
        {HTTP(""), "stores.s.url", "is missing"},
        {HTTP(URL "path = \"x\"; "), "stores.s.path", "no meaning"},
        {HTTP("url = \"http://h.example/\"; "), "stores.s.url", "in the clear"},
        {HTTP("url = \"http://127.0.0.1.example/\"; "), "stores.s.url", "in the clear"},
        {HTTP("url = \"ftp://h/\"; "), "stores.s.url", "not a URL"},
        {HTTP("url = \"https://u:pw@h/\"; "), "stores.s.url", "has a user"},
        {HTTP("url = \"https:///x\"; "), "stores.s.url", "no host"},
        {HTTP("url = \"https://h:99999/\"; "), "stores.s.url", "port"},
        {HTTP("url = \"https://h:/\"; "), "stores.s.url", "port"},
        {HTTP("url = \"https://h/#a\"; "), "stores.s.url", "'#'"},
        {HTTP("url = \"https://h/a b\"; "), "stores.s.url", "%XX"},
        {HTTP("url = \"https://10.0.0.256/\"; "), "stores.s.url", "neither"},
        {HTTP("url = \"https://[::1/\"; "), "stores.s.url", "URL"},
        {HTTP(URL "headers = [ \"Host: x\" ]; "), "stores.s.headers", "gateway itself"},
        {HTTP(URL "headers = [ \"authorization: x\" ]; "), "stores.s.headers", "gateway itself"},
        {HTTP(URL "headers = [ \"Content-Length: 1\" ]; "), "stores.s.headers", "gateway itself"},
        {HTTP(URL "headers = [ \"idempotency-key: 1\" ]; "), "stores.s.headers", "gateway itself"},
        {HTTP(URL "headers = [ \"A: b\\r\\nC: d\" ]; "), "stores.s.headers", "control character"},
        {HTTP(URL "headers = [ \"A b: c\" ]; "), "stores.s.headers", "Name: value"},
        {HTTP(URL "headers = [ \": c\" ]; "), "stores.s.headers", "Name: value"},
        {HTTP(URL "content_type = \"text\"; "), "stores.s.content_type", "type/subtype"},
        {HTTP(URL "username = \"u\"; "), "stores.s.username", "needs password_file"},
        {HTTP(URL "password_file = \"u\"; "), "stores.s.password_file", "needs username"},
        {HTTP(URL "username = \"u:v\"; password_file = \"p\"; "), "stores.s.username", "':'"},
        {HTTP(URL "username = \"u\"; password_file = \"p\"; bearer_file = \"b\"; "),
         "stores.s.bearer_file", "username is set, too"},
        {HTTP(URL "certificate = \"u\"; "), "stores.s.certificate", "needs key"},
        {HTTP(URL "key = \"u\"; "), "stores.s.key", "needs certificate"},
        {HTTP(URL "pin = \"AAAA\"; "), "stores.s.pin", "sha256//"},
        {HTTP(URL "pin = \"sha256//iy0Qk3fJFiXoLuYOQnvYxoI/3BphyTw8W4bPjPOYoCY=;\"; "),
         "stores.s.pin", "sha256//"},
        {HTTP(URL "proxy = \"proxy:3128\"; "), "stores.s.proxy", "not a URL"},
        {HTTP(URL "proxy = \"http://u:p@proxy:3128\"; "), "stores.s.proxy", "has a user"},
        {HTTP(URL "proxy = \"http://proxy:3128/x\"; "), "stores.s.proxy", "without a path"},
        {HTTP(URL "proxy_username = \"u\"; proxy_password_file = \"p\"; "),
         "stores.s.proxy_username", "needs proxy"},
        {HTTP(URL "oauth2_token_url = \"https://t/\"; oauth2_client_id = \"i\"; "),
         "stores.s.oauth2_token_url", "needs oauth2_client_secret_file"},
        {HTTP(
             URL
             "oauth2_token_url = \"http://t/\"; oauth2_client_id = \"i\"; oauth2_client_secret_file = \"f\"; "),
         "stores.s.oauth2_token_url", "in the clear"},
        {HTTP(URL "verdicts = ( { status = 199; verdict = \"retry\"; } ); "),
         "stores.s.verdicts[0].status", "200 to 599"},
        {HTTP(
             URL
             "verdicts = ( { status = 404; verdict = \"retry\"; }, { status = 404; verdict = \"refused\"; } ); "),
         "stores.s.verdicts", "already"},
        {HTTP(URL "verdicts = ( { status = 404; } ); "), "stores.s.verdicts[0].verdict",
         "is missing"},
        {HTTP(URL "verdicts = ( 404 ); "), "stores.s.verdicts[0]", "wants a group"},
        {HTTP(URL "verdicts = { }; "), "stores.s.verdicts", "list of groups"},
        {HTTP(URL "verdicts = ( { status = 404; verdict = \"retry\"; statu = 1; } ); "),
         "stores.s.verdicts[0].statu", "did you mean \"status\""},
        {HTTP(URL "project = \"p\"; "), "stores.s.project",
         "no meaning for a store of type \"http\""},
        {GOOGLE(PLACE URL), "stores.s.url", "no meaning for a store of type \"google\""},
        {GOOGLE(PLACE "bearer_file = \"b\"; "), "stores.s.bearer_file", "no meaning"},
        {GOOGLE("project = \"p\"; location = \"l\"; dataset = \"d\"; "), "stores.s.store",
         "is missing"},
        {GOOGLE("project = \"p\"; store = \"s\"; dataset = \"d\"; "), "stores.s.location",
         "is missing"},
        {GOOGLE("location = \"l\"; store = \"s\"; dataset = \"d\"; "), "stores.s.project",
         "is missing"},
        {GOOGLE("project = \"p\"; location = \"l\"; store = \"s\"; "), "stores.s.dataset",
         "is missing"},
        {GOOGLE("project = \"p/q\"; location = \"l\"; dataset = \"d\"; store = \"s\"; "),
         "stores.s.project", "no project's id"},
        {GOOGLE("project = \"..\"; location = \"l\"; dataset = \"d\"; store = \"s\"; "),
         "stores.s.project", "no project's id"},
        {GOOGLE("project = \"p\"; location = \"l/m\"; dataset = \"d\"; store = \"s\"; "),
         "stores.s.location", "no location"},
        {GOOGLE("project = \"p\"; location = \"l\"; dataset = \"..\"; store = \"s\"; "),
         "stores.s.dataset", "no name of Google's"},
        {GOOGLE("project = \"p\"; location = \"l\"; dataset = \"d\"; store = \"a?b\"; "),
         "stores.s.store", "no name of Google's"},
        {GOOGLE(PLACE "quota_project = \"P Q\"; "), "stores.s.quota_project", "no project's id"},
        {GOOGLE(PLACE "endpoint = \"http://healthcare.example\"; "), "stores.s.endpoint",
         "in the clear"},
        {GOOGLE(PLACE "endpoint = \"https://h/v1\"; "), "stores.s.endpoint", "without a path"},
        {GOOGLE(PLACE "endpoint = \"https://h?a\"; "), "stores.s.endpoint", "without a path"},
        {GOOGLE(PLACE "endpoint = \"healthcare.example\"; "), "stores.s.endpoint", "not a URL"},
        {GOOGLE(PLACE "api_version = \"1/2\"; "), "stores.s.api_version", "wants a version"},
        {GOOGLE(PLACE "batch = \"whole\"; "), "stores.s.batch", "single messages"},
        {GOOGLE(PLACE "labels = [ \"a\" ]; "), "stores.s.labels", "key=value"},
        {GOOGLE(PLACE "labels = [ \"=a\" ]; "), "stores.s.labels", "key=value"},
        {GOOGLE(PLACE "labels = [ \"A=a\" ]; "), "stores.s.labels", "key=value"},
        {GOOGLE(PLACE "labels = [ \"1=a\" ]; "), "stores.s.labels", "key=value"},
        {GOOGLE(PLACE "labels = [ \"a=b\\\"c\" ]; "), "stores.s.labels", "key=value"},
        {GOOGLE(PLACE "labels = [ \"a=" LABEL_64 "\" ]; "), "stores.s.labels", "key=value"},
        {GOOGLE(PLACE "labels = [ \"a=b\", \"c=b\", \"a=d\" ]; "), "stores.s.labels",
         "a has a value already"},
        {GOOGLE(PLACE "headers = [ \"user-agent: x\" ]; "), "stores.s.headers", "user_agent"},
        {GOOGLE(PLACE "headers = [ \"X-Goog-User-Project: x\" ]; "), "stores.s.headers",
         "quota_project"},
        {GOOGLE(PLACE "maximum_request_bytes = 65535; "), "stores.s.maximum_request_bytes",
         "out of range"},
        {GOOGLE(PLACE "certificate = \"u\"; "), "stores.s.certificate", "needs key"},
        {GOOGLE(PLACE "pin = \"AAAA\"; "), "stores.s.pin", "sha256//"},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct problems problems;
        const struct config_case wanted = {.stores = cases[i].stores};
        problems_init(&problems);
        struct config *config = config_case_load(&wanted, &problems);
        bool fine = !config &&
                    config_case_has(&problems, PROBLEM_ERROR, 7, cases[i].setting, cases[i].text);
        if (!fine || problems.errors > 2) {
            config_case_show(&wanted, &problems);
        }
        /* What may be a password is never shown. */
        for (size_t j = 0; j < problems.count; j++) {
            assert_null(strstr(problems.items[j].text, "pw"));
        }
        config_free(&config);
        problems_free(&problems);
        assert_true(fine);
    }
}

static void secrets_in_headers_are_warned_of(void **state)
{
    (void)state;
    config_case_one(&(struct config_case){.stores = HTTP(URL "headers = [ \"X-Api-Key: pw\" ]; ")},
                    PROBLEM_WARNING, 7, "stores.s.headers", "X-Api-Key looks like a secret");
}

static void google_has_defaults(void **state)
{
    (void)state;
    struct config *config = config_case_good(&(struct config_case){.stores = GOOGLE(PLACE)});
    const struct config_store *store = &config->stores[0];

    assert_int_equal(store->type, CONFIG_STORE_GOOGLE);
    assert_int_equal(store->batch, CONFIG_BATCH_SPLIT);
    assert_string_equal(store->endpoint, "https://healthcare.googleapis.com");
    assert_string_equal(store->api_version, "v1");
    assert_string_equal(store->token_scope, "https://www.googleapis.com/auth/cloud-healthcare");
    assert_null(store->credentials);
    assert_null(store->quota_project);
    assert_int_equal(store->maximum_request_bytes, 10000000);
    assert_int_equal(store->maximum_answer_bytes, CONFIG_GOOGLE_ANSWER_BYTES);
    assert_true(config_store_wants_utf8(store));
    config_free(&config);
}

/* What is said to be the largest message fits exactly, with what is around it. */
static void largest_message_fits(const char *stores, const char *wanted_end)
{
    struct config *config = config_case_good(&(struct config_case){.stores = stores});
    const struct config_store *store = &config->stores[0];
    char *end = config_google_body_end(store);
    int64_t message = config_store_maximum_message_bytes(store);
    int64_t around = (int64_t)strlen(CONFIG_GOOGLE_BODY_START) + (int64_t)strlen(end);

    assert_string_equal(end, wanted_end);
    assert_true(around + (message + 2) / 3 * 4 <= store->maximum_request_bytes);
    assert_true(around + (message + 1 + 2) / 3 * 4 > store->maximum_request_bytes);
    free(end);
    config_free(&config);
}

static void the_largest_message_is_known(void **state)
{
    (void)state;
    largest_message_fits(GOOGLE(PLACE), "\"}}");
    largest_message_fits(GOOGLE(PLACE "maximum_request_bytes = 65537; "), "\"}}");
    largest_message_fits(GOOGLE(PLACE "maximum_request_bytes = 65538; labels = [ \"a=\" ]; "),
                         "\",\"labels\":{\"a\":\"\"}}}");
    largest_message_fits(
        GOOGLE(PLACE "maximum_request_bytes = 65539; labels = [ \"a=1\", \"bc=23\" ]; "),
        "\",\"labels\":{\"a\":\"1\",\"bc\":\"23\"}}}");
}

static void the_answer_limit_is_a_setting(void **state)
{
    (void)state;
    struct config *config = config_case_good(
        &(struct config_case){.stores = GOOGLE(PLACE "maximum_answer_bytes = 10000000; ")});

    assert_int_equal(config->stores[0].maximum_answer_bytes, 10000000);
    config_free(&config);
    /* Google sends the message back. */
    config_case_one(
        &(struct config_case){.stores = GOOGLE(PLACE "maximum_answer_bytes = 9999999; ")},
        PROBLEM_WARNING, 7, "stores.s.maximum_answer_bytes", "hold up its lane");
    config_case_one(
        &(struct config_case){.stores = GOOGLE(PLACE "maximum_request_bytes = 67108865; ")},
        PROBLEM_WARNING, 7, "stores.s.maximum_answer_bytes", "67108865");
    config = config_case_good(&(struct config_case){.stores = HTTP(URL)});
    assert_int_equal(config->stores[0].maximum_answer_bytes, 1048576);
    config_free(&config);
}

static void other_stores_take_anything(void **state)
{
    (void)state;
    struct config *config = config_case_good(&(struct config_case){.stores = HTTP(URL)});

    assert_int_equal(config_store_maximum_message_bytes(&config->stores[0]), 0);
    assert_false(config_store_wants_utf8(&config->stores[0]));
    config_free(&config);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_ones),
        cmocka_unit_test(secrets_in_headers_are_warned_of),
        cmocka_unit_test(google_has_defaults),
        cmocka_unit_test(the_largest_message_is_known),
        cmocka_unit_test(the_answer_limit_is_a_setting),
        cmocka_unit_test(other_stores_take_anything),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
