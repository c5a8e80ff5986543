/* links: http loop base config */
/*
 * CPU per request of the HTTP client: POSTs of one size, so many streams at once, to a server that is
 * there already (nginx, nghttpd). Prints one line; CPU is user + system of this process.
 *
 *   bench_http URL CA-FILE REQUESTS STREAMS BODY-BYTES [CONNECTIONS [CERTIFICATE KEY]]
 */
#include "base/clock.h"
#include "http/client.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>

static struct {
    struct loop *loop;
    struct http_client *client;
    struct http_parameters parameters;
    long left, in_flight, good, bad, connections;
    char words[96];
} bench;

static void bench_on_done(void *context, const struct http_result *result);

static void bench_start(void)
{
    bench.left--;
    bench.in_flight++;
    if (http_request_start(bench.client, &bench.parameters, bench_on_done, NULL) == NULL)
        abort();
}

static void bench_on_done(void *context, const struct http_result *result)
{
    (void)context;
    bench.in_flight--;
    bench.connections += result->new_connections;
    if (result->failure == HTTP_OK && result->status >= 200 && result->status < 300) {
        bench.good++;
    } else {
        bench.bad++;
        snprintf(bench.words, sizeof(bench.words), "%s", result->words);
    }
    if (bench.left > 0)
        bench_start();
    else if (bench.in_flight == 0)
        loop_stop(bench.loop);
}

static double bench_cpu_s(void)
{
    struct rusage usage;

    getrusage(RUSAGE_SELF, &usage);
    return (double)(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
           (double)(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

static void bench_run(long requests, long streams)
{
    bench.left = requests;
    bench.good = bench.bad = 0;
    for (long i = 0; i < streams && bench.left > 0; i++)
        bench_start();
    loop_run(bench.loop);
}

int main(int argc, char **argv)
{
    const char *headers[] = {"Content-Type: x-application/hl7-v2+er7",
                             "Idempotency-Key: 0123456789abcdef0123456789abcdef",
                             "Date: Thu, 01 Jan 2026 00:00:00 GMT", NULL};
    struct http_origin_settings settings = {.connect_timeout_ms = 5000, .maximum_connections = 1};
    long requests, streams, bytes;
    double cpu_s, wall_s;
    char *body;

    if (argc < 6) {
        fprintf(stderr,
                "usage: bench_http URL CA REQUESTS STREAMS BYTES [CONNECTIONS [CERT KEY]]\n");
        return 2;
    }
    requests = strtol(argv[3], NULL, 10);
    streams = strtol(argv[4], NULL, 10);
    bytes = strtol(argv[5], NULL, 10);
    settings.ca_file = argv[2];
    settings.maximum_connections = argc > 6 ? strtol(argv[6], NULL, 10) : 1;
    settings.certificate = argc > 8 ? argv[7] : NULL;
    settings.key = argc > 8 ? argv[8] : NULL;
    body = calloc(1, (size_t)bytes + 1);
    if (body == NULL || http_global_init() != 0)
        return 1;
    memset(body, 'x', (size_t)bytes);
    bench.loop = loop_new("bench");
    bench.client = http_client_new(bench.loop);
    bench.parameters = (struct http_parameters){.origin = http_origin_new(bench.client, &settings),
                                                .method = "POST",
                                                .url = argv[1],
                                                .body = span_of(body, (size_t)bytes),
                                                .headers = headers,
                                                .timeout_ms = 30000,
                                                .maximum_answer_bytes = 1 << 20};
    bench_run(streams, streams); /* connects, fills the caches */
    cpu_s = bench_cpu_s();
    wall_s = (double)clock_monotonic_ns() / 1e9;
    bench_run(requests, streams);
    cpu_s = bench_cpu_s() - cpu_s;
    wall_s = (double)clock_monotonic_ns() / 1e9 - wall_s;
    printf(
        "%ld streams, %ld bytes: %.0f/s, %.1f us CPU each, %ld good, %ld bad %s, %ld connections\n",
        streams, bytes, (double)requests / wall_s, cpu_s * 1e6 / (double)requests, bench.good,
        bench.bad, bench.words, bench.connections);
    http_origin_free(&bench.parameters.origin);
    http_client_free(&bench.client);
    loop_free(&bench.loop);
    free(body);
    return bench.bad == 0 ? 0 : 1;
}
