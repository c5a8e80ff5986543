#include "ctl/send_report.h"

#include "base/text.h"

#include <inttypes.h>
#include <jansson.h>
#include <stdlib.h>

#define REPORT_BAR 24

static double report_rate(const struct send_totals *totals)
{
    int64_t done = totals->positive + totals->negative + totals->not_expected;

    return totals->elapsed_ns > 0 ? (double)done * 1e9 / (double)totals->elapsed_ns : 0;
}

void send_report_progress(const struct send_totals *totals, int64_t settled, int64_t elapsed_ns)
{
    int64_t wanted = totals->wanted > 0 ? totals->wanted : 1;
    int filled = (int)(settled * REPORT_BAR / wanted);
    double rate = elapsed_ns > 0 ? (double)settled * 1e9 / (double)elapsed_ns : 0;

    fprintf(stderr, "\r\x1b[K[%.*s%.*s] %" PRId64 "/%" PRId64 "  %.0f/s", filled,
            "########################", REPORT_BAR - filled, "........................", settled,
            totals->wanted, rate);
    if (totals->negative > 0)
        fprintf(stderr, "  %" PRId64 " negative", totals->negative);
    if (totals->unanswered > 0)
        fprintf(stderr, "  %" PRId64 " unanswered", totals->unanswered);
    fflush(stderr);
}

void send_report_progress_end(void)
{
    fputs("\r\x1b[K", stderr);
}

bool send_report_is_well(const struct send_totals *totals)
{
    return totals->sent == totals->wanted && totals->negative == 0 && totals->unanswered == 0 &&
           totals->unmatched == 0 && totals->positive + totals->not_expected == totals->wanted;
}

static double report_ms(const struct send_totals *totals, double share)
{
    return (double)send_histogram_percentile(&totals->latency, share) / 1e6;
}

static void report_codes(const struct send_totals *totals, FILE *out)
{
    const char *between = " (";

    for (int code = 0; code < ACK_CODE_UNKNOWN; code++) {
        if (totals->codes[code] == 0 || ack_code_is_positive((enum ack_code)code))
            continue;
        fprintf(out, "%s%s %" PRId64, between, ack_code_text((enum ack_code)code),
                totals->codes[code]);
        between = ", ";
    }
    if (totals->commit_refusals > 0) {
        fprintf(out, "%scommit NAK %" PRId64, between, totals->commit_refusals);
        between = ", ";
    }
    fputs(between[0] == ',' ? ")\n" : "\n", out);
}

static void report_count(FILE *out, const char *name, int64_t value)
{
    if (value != 0)
        fprintf(out, "%-16s %" PRId64 "\n", name, value);
}

void send_report_text(const struct send_totals *totals, FILE *out)
{
    char sent[TEXT_SHORT_BYTES], received[TEXT_SHORT_BYTES];

    fprintf(out, "%-16s %" PRId64, "sent", totals->sent);
    if (totals->sent < totals->wanted)
        fprintf(out, " of %" PRId64, totals->wanted);
    fprintf(out, "\n%-16s %" PRId64 "\n%-16s %" PRId64, "positive", totals->positive, "negative",
            totals->negative);
    report_codes(totals, out);
    report_count(out, "unanswered", totals->unanswered);
    report_count(out, "none due", totals->not_expected);
    report_count(out, "unmatched", totals->unmatched);
    report_count(out, "sent again", totals->resent);
    report_count(out, "commit ACK", totals->commits);
    report_count(out, "connections lost", totals->lost);
    fprintf(out, "%-16s %.0f messages/s over %.3f s\n", "rate", report_rate(totals),
            (double)totals->elapsed_ns / 1e9);
    if (totals->latency.count > 0)
        fprintf(out, "%-16s p50 %.3f  p90 %.3f  p99 %.3f  max %.3f ms\n", "latency",
                report_ms(totals, 0.5), report_ms(totals, 0.9), report_ms(totals, 0.99),
                (double)totals->latency.maximum_ns / 1e6);
    fprintf(out, "%-16s %s sent, %s received\n", "bytes", text_bytes(totals->bytes_sent, sent),
            text_bytes(totals->bytes_received, received));
    if (totals->problem[0] != '\0')
        fprintf(out, "%-16s %s\n", "last trouble", totals->problem);
}

static json_t *report_codes_json(const struct send_totals *totals)
{
    json_t *codes = json_object();

    for (int code = 0; code < ACK_CODE_UNKNOWN; code++)
        if (totals->codes[code] != 0)
            json_object_set_new(codes, ack_code_text((enum ack_code)code),
                                json_integer(totals->codes[code]));
    return codes;
}

void send_report_json(const struct send_totals *totals, FILE *out)
{
    json_t *all = json_pack(
        "{s:I s:I s:I s:I s:I s:I s:I s:I s:o s:I s:I s:I s:I s:I s:I s:f s:f s:{s:f s:f s:f s:f} "
        "s:s s:b}",
        "wanted", (json_int_t)totals->wanted, "sent", (json_int_t)totals->sent, "positive",
        (json_int_t)totals->positive, "negative", (json_int_t)totals->negative, "unanswered",
        (json_int_t)totals->unanswered, "none_due", (json_int_t)totals->not_expected, "unmatched",
        (json_int_t)totals->unmatched, "resent", (json_int_t)totals->resent, "codes",
        report_codes_json(totals), "commit_ack", (json_int_t)totals->commits, "commit_nak",
        (json_int_t)totals->commit_refusals, "bytes_sent", (json_int_t)totals->bytes_sent,
        "bytes_received", (json_int_t)totals->bytes_received, "connects",
        (json_int_t)totals->connects, "connections_lost", (json_int_t)totals->lost, "seconds",
        (double)totals->elapsed_ns / 1e9, "messages_per_second", report_rate(totals), "latency_ms",
        "p50", report_ms(totals, 0.5), "p90", report_ms(totals, 0.9), "p99",
        report_ms(totals, 0.99), "max", (double)totals->latency.maximum_ns / 1e6, "problem",
        totals->problem, "ok", (int)send_report_is_well(totals));

    if (all != NULL)
        json_dumpf(all, out, JSON_REAL_PRECISION(9));
    fputc('\n', out);
    json_decref(all);
}
