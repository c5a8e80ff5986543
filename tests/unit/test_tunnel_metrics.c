/* links: admission certs vpn config base */
/* The tunnels' metrics: what is not so any more is not shown any more. */
#include "tunnel_metrics.c" /* the daemon's own, in no library */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/buffer.h"

#define TEXT(text) ((char *)(uintptr_t)(text))
#define EXPIRY "mllpgw_tunnel_certificate_expires_timestamp_seconds{tunnel=\"site\",of="

struct bench {
    struct config_tunnel tunnel;
    struct config config;
    struct tunnel_view *view;
    struct metrics *metrics;
    uint64_t sequence;
    char text[16384];
};

static void begin(struct bench *bench)
{
    struct tunnel_view *next;

    *bench = (struct bench){.tunnel = {.name = TEXT("site")}};
    bench->config = (struct config){.tunnels = &bench->tunnel, .tunnel_count = 1};
    bench->metrics = metrics_new();
    bench->view = tunnel_view_new(NULL, NULL);
    assert_true(bench->view != NULL && bench->metrics != NULL);
    next = tunnel_view_next(bench->view, 0, &bench->config);
    assert_non_null(next);
    tunnel_view_replace(&bench->view, next);
}

static void end(struct bench *bench)
{
    tunnel_view_free(&bench->view);
    metrics_free(bench->metrics);
}

static void render(struct bench *bench)
{
    struct buffer text;

    buffer_init(&text, sizeof(bench->text) - 1);
    assert_int_equal(metrics_render(bench->metrics, &text), 0);
    snprintf(bench->text, sizeof(bench->text), "%.*s", (int)buffer_span(&text).length,
             buffer_span(&text).data);
    buffer_free(&text);
}

/* more: fields of the tunnel. */
static void told(struct bench *bench, const char *more)
{
    char line[1024], error[160], digest[SETTINGS_DIGEST_BYTES];
    struct status status;
    int length;

    settings_digest(&bench->tunnel, digest);
    length = snprintf(
        line, sizeof(line),
        "{\"v\":1,\"sequence\":%d,\"charon\":\"connected\",\"tunnels\":[{\"name\":\"site\","
        "\"settings\":\"%s\",\"state\":\"up\",\"in_state_ms\":5000%s}]}",
        (int)++bench->sequence, digest, more);
    assert_int_equal(status_read(line, (size_t)length, &status, error), 0);
    (void)!tunnel_view_take(bench->view, 10000, &status);
    tunnel_metrics_publish(bench->metrics, bench->view, 10000);
    render(bench);
}

static void has(const struct bench *bench, const char *line, bool wanted)
{
    if ((strstr(bench->text, line) != NULL) != wanted) {
        fail_msg("%s, wanted: %d\n%s", line, wanted, bench->text);
    }
}

static void what_is_told(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    told(&bench, ",\"bytes_in\":7,\"packets_out\":8,\"rekeys\":2,\"warnings\":[\"one\",\"two\"]");
    has(&bench, "mllpgw_tunnel_up{tunnel=\"site\"} 1\n", true);
    has(&bench, "mllpgw_tunnel_unknown{tunnel=\"site\"} 0\n", true);
    has(&bench, "mllpgw_tunnel_state_seconds{tunnel=\"site\"} 5\n", true);
    has(&bench, "mllpgw_tunnel_bytes_total{tunnel=\"site\",direction=\"in\"} 7\n", true);
    has(&bench, "mllpgw_tunnel_packets_total{tunnel=\"site\",direction=\"out\"} 8\n", true);
    has(&bench, "mllpgw_tunnel_rekeys_total{tunnel=\"site\"} 2\n", true);
    has(&bench, "mllpgw_tunnel_warnings{tunnel=\"site\"} 2\n", true);
    has(&bench, EXPIRY, false);
    end(&bench);
}

/* From certificates to a key: an alarm on the certificate's end would ring for ever. */
static void what_runs_out_no_more(void **state)
{
    struct bench bench;

    (void)state;
    begin(&bench);
    told(&bench, ",\"certificate_expires_at_s\":1800000000,\"remote_ca_expires_at_s\":1900000000,"
                 "\"crl_expires_at_s\":1700000000");
    has(&bench, EXPIRY "\"certificate\"} 1800000000\n", true);
    has(&bench, EXPIRY "\"remote_ca\"} 1900000000\n", true);
    has(&bench, EXPIRY "\"crl\"} 1700000000\n", true);
    told(&bench, ",\"certificate_expires_at_s\":1800000000,\"remote_ca_expires_at_s\":1900000000");
    has(&bench, EXPIRY "\"certificate\"} 1800000000\n", true);
    has(&bench, EXPIRY "\"crl\"}", false);
    told(&bench, "");
    has(&bench, EXPIRY, false);
    has(&bench, "mllpgw_tunnel_up{tunnel=\"site\"} 1\n", true);
    end(&bench);
}

static void a_tunnel_that_is_removed(void **state)
{
    const struct config none = {0};
    struct bench bench;

    (void)state;
    begin(&bench);
    told(&bench, "");
    tunnel_metrics_remove(bench.metrics, bench.view, &bench.config);
    render(&bench);
    has(&bench, "tunnel=\"site\"", true);
    tunnel_metrics_remove(bench.metrics, bench.view, &none);
    render(&bench);
    has(&bench, "tunnel=\"site\"", false);
    end(&bench);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_told),
        cmocka_unit_test(what_runs_out_no_more),
        cmocka_unit_test(a_tunnel_that_is_removed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
