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
        {"stores = ( { name = \"s\"; type = \"google\"; project = 1; } );", NULL,
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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(good_ones),
        cmocka_unit_test(bad_ones),
        cmocka_unit_test(secrets_in_headers_are_warned_of),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
