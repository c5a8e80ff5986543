/* mllpctl reload, drain, settings, version. */
#include "config/config.h"
#include "ctl/client.h"

#include <curl/curl.h>
#include <mbedtls/version.h>
#include <sqlite3.h>
#include <string.h>

/* 3.6.7 fixes CVE-2026-49300, -54435, -50581, -50640, -50586 and -50587. */
#define MBEDTLS_RECOMMENDED 0x03060700

static const char reload_help[] =
    "usage: mllpctl reload [OPTIONS]\n"
    "\n"
    "Makes the gateway read its configuration and the files it names again. All is checked first:\n"
    "either everything is taken over, or nothing is and the reasons are printed (exit code 4).\n"
    "\n" CLIENT_HELP;

static const char drain_help[] =
    "usage: mllpctl drain [OPTIONS]\n"
    "\n"
    "Takes no more messages, answers what is in hand, and ends the gateway. Queued messages stay\n"
    "in the spool.\n"
    "\n" CLIENT_HELP;

static const char settings_help[] = "usage: mllpctl settings\n"
                                    "\n"
                                    "Every setting of the configuration: type, default, range, how "
                                    "it changes, meaning.\n";

static const char version_help[] =
    "usage: mllpctl version [OPTIONS]\n"
    "\n"
    "Versions of mllpctl and its libraries, and of the gateway when it runs and --socket or\n"
    "--config says where. Exit code 1 when a library has known vulnerabilities.\n"
    "\n" CLIENT_HELP;

int ctl_reload(int argc, char **argv)
{
    struct client_options options = {.command = "reload"};
    json_t *result = NULL;
    int code = client_parse(&options, reload_help, argc, argv, 0);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    code = client_call(&options, json_pack("{s:s}", "command", "reload"), NULL, NULL, &result);
    if (code != CTL_OK)
        return code;
    if (options.json)
        return client_print_json(result);
    printf("reloaded: %lld settings changed\n",
           (long long)json_integer_value(json_object_get(result, "changed")));
    json_decref(result);
    return CTL_OK;
}

int ctl_drain(int argc, char **argv)
{
    struct client_options options = {.command = "drain"};
    json_t *result = NULL;
    int code = client_parse(&options, drain_help, argc, argv, 0);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    code = client_call(&options, json_pack("{s:s}", "command", "drain"), NULL, NULL, &result);
    if (code != CTL_OK)
        return code;
    if (options.json)
        return client_print_json(result);
    puts("draining: the gateway ends when what is in hand is answered");
    json_decref(result);
    return CTL_OK;
}

int ctl_settings(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "--help") == 0)
        fputs(settings_help, stdout);
    else if (argc > 1)
        return ctl_usage("settings", "%s: what is that for?", argv[1]);
    else
        config_print_settings(stdout);
    return CTL_OK;
}

static json_t *version_own(void)
{
    char mbedtls[18] = "";

    mbedtls_version_get_string(mbedtls);
    return json_pack("{s:s s:s s:s s:s s:s}", "mllpctl", MLLPGW_VERSION, "mbedtls", mbedtls,
                     "libcurl", curl_version_info(CURLVERSION_NOW)->version, "sqlite",
                     sqlite3_libversion(), "jansson", jansson_version_str());
}

int ctl_version(int argc, char **argv)
{
    struct client_options options = {.command = "version"};
    json_t *gateway = NULL, *value;
    const char *key;
    int code = client_parse(&options, version_help, argc, argv, 0);

    if (code != CTL_OK)
        return code < 0 ? CTL_OK : code;
    json_t *versions = version_own();
    if (options.socket != NULL || options.config != NULL)
        code =
            client_call(&options, json_pack("{s:s}", "command", "version"), NULL, NULL, &gateway);
    if (gateway != NULL)
        json_object_set_new(versions, "gateway", gateway);
    if (options.json) {
        client_print_json(versions);
    } else {
        json_object_foreach(versions, key, value)
        {
            if (json_is_string(value))
                printf("%-8s %s\n", key, json_string_value(value));
        }
        if (gateway != NULL)
            printf("%-8s %s (%s)\n", "gateway",
                   json_string_value(json_object_get(gateway, "version")),
                   json_string_value(json_object_get(gateway, "name")));
        json_decref(versions);
    }
    if (mbedtls_version_get_number() < MBEDTLS_RECOMMENDED)
        return ctl_fail(CTL_NOT_WELL, "this mbedTLS has known vulnerabilities that 3.6.7 fixes: "
                                      "build with a newer one");
    return code;
}
